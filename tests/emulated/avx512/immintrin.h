/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands before the compiler's header where sources of the level avx512 are compiled for processors without it. SIMDe
   emulates most of what such a processor does; the rest of what our kernels use is here, as Intel's Intrinsics Guide
   defines it. */
#pragma once
#include_next <immintrin.h>

/* SIMDe asks whether these are macros before it defines them as types, which clang has */
#define __mmask16 __mmask16
#define __mmask32 __mmask32
#define __mmask64 __mmask64
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <string.h>

static inline __m256
emulated_extractf32x8_ps (__m512 a, int half)
{
  __m256 halves[2];

  memcpy (halves, &a, sizeof a);
  return halves[half];
}

static inline __m512
emulated_join_ps (__m256 low, __m256 high)
{
  return _mm512_insertf32x8 (_mm512_castps256_ps512 (low), high, 1);
}

static inline __m512i
emulated_join_si256 (__m256i low, __m256i high)
{
  return _mm512_inserti64x4 (_mm512_castsi256_si512 (low), high, 1);
}

static inline __m512i
emulated_broadcast_i32x8 (__m256i a)
{
  return emulated_join_si256 (a, a);
}

static inline __m512i
emulated_cvtepu8_epi32 (__m128i a)
{
  return emulated_join_si256 (_mm256_cvtepu8_epi32 (a), _mm256_cvtepu8_epi32 (_mm_srli_si128 (a, 8)));
}

static inline __m128i
emulated_cvtepi32_epi8 (__m512i a)
{
  int32_t words[16];
  int8_t bytes[16];

  memcpy (words, &a, sizeof a);
  for (int i = 0; i < 16; i++)
    bytes[i] = (int8_t) words[i];
  return _mm_loadu_si128 ((const __m128i *) (const void *) bytes);
}

static inline __m512
emulated_cvtepi32_ps (__m512i a)
{
  return emulated_join_ps (_mm256_cvtepi32_ps (_mm512_castsi512_si256 (a)),
                           _mm256_cvtepi32_ps (_mm512_extracti64x4_epi64 (a, 1)));
}

static inline __m512i
emulated_cvtps_epi32 (__m512 a)
{
  return emulated_join_si256 (_mm256_cvtps_epi32 (_mm512_castps512_ps256 (a)),
                              _mm256_cvtps_epi32 (emulated_extractf32x8_ps (a, 1)));
}

static inline __m512
emulated_cvtph_ps (__m256i a)
{
  return emulated_join_ps (_mm256_cvtph_ps (_mm256_castsi256_si128 (a)),
                           _mm256_cvtph_ps (_mm256_extracti128_si256 (a, 1)));
}

static inline __m512i
emulated_mulhi_epu16 (__m512i a, __m512i b)
{
  return emulated_join_si256 (_mm256_mulhi_epu16 (_mm512_castsi512_si256 (a), _mm512_castsi512_si256 (b)),
                              _mm256_mulhi_epu16 (_mm512_extracti64x4_epi64 (a, 1), _mm512_extracti64x4_epi64 (b, 1)));
}

/* Halves are added until one sum remains */
static inline float
emulated_reduce_add_ps (__m512 a)
{
  float sums[16];

  memcpy (sums, &a, sizeof a);
  for (int n = 8; n > 0; n /= 2)
    for (int i = 0; i < n; i++)
      sums[i] += sums[i + n];
  return sums[0];
}

/* the rounding must be a constant where it is used */
#define emulated_cvtps_ph(a, rounding)                                                \
  _mm256_set_m128i (_mm256_cvtps_ph (emulated_extractf32x8_ps (a, 1), (rounding) &7), \
                    _mm256_cvtps_ph (_mm512_castps512_ps256 (a), (rounding) &7))

/* Newer SIMDe has some of them, too */
#undef _mm512_broadcast_i32x8
#define _mm512_broadcast_i32x8 emulated_broadcast_i32x8
#undef _mm512_cvtepi32_epi8
#define _mm512_cvtepi32_epi8 emulated_cvtepi32_epi8
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#undef _mm512_cvtepu8_epi32
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps emulated_cvtph_ps
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#undef _mm512_cvtps_ph
#define _mm512_cvtps_ph emulated_cvtps_ph
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps emulated_extractf32x8_ps
#undef _mm512_mulhi_epu16
#define _mm512_mulhi_epu16 emulated_mulhi_epu16
#undef _mm512_reduce_add_ps
#define _mm512_reduce_add_ps emulated_reduce_add_ps
/* SIMDe 0.7.4 gives the name four arguments, which are those of the masked one */
#undef _mm512_madd_epi16
#define _mm512_madd_epi16 simde_mm512_madd_epi16
