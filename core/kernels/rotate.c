/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ConvRot rotation: a group of G = 4^k columns times H4 ⊗ … ⊗ H4 / 2^k, k factors of
   H4 = [1 1 1 -1; 1 1 -1 1; 1 -1 1 1; -1 1 1 1]. It is symmetric and its own inverse. */
#include "kernels/items/integers.h"
#include "kernels/ops.h"
#if QCONV_VECTOR == 256
#include "kernels/rotate-avx2.h"
#endif

#define STRETCH QCONV_ROTATE_LARGEST /* columns that pass from step to step in the nearest cache */

/* Multiplies the highest base-4 digit of the column number by H4 and makes it the lowest one. After one step for each
   digit all digits are back in their places. This way of reading and writing needs no strides, which vectors lack */
static inline void
rotate_digit (const float *restrict x, float *restrict y, gsize quarter)
{
  for (gsize i = 0; i < quarter; i++)
    rotate_quartet (x[i], x[quarter + i], x[2 * quarter + i], x[3 * quarter + i], y + 4 * i);
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

void
QCONV_LEVEL_NAME (qconv_rotate) (QconvDType dtype, const void *src, float *dst, gsize n, gsize group)
{
  gsize item = qconv_dtype_bits (dtype) / 8;
  float factor = rotate_factor (group);
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
  QconvRotateJob job;

  if (!qconv_job_rotate (&job, args, error))
    return FALSE;
  QCONV_LEVEL_NAME (qconv_rotate) (job.dtype, job.src, job.dst, job.n, job.group);
  return TRUE;
}
