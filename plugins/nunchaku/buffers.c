/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fills and copies buffers, in host memory or on a device. */
#include "buffers.h"

gboolean
nunchaku_fill (const QconvTile *t, QconvBuffer *b, float number, GError **error)
{
  float piece[4096];
  gsize n = qconv_buffer_size (b);

  for (gsize i = 0; i < G_N_ELEMENTS (piece); i++)
    piece[i] = number;
  for (gsize at = 0; at < n; at += sizeof piece)
    if (!qconv_stream_write (t->stream, b, at, MIN (n - at, sizeof piece), piece, error))
      return FALSE;
  return TRUE;
}

gboolean
nunchaku_copy (const QconvTile *t, QconvBuffer *from, QconvBuffer *to, GError **error)
{
  return qconv_stream_run (t->stream, "convert", 1, (QconvArg[]) { QCONV_BUF (from), QCONV_BUF (to) }, 2, error);
}
