/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes FP8 for the level avx2 without widening to memory first. The FP8 and MXFP8 kernels call it. */
#pragma once
#include <float.h>

#include "kernels/fp8.h"
#include "kernels/pairs.h"

#define FP8_RUN 32 /* weights that become one vector of codes */

/* Returns the code nearest to the magnitude @y in the lowest seven bits; the bits above them are arbitrary */
static inline VecI
fp8_of_magnitudes (VecF y, Fp8 f)
{
  const gint32 shift = 23 - (gint32) f.mantissa, normal = (gint32) f.normal;
  VecF t = vec_min (y, vec_set (f.largest)), smallest = (VecF) ((VecI) { 0 } + (normal << 23));
  /* as fp8_rounder(), but the lowest bits are such that the number of steps and the exponent sum up to the code */
  const gint32 start = -((shift + normal) << f.mantissa) & 0x7f;
  VecI rounder = ((VecI) vec_max (t, smallest) & 0x7f800000) + (shift << 23) + start;
  VecI steps = (VecI) (t + (VecF) rounder);

  return steps + vec_shift_right (steps, shift);
}

/* Returns sixteen codes of 16 bits of weights divided or multiplied by @by, which must be positive and finite */
static inline VecRaw
fp8_of_pairs (QconvDType dtype, const guint8 *src, VecF by, gboolean divide, Fp8 f)
{
  Pairs w = pairs_load (dtype, src);
  VecF a = vec_abs (w.a), b = vec_abs (w.b);
  VecRaw codes = pairs_join (dtype, fp8_of_magnitudes (divide ? a / by : a * by, f),
                             fp8_of_magnitudes (divide ? b / by : b * by, f), 0x7f);

  return _mm256_or_si256 (codes, pairs_signs (w, 8, 0x80));
}

/* Encodes FP8_RUN weights */
static inline void
fp8_encode_run (QconvDType dtype, const guint8 *src, guint8 *dst, VecF by, gboolean divide, Fp8 f)
{
  gsize item = dtype == QCONV_F32 ? 4 : 2;
  VecRaw low = fp8_of_pairs (dtype, src, by, divide, f);
  VecRaw high = fp8_of_pairs (dtype, src + PAIRS * item, by, divide, f);

  _mm256_storeu_si256 ((__m256i *) dst, _mm256_permute4x64_epi64 (_mm256_packus_epi16 (low, high), 0xd8));
}

/* Encodes the whole runs among @n weights. Returns how many weights these are. Callers give constants as the last two
   arguments. */
static inline gsize
fp8_encode_runs (QconvDType dtype, const guint8 *src, guint8 *dst, gsize n, float by, gboolean divide, Fp8 f)
{
  gsize i = 0;

  if (!(by > 0.0f && by <= FLT_MAX))
    return 0;
#define ENCODE_RUNS(constant, item)      \
  for (; i + FP8_RUN <= n; i += FP8_RUN) \
  fp8_encode_run (constant, src + i * (item), dst + i, vec_set (by), divide, f)
  if (dtype == QCONV_F32)
    ENCODE_RUNS (QCONV_F32, 4);
  else if (dtype == QCONV_F16)
    ENCODE_RUNS (QCONV_F16, 2);
  else
    ENCODE_RUNS (QCONV_BF16, 2);
#undef ENCODE_RUNS
  return i;
}
