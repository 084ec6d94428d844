/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rotates groups of 16 columns and more for the level avx2; rotate.c calls it. Digits are multiplied where they are:
   the ones above 4 over vectors, the two lowest ones within a pair of vectors. */
#pragma once
#include "kernels/vector.h"

/* Multiplies a digit by H4: its four values are in four vectors */
static inline void
rotate_four (VecF v[4])
{
  VecF sum = v[0] + v[1], difference = v[0] - v[1], last_sum = v[2] + v[3], last_difference = v[2] - v[3];

  v[0] = sum + last_difference;
  v[1] = sum - last_difference;
  v[2] = last_sum + difference;
  v[3] = last_sum - difference;
}

/* Adds in even lanes and subtracts in odd ones; the multiplication by 1 is exact */
static inline VecF
rotate_add_subtract (VecF a, VecF b)
{
  return _mm256_fmsubadd_ps (a, vec_set (1.0f), b);
}

/* Multiplies the lowest digit, four lanes that are neighbours */
static inline VecF
rotate_neighbours (VecF x)
{
  VecF u = rotate_add_subtract (_mm256_permute_ps (x, 0xb1), x); /* sum, difference, last sum, last difference */

  return rotate_add_subtract (_mm256_moveldup_ps (u), _mm256_permute_ps (u, 0x5f));
}

/* Multiplies the two lowest digits of 16 columns */
static inline void
rotate_sixteen (float *x)
{
  VecF low = _mm256_loadu_ps (x), high = _mm256_loadu_ps (x + 8);
  VecF first = _mm256_permute2f128_ps (low, high, 0x20), second = _mm256_permute2f128_ps (low, high, 0x31);
  VecF sums = first + second, differences = first - second;
  VecF crossed = _mm256_permute2f128_ps (differences, differences, 0x01);
  VecF even = sums + crossed, odd = sums - crossed;

  _mm256_storeu_ps (x, rotate_neighbours (_mm256_permute2f128_ps (even, odd, 0x20)));
  _mm256_storeu_ps (x + 8, rotate_neighbours (_mm256_permute2f128_ps (even, odd, 0x31)));
}

static inline VecF
rotate_load (QconvDType dtype, const guint8 *src)
{
  if (dtype == QCONV_F32)
    return _mm256_loadu_ps ((const float *) (gconstpointer) src);
  if (dtype == QCONV_F16)
    return _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) src));
  return (VecF) _mm256_slli_epi32 (_mm256_cvtepu16_epi32 (_mm_loadu_si128 ((const __m128i *) src)), 16);
}

/* Widens one group of 64 columns or more, times @factor, and multiplies its highest digit */
static inline void
rotate_widen (QconvDType dtype, const guint8 *src, float *dst, gsize group, float factor)
{
  gsize item = dtype == QCONV_F32 ? 4 : 2, quarter = group / 4;

  for (gsize i = 0; i < quarter; i += 8)
    {
      VecF v[4];

      for (guint k = 0; k < 4; k++)
        v[k] = rotate_load (dtype, src + (k * quarter + i) * item) * factor;
      rotate_four (v);
      for (guint k = 0; k < 4; k++)
        _mm256_storeu_ps (dst + k * quarter + i, v[k]);
    }
}

/* Multiplies the digit whose values are @stride columns apart */
static inline void
rotate_stride (float *x, gsize group, gsize stride)
{
  for (gsize at = 0; at < group; at += 4 * stride)
    for (gsize i = at; i < at + stride; i += 8)
      {
        VecF v[4];

        for (guint k = 0; k < 4; k++)
          v[k] = _mm256_loadu_ps (x + k * stride + i);
        rotate_four (v);
        for (guint k = 0; k < 4; k++)
          _mm256_storeu_ps (x + k * stride + i, v[k]);
      }
}

/* Rotates groups of 16 columns or more. @dtype: a constant. @src may be @dst if it is F32 */
static inline void
rotate_groups (QconvDType dtype, const guint8 *src, float *dst, gsize n, gsize group, float factor)
{
  gsize item = dtype == QCONV_F32 ? 4 : 2;

  for (gsize at = 0; at < n; at += group)
    {
      if (group == 16)
        for (gsize i = 0; i < 16; i += 8)
          _mm256_storeu_ps (dst + at + i, rotate_load (dtype, src + (at + i) * item) * factor);
      else
        rotate_widen (dtype, src + at * item, dst + at, group, factor);
      for (gsize stride = group / 16; stride >= 16; stride /= 4)
        rotate_stride (dst + at, group, stride);
      for (gsize i = 0; i < group; i += 16)
        rotate_sixteen (dst + at + i);
    }
}
