/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scratch memory, bounds and checks of rotated rows, for all quantizers of this plugin. */
#include "int8.h"

#include <math.h>

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
check_rotated (QconvBuffer *rotated, GError **error)
{
  const float *values = qconv_buffer_data (rotated);
  gsize n = qconv_buffer_size (rotated) / sizeof *values;

  if (values == NULL)
    return qconv_fail (error, QCONV_ERROR_DEVICE, "rotated weights are checked in host memory");
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]))
      return qconv_fail (error, QCONV_ERROR_NON_FINITE, "the weights are too large to be rotated");
  return TRUE;
}
