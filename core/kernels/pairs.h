/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sixteen weights in two vectors of 256 bits, for the kernels of the level avx2. Which weights are in which vector
   depends on their type: BF16 splits into even and odd ones by a shift and a mask. Codes of 16 bits join in order. */
#pragma once
#include "kernels/ops.h"
#include "kernels/vector.h"

#define PAIRS 16 /* weights in both vectors */

/* @tops: the upper halves of all weights, in order */
typedef struct {
  VecF a, b;
  VecRaw tops;
} Pairs;

/* Callers give a constant as @dtype, here and below: one of the weights' types */
static inline Pairs
pairs_load (QconvDType dtype, const guint8 *src)
{
  Pairs p;

  if (dtype == QCONV_F32)
    {
      p.a = _mm256_loadu_ps ((const float *) (gconstpointer) src);
      p.b = _mm256_loadu_ps ((const float *) (gconstpointer) (src + 32));
      p.tops = _mm256_packs_epi32 ((__m256i) ((VecI) p.a >> 16), (__m256i) ((VecI) p.b >> 16));
      p.tops = _mm256_permute4x64_epi64 (p.tops, 0xd8);
      return p;
    }
  p.tops = _mm256_loadu_si256 ((const __m256i *) src);
  if (dtype == QCONV_F16)
    {
      p.a = _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) src));
      p.b = _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) (src + 16)));
      return p;
    }
  p.a = (VecF) _mm256_slli_epi32 (p.tops, 16);
  p.b = (VecF) ((VecI) p.tops & (gint32) 0xffff0000);
  return p;
}

/* Returns the lower 15 bits of every word under @mask: sixteen codes in order */
static inline VecRaw
pairs_join (QconvDType dtype, VecI a, VecI b, gint16 mask)
{
  if (dtype == QCONV_BF16)
    return _mm256_and_si256 (_mm256_blend_epi16 ((__m256i) a, (__m256i) (b << 16), 0xaa), _mm256_set1_epi16 (mask));
  return _mm256_permute4x64_epi64 (_mm256_packus_epi32 ((__m256i) (a & mask), (__m256i) (b & mask)), 0xd8);
}

/* Returns the bits @mask of the sixteen weights' upper halves after a shift: the sign, at the place of a code's sign */
static inline VecRaw
pairs_signs (Pairs p, int shift, gint16 mask)
{
  return _mm256_and_si256 (_mm256_srli_epi16 (p.tops, shift), _mm256_set1_epi16 (mask));
}

/* Joins eight vectors to one: lane i is the largest lane of v[i]. Words, or pairs of 16-bit numbers, without sign */
static inline VecI
pairs_reduce (const VecI v[8], gboolean halves)
{
#define LARGER(x, y) \
  ((VecI) (halves ? _mm256_max_epi16 ((__m256i) (x), (__m256i) (y)) : _mm256_max_epi32 ((__m256i) (x), (__m256i) (y))))
  VecI a[4], b[2];

  for (guint i = 0; i < 4; i++)
    a[i] = LARGER (vec_low_halves ((VecRaw) v[i], (VecRaw) v[i + 4]),
                   vec_high_halves ((VecRaw) v[i], (VecRaw) v[i + 4]));
  for (guint i = 0; i < 2; i++)
    b[i] = LARGER (_mm256_unpacklo_epi32 ((__m256i) a[2 * i], (__m256i) a[2 * i + 1]),
                   _mm256_unpackhi_epi32 ((__m256i) a[2 * i], (__m256i) a[2 * i + 1]));
  return LARGER (_mm256_unpacklo_epi64 ((__m256i) b[0], (__m256i) b[1]),
                 _mm256_unpackhi_epi64 ((__m256i) b[0], (__m256i) b[1]));
#undef LARGER
}

/* Returns the largest magnitudes of eight blocks of @n weights, whose number is a multiple of PAIRS */
static inline VecF
pairs_largest (QconvDType dtype, const guint8 *src, gsize n)
{
  VecI largest[8];

  for (guint k = 0; k < 8; k++)
    {
      largest[k] = (VecI) { 0 };
      if (dtype == QCONV_F32)
        for (gsize i = 0; i < n; i += 8)
          largest[k] = vec_max_int (largest[k],
                                    (VecI) _mm256_loadu_si256 ((const __m256i *) (src + (k * n + i) * 4)) & 0x7fffffff);
      else
        for (gsize i = 0; i < n; i += 16)
          largest[k] = (VecI) _mm256_max_epi16 (
              (__m256i) largest[k],
              (__m256i) ((VecI) _mm256_loadu_si256 ((const __m256i *) (src + (k * n + i) * 2)) & 0x7fff7fff));
    }
  largest[0] = pairs_reduce (largest, dtype != QCONV_F32);
  if (dtype == QCONV_F32)
    return (VecF) largest[0];
  largest[0] = vec_max_int (largest[0] & 0xffff, vec_shift_right (largest[0], 16));
  if (dtype == QCONV_BF16)
    return (VecF) (largest[0] << 16);
  return _mm256_cvtph_ps (_mm_packus_epi32 (_mm256_castsi256_si128 ((__m256i) largest[0]),
                                            _mm256_extracti128_si256 ((__m256i) largest[0], 1)));
}

/* Writes the lowest byte of every word, which must be below 256 */
static inline void
pairs_store_bytes (guint8 *dst, const VecRaw v[4])
{
  const VecRaw order = _mm256_setr_epi32 (0, 4, 1, 5, 2, 6, 3, 7);
  VecRaw bytes = _mm256_packus_epi16 (_mm256_packs_epi32 (v[0], v[1]), _mm256_packs_epi32 (v[2], v[3]));

  _mm256_storeu_si256 ((__m256i *) dst, _mm256_permutevar8x32_epi32 (bytes, order));
}
