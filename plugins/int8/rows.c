/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "int8.h"

#include <math.h>

gsize
rotation_row_bytes (const QconvLayer *layer)
{
  return (gsize) layer->cols * sizeof (float);
}

/* A number rounded to a step is never further off than zero is, and the rotation keeps lengths. Nearly all is lost
   where the rest of a tensor is small beside one outlier, and all where it is small beside the least scale; a lost
   rotation, codes in other places or twice the scale are worse than that */
double
largest_error (const QconvQuantizer *self, const QconvLayer *layer)
{
  return 1.0;
}

gboolean
check_rotated (QconvBuffer *rotated, GError **error)
{
  const float *values = qconv_buffer_data (rotated);
  gsize n = values != NULL ? qconv_buffer_size (rotated) / sizeof *values : 0;

  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]))
      return qconv_fail (error, QCONV_ERROR_NON_FINITE, "the weights are too large to be rotated");
  return TRUE;
}
