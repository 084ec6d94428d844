/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes 4-bit codes through a table. Called by decode4.c, codebook4.c, w4a8.c and awq.c. */
#pragma once
#include "kernels/ops.h"

#if QCONV_VECTOR >= 256
#include <immintrin.h>
#endif

#define DECODE4_RUN 16

/* Decodes DECODE4_RUN codes. @levels: the value of every code; @codes: DECODE4_RUN / 2 bytes */
static inline void
decode4_run (const float levels[16], const guint8 *codes, float scale, float *dst)
{
#if QCONV_VECTOR >= 256
  const __m128i nibble = _mm_set1_epi8 (15);
  __m128i pairs = _mm_loadl_epi64 ((const __m128i *) codes);
  __m128i index = _mm_unpacklo_epi8 (_mm_and_si128 (pairs, nibble), _mm_and_si128 (_mm_srli_epi16 (pairs, 4), nibble));
#endif
#if QCONV_VECTOR == 512
  __m512 values = _mm512_permutexvar_ps (_mm512_cvtepu8_epi32 (index), _mm512_loadu_ps (levels));

  _mm512_storeu_ps (dst, _mm512_mul_ps (values, _mm512_set1_ps (scale)));
#elif QCONV_VECTOR == 256
  __m256 low = _mm256_loadu_ps (levels), high = _mm256_loadu_ps (levels + 8);

  for (guint half = 0; half < 2; half++)
    {
      __m256i at = _mm256_cvtepu8_epi32 (half == 0 ? index : _mm_srli_si128 (index, 8));
      __m256 values = _mm256_blendv_ps (_mm256_permutevar8x32_ps (low, at), _mm256_permutevar8x32_ps (high, at),
                                        _mm256_castsi256_ps (_mm256_slli_epi32 (at, 28)));

      _mm256_storeu_ps (dst + 8 * half, _mm256_mul_ps (values, _mm256_set1_ps (scale)));
    }
#else
  for (guint i = 0; i < DECODE4_RUN / 2; i++)
    {
      dst[2 * i] = levels[codes[i] & 15] * scale;
      dst[2 * i + 1] = levels[codes[i] >> 4] * scale;
    }
#endif
}

/* Decodes columns [c, end) of the row that begins at @codes, to the same columns of @dst */
static inline void
decode4_columns (const float levels[16], const guint8 *codes, float scale, float *dst, gsize c, gsize end)
{
  for (; c < end && c % 2 != 0; c++)
    dst[c] = levels[codes[c / 2] >> 4] * scale;
  for (; c + DECODE4_RUN <= end; c += DECODE4_RUN)
    decode4_run (levels, codes + c / 2, scale, dst + c);
  for (; c < end; c++)
    dst[c] = levels[codes[c / 2] >> (c % 2 * 4) & 15] * scale;
}
