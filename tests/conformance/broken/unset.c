/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hook leaves the scales of some rows unset. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_unset

static gboolean encode_some (const QconvQuantizer *self, const QconvTile *t, GError **error);

#define BROKEN_ENCODE encode_some
#include "broken.h"

static gboolean
encode_some (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  const guint64 half = t->n_rows / 2;
  g_autofree float *before = g_memdup2 (scale, half * sizeof *scale);

  if (!working_encode (self, t, error))
    return FALSE;
  for (guint64 i = 0; i < half; i++)
    scale[i] = before[i];
  return TRUE;
}
