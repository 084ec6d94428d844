/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hook leaves the scale of its last row unset. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_unset

static gboolean encode_some (const QconvQuantizer *self, const QconvTile *t, GError **error);

#define BROKEN_ENCODE encode_some
#include "broken.h"

static gboolean
encode_some (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  float *scale = qconv_buffer_data (qconv_tile_component (t, "scale"));
  float before = scale[t->n_rows - 1];

  if (!working_encode (self, t, error))
    return FALSE;
  scale[t->n_rows - 1] = before;
  return TRUE;
}
