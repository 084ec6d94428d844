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

/* Multiplies the two lowest digits of two runs of 16 columns, whose halves are in @low and @high. Half a vector is one
   value of the second digit; those of both runs fill a vector */
static inline void
rotate_low (VecF low[2], VecF high[2])
{
  VecF d[4] = { _mm256_permute2f128_ps (low[0], low[1], 0x20), _mm256_permute2f128_ps (low[0], low[1], 0x31),
                _mm256_permute2f128_ps (high[0], high[1], 0x20), _mm256_permute2f128_ps (high[0], high[1], 0x31) };

  rotate_four (d);
  for (guint k = 0; k < 4; k++)
    d[k] = rotate_neighbours (d[k]);
  low[0] = _mm256_permute2f128_ps (d[0], d[1], 0x20);
  high[0] = _mm256_permute2f128_ps (d[2], d[3], 0x20);
  low[1] = _mm256_permute2f128_ps (d[0], d[1], 0x31);
  high[1] = _mm256_permute2f128_ps (d[2], d[3], 0x31);
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

/* Multiplies the digits below 64 of 64 columns, the highest of them if @stride is set. Callers give a constant as
   @stride, so that the compiler makes code for each */
static inline void
rotate_sixty_four (float *x, gboolean stride)
{
  VecF low[4], high[4];

  for (guint k = 0; k < 4; k++)
    {
      low[k] = _mm256_loadu_ps (x + 16 * k);
      high[k] = _mm256_loadu_ps (x + 16 * k + 8);
    }
  if (stride)
    {
      rotate_four (low);
      rotate_four (high);
    }
  rotate_low (low, high);
  rotate_low (low + 2, high + 2);
  for (guint k = 0; k < 4; k++)
    {
      _mm256_storeu_ps (x + 16 * k, low[k]);
      _mm256_storeu_ps (x + 16 * k + 8, high[k]);
    }
}

/* Rotates groups of 16 columns, two at a time. The last one may be alone */
static inline void
rotate_sixteens (QconvDType dtype, const guint8 *src, float *dst, gsize n, float factor)
{
  gsize item = dtype == QCONV_F32 ? 4 : 2;

  for (gsize at = 0; at < n; at += 32)
    {
      guint filled = n - at < 32 ? 1 : 2;
      VecF low[2] = { 0 }, high[2] = { 0 };

      for (guint k = 0; k < filled; k++)
        {
          low[k] = rotate_load (dtype, src + (at + 16 * k) * item) * factor;
          high[k] = rotate_load (dtype, src + (at + 16 * k + 8) * item) * factor;
        }
      rotate_low (low, high);
      for (guint k = 0; k < filled; k++)
        {
          _mm256_storeu_ps (dst + at + 16 * k, low[k]);
          _mm256_storeu_ps (dst + at + 16 * k + 8, high[k]);
        }
    }
}

/* Rotates groups of 16 columns or more. @dtype: a constant. @src may be @dst if it is F32 */
static inline void
rotate_groups (QconvDType dtype, const guint8 *src, float *dst, gsize n, gsize group, float factor)
{
  gsize item = dtype == QCONV_F32 ? 4 : 2;

  if (group == 16)
    {
      rotate_sixteens (dtype, src, dst, n, factor);
      return;
    }
  for (gsize at = 0; at < n; at += group)
    {
      rotate_widen (dtype, src + at * item, dst + at, group, factor);
      for (gsize stride = group / 16; stride >= 64; stride /= 4)
        rotate_stride (dst + at, group, stride);
      for (gsize i = 0; i < group; i += 64)
        if (group == 64)
          rotate_sixty_four (dst + at + i, FALSE);
        else
          rotate_sixty_four (dst + at + i, TRUE);
    }
}
