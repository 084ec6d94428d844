/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hook allocates numbers for the whole layer, and work() states nothing. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_hoard

static gboolean encode_all (const QconvQuantizer *self, const QconvTile *t, GError **error);

#define BROKEN_ENCODE encode_all
#include "broken.h"

static gboolean
encode_all (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  gsize n = t->layer->rows * t->layer->cols * sizeof (float);
  g_autofree float *all = g_malloc (n);

  memset (all, 1, n);
  return working_encode (self, t, error) && all[0] > 0;
}
