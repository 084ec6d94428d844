/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sums rows of residuals, by which biases are shifted. load.c and pack.c call it. */
#include "shift.h"

#include "packing.h"

double
nunchaku_sum_row (const guint8 *codes, const float *scales, const double *inverse, guint64 cols)
{
  double sum = 0.0;

  for (guint64 start = 0; start < cols; start += NUNCHAKU_GROUP_INT4)
    {
      double group = 0.0;

      for (guint64 col = start; col < start + NUNCHAKU_GROUP_INT4; col++)
        {
          int code = codes[col / 2] >> col % 2 * 4 & 15;

          group += (double) (code < 8 ? code : code - 16) * inverse[col];
        }
      sum += group * (double) scales[start / NUNCHAKU_GROUP_INT4];
    }
  return sum;
}
