/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hook writes behind its buffer. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_beyond

static gboolean encode_beyond (const QconvQuantizer *self, const QconvTile *t, GError **error);

#define BROKEN_ENCODE encode_beyond
#include "broken.h"

static gboolean
encode_beyond (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  QconvBuffer *codes = qconv_tile_component (t, "codes");

  if (!working_encode (self, t, error))
    return FALSE;
  ((guint8 *) qconv_buffer_data (codes))[qconv_buffer_size (codes)] = 1;
  return TRUE;
}
