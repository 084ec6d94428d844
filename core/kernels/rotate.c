/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ConvRot rotation: a group of G = 4^k columns times H4 ⊗ … ⊗ H4 / 2^k, k factors of
   H4 = [1 1 1 -1; 1 1 -1 1; 1 -1 1 1; -1 1 1 1]. It is symmetric and its own inverse. */
#include "kernels/ops.h"
#if QCONV_VECTOR == 256
#include "kernels/rotate-avx2.h"
#endif

#define STRETCH 1024 /* columns that pass from step to step in the nearest cache: the largest group */

/* Multiplies the highest base-4 digit of the column number by H4 and makes it the lowest one. After one step for each
   digit all digits are back in their places. This way of reading and writing needs no strides, which vectors lack */
static inline void
rotate_digit (const float *restrict x, float *restrict y, gsize quarter)
{
  for (gsize i = 0; i < quarter; i++)
    {
      float a = x[i], b = x[quarter + i], c = x[2 * quarter + i], d = x[3 * quarter + i];
      float sum = a + b, difference = a - b, last_sum = c + d, last_difference = c - d;

      y[4 * i] = sum + last_difference;
      y[4 * i + 1] = sum - last_difference;
      y[4 * i + 2] = last_sum + difference;
      y[4 * i + 3] = last_sum - difference;
    }
}

/* Rotates one group. @x: halved once for each digit already; it is overwritten */
static inline void
rotate_group (float *restrict x, float *restrict dst, gsize group)
{
  float between[STRETCH];

  switch (group)
    {
    case 4:
      rotate_digit (x, dst, 1);
      break;
    case 16:
      rotate_digit (x, between, 4);
      rotate_digit (between, dst, 4);
      break;
    case 64:
      rotate_digit (x, between, 16);
      rotate_digit (between, x, 16);
      rotate_digit (x, dst, 16);
      break;
    case 256:
      rotate_digit (x, between, 64);
      rotate_digit (between, x, 64);
      rotate_digit (x, between, 64);
      rotate_digit (between, dst, 64);
      break;
    default:
      rotate_digit (x, between, 256);
      rotate_digit (between, x, 256);
      rotate_digit (x, between, 256);
      rotate_digit (between, x, 256);
      rotate_digit (x, dst, 256);
    }
}

#define DEFINE_ROTATE(group)                                        \
  static void rotate_groups_##group (float *x, float *dst, gsize n) \
  {                                                                 \
    for (gsize i = 0; i < n; i += (group))                          \
      rotate_group (x + i, dst + i, group);                         \
  }
DEFINE_ROTATE (4)
DEFINE_ROTATE (16)
DEFINE_ROTATE (64)
DEFINE_ROTATE (256)
DEFINE_ROTATE (1024)

gboolean
QCONV_LEVEL_NAME (qconv_rotation_fits) (gsize group, gsize cols, GError **error)
{
  if (group != 1 && group != 4 && group != 16 && group != 64 && group != 256 && group != 1024)
    return qconv_fail (error, QCONV_ERROR_BUG, "there is no rotation of %" G_GSIZE_FORMAT " columns", group);
  if (cols % group != 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "%" G_GSIZE_FORMAT " columns are not whole groups of %" G_GSIZE_FORMAT,
                       cols, group);
  return TRUE;
}

#if QCONV_VECTOR == 256
/* Rotates groups that fill vectors. Returns whether they do */
static gboolean
rotate_vectors (QconvDType dtype, const void *src, float *dst, gsize n, gsize group, float factor)
{
  if (group < 16)
    return FALSE;
  if (dtype == QCONV_F32)
    rotate_groups (QCONV_F32, src, dst, n, group, factor);
  else if (dtype == QCONV_F16)
    rotate_groups (QCONV_F16, src, dst, n, group, factor);
  else
    rotate_groups (QCONV_BF16, src, dst, n, group, factor);
  return TRUE;
}
#else
static gboolean
rotate_vectors (QconvDType dtype, const void *src, float *dst, gsize n, gsize group, float factor)
{
  return FALSE;
}
#endif

/* Halves before it adds, so that sums overflow only for weights near the largest F32. Subnormal weights lose bits
   that are far below the least scale. */
void
QCONV_LEVEL_NAME (qconv_rotate) (QconvDType dtype, const void *src, float *dst, gsize n, gsize group)
{
  gsize item = qconv_dtype_bits (dtype) / 8;
  float factor = group == 1024 ? 0x1p-5f : group == 256 ? 0x1p-4f : group == 64 ? 0x1p-3f : group == 16 ? 0.25f : 0.5f;
  float x[STRETCH];

  if (group == 1)
    {
      if (src != dst)
        QCONV_LEVEL_NAME (qconv_widen) (dtype, src, dst, n);
      return;
    }
  if (rotate_vectors (dtype, src, dst, n, group, factor))
    return;
  for (gsize done = 0; done < n; done += STRETCH)
    {
      gsize run = MIN (n - done, STRETCH);

      QCONV_LEVEL_NAME (qconv_widen) (dtype, (const guint8 *) src + done * item, x, run);
      for (gsize i = 0; i < run; i++)
        x[i] *= factor;
      if (group == 4)
        rotate_groups_4 (x, dst + done, run);
      else if (group == 16)
        rotate_groups_16 (x, dst + done, run);
      else if (group == 64)
        rotate_groups_64 (x, dst + done, run);
      else if (group == 256)
        rotate_groups_256 (x, dst + done, run);
      else
        rotate_groups_1024 (x, dst + done, run);
    }
}

gboolean
QCONV_LEVEL_NAME (qconv_op_convrot) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  gsize rows, cols, group;

  if (!qconv_kernel_count (&args[2], "rows", &rows, error) || !qconv_kernel_count (&args[3], "cols", &cols, error)
      || !qconv_kernel_count (&args[4], "group", &group, error)
      || !QCONV_LEVEL_NAME (qconv_rotation_fits) (group, cols, error)
      || !qconv_kernel_fits (&args[0], "source", QCONV_MASK_WEIGHTS, rows, cols, error)
      || !qconv_kernel_fits (&args[1], "destination", QCONV_MASK (QCONV_F32), rows, cols, error))
    return FALSE;
  QCONV_LEVEL_NAME (qconv_rotate)
  (qconv_buffer_dtype (args[0].buffer), qconv_kernel_in (&args[0]), qconv_kernel_out (&args[1]), rows * cols, group);
  return TRUE;
}
