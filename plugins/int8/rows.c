/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scratch memory, bounds and checks of rotated rows, for all quantizers of this plugin. */
#include "int8.h"

gsize
rotation_row_bytes (const QconvLayer *layer)
{
  return (gsize) layer->cols * sizeof (float);
}

double
largest_error_of (guint highest, double n)
{
  double steps = 4.0 * highest * highest;

  return MIN (1.01 * (n / (steps + n)), 1.0);
}

gboolean
check_rotated (const QconvTile *t, QconvBuffer *rotated, GError **error)
{
  QconvBuffer *count = qconv_tile_scratch (t, CHECK_BYTES, error);
  guint64 n = 0;

  if (count != NULL)
    count = qconv_tile_view (t, count, count, QCONV_U64, 0, sizeof n, error);
  if (count == NULL || !qconv_stream_write (t->stream, count, 0, sizeof n, &n, error)
      || !qconv_stream_run (t->stream, "nonfinite", 1, (QconvArg[]) { QCONV_BUF (rotated), QCONV_BUF (count) }, 2,
                            error)
      || !qconv_stream_read (t->stream, count, 0, sizeof n, &n, error))
    return FALSE;
  return n == 0 || qconv_fail (error, QCONV_ERROR_NON_FINITE, "the weights are too large to be rotated");
}
