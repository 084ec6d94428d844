/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes MXFP4 and NVFP4 blocks: E2M1 codes, with a power of two for 32 weights or an E4M3 number for 16.
   ggml-encode.c calls it. */
#include <float.h>
#include <math.h>

#include "kernels/ggml-e2m1.h"
#include "kernels/ggml-lanes.h"
#include "kernels/ggml-pack.h"

/* Does the same as nearest_e2m1() for weights so far above the values that differences are rounded: equal ones choose
   the smaller code, and weights of 1e30 become zeros */
static void
nearest_by_distance (const float *x, gsize n, float unit, guint8 *codes)
{
  static const float values[8] = { 0, 1, 2, 3, 4, 6, 8, 12 };

  for (gsize i = 0; i < n; i++)
    {
      float magnitude = f32_of_bits (bits_of_f32 (x[i]) & 0x7fffffff);
      guint8 code = 0;

      for (guint8 k = 1; k < 8; k++)
        if (fabsf (values[k] * unit - magnitude) < fabsf (values[code] * unit - magnitude))
          code = k;
      codes[i] = (guint8) (code | (code > 0 && x[i] < 0.0f ? 8 : 0));
    }
}

/* Returns floor (log2f (@top)) for a positive number. log2f() rounds to F32, so numbers a few places below 2^k give k:
   if k is not 0, those within half a place of k. A place below 2^k is 2^-24/ln 2 there */
static gint
floor_of_log2 (float top)
{
  guint32 bits = bits_of_f32 (top < FLT_MIN ? top * 0x1p24f : top);
  gint next = (gint) (bits >> 23) - 126 - (top < FLT_MIN ? 24 : 0), size = next < 0 ? -next : next;
  gdouble below = (0x800000 - (bits & 0x7fffff)) / G_LN2, half_place = 1;

  while (2 * half_place <= size)
    half_place *= 2;
  /* the numbers just below a positive power of two lie closer together */
  if (next > 0 && half_place == size)
    half_place /= 2;
  return next != 0 && below <= half_place ? next : next - 1;
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_mxfp4) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;

  for (gsize b = 0; b < QCONV_GGML_LANES; b++, x += 32, dst += 17)
    {
      float top = largest_magnitude (x, 32);
      guint8 codes[32];

      /* ggml's conversion of a negative exponent to a byte is undefined: 0 is the nearest scale */
      dst[0] = (guint8) (top > 0.0f ? MAX (floor_of_log2 (top) - 2 + 127, 0) : 0);
      nearest_e2m1 (x, 32, half_of_e8m0 (dst[0]), codes);
      pack_nibbles (codes, dst + 1, 32);
    }
}

/* Returns the code of the scale that ggml writes for @v, which is not negative: codes 78 to 7d are never written (ggml:
   ggml_fp32_to_ue4m3) */
static guint8
scale_code (float v)
{
  guint32 bits = bits_of_f32 (v < 448.0f ? v : 448.0f), code;

  if (v < 0x1p-6f)
    return (guint8) clamp (512.0f * v + 0.5f, 0.0f, 7.0f);
  code = (bits >> 20) + (bits >> 19 & 1) - (120 << 3);
  return (guint8) (code < 15 << 3 ? code : 0x7e);
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_nvfp4) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;

  for (gsize b = 0; b < QCONV_GGML_LANES; b++, dst += 36)
    for (guint k = 0; k < 4; k++, x += 16)
      {
        float top = largest_magnitude (x, 16);
        guint8 codes[16];

        dst[k] = scale_code (top / 6.0f);
        if (top < 0x1p20f)
          nearest_e2m1 (x, 16, half_of_ue4m3 (dst[k]), codes);
        else
          nearest_by_distance (x, 16, half_of_ue4m3 (dst[k]), codes);
        pack_nibbles (codes, dst + 4 + 8 * k, 16);
      }
}
