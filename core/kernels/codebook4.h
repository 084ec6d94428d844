/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the level of a table of 16 that is nearest to a number, for one number in each lane of a vector. codebook4.c
   and tests call it. */
#pragma once
#include "kernels/ops.h"

#if QCONV_VECTOR >= 256
#include <immintrin.h>
#define BOOK_LANES (QCONV_VECTOR / 32)
#else
#define BOOK_LANES 4
#endif
#define BOOK_GROUP 16 /* numbers taken together on every level */
#define BOOK_PARTS (BOOK_GROUP / BOOK_LANES)

typedef float BookF __attribute__ ((vector_size (4 * BOOK_LANES)));
typedef gint32 BookI __attribute__ ((vector_size (4 * BOOK_LANES)));

/**
 * Book: a table sorted by value. Places count from the lowest level.
 *
 * @levels: by place
 * @thresholds: midway between neighbours; the last one is never reached
 * @codes: by place, as book_find() returns it
 * @third, @first: thresholds from that place on, for halving with one register
 * @quarters, @eighths: every fourth threshold from the second on, twice; every second one
 * @even, @odd: every second level
 * @bytes: the codes, twice
 *
 * With 256 bits all but @levels and @thresholds are by minus the place, as comparisons count down
 */
typedef struct {
  float levels[16], thresholds[16];
  gint32 codes[16];
#if QCONV_VECTOR == 512
  float third[16], first[16];
#elif QCONV_VECTOR == 256
  float quarters[8], eighths[8], even[8], odd[8];
  guint8 bytes[32];
#endif
} Book;

/* Sorts @table, which is by code. Equal levels, like the two zeros of FP4, stay in the order of their codes */
static inline void
book_init (Book *b, const float table[16])
{
  guint8 order[16];

  for (guint8 code = 0; code < 16; code++)
    {
      guint at = code;

      for (; at > 0 && table[code] < table[order[at - 1]]; at--)
        order[at] = order[at - 1];
      order[at] = code;
    }
  for (guint i = 0; i < 16; i++)
    {
      b->codes[i] = order[i];
      b->levels[i] = table[order[i]];
      b->thresholds[i] = i < 15 ? (table[order[i]] + table[order[i + 1]]) / 2.0f : 0.0f;
    }
#if QCONV_VECTOR == 512
  for (guint i = 0; i < 16; i++)
    {
      b->third[i] = b->thresholds[MIN (i + 3, 15)];
      b->first[i] = b->thresholds[MIN (i + 1, 15)];
    }
#elif QCONV_VECTOR == 256
  for (guint i = 0; i < 8; i++)
    {
      guint at = -i & 7;

      b->quarters[at] = b->thresholds[4 * (i % 4) + 1];
      b->eighths[at] = b->thresholds[2 * i];
      b->even[at] = b->levels[2 * i];
      b->odd[at] = b->levels[2 * i + 1];
    }
  for (guint i = 0; i < 16; i++)
    b->codes[-i & 15] = b->bytes[-i & 15] = b->bytes[16 + (-i & 15)] = order[i];
#endif
}

static inline BookF
book_load (const float *x)
{
  BookF v;

  memcpy (&v, x, sizeof v);
  return v;
}

#if QCONV_VECTOR == 256
/* Returns minus how many of every second threshold lie below @t: by three halvings */
static inline BookI
book_find_pair (const Book *b, BookF t)
{
  const __m256 x = (__m256) t, high = _mm256_cmp_ps (x, _mm256_set1_ps (b->thresholds[7]), _CMP_GT_OQ);
  __m256 limit = _mm256_blendv_ps (_mm256_set1_ps (b->thresholds[3]), _mm256_set1_ps (b->thresholds[11]), high);
  BookI at = (BookI) high + (BookI) high + (BookI) _mm256_cmp_ps (x, limit, _CMP_GT_OQ);

  limit = _mm256_permutevar_ps (_mm256_loadu_ps (b->quarters), (__m256i) at);
  return at + at + (BookI) _mm256_cmp_ps (x, limit, _CMP_GT_OQ);
}

/* Returns whether the threshold between the levels of pair @at lies below @t, as a mask */
static inline __m256
book_above (const Book *b, BookF t, BookI at)
{
  __m256 limit = _mm256_permutevar8x32_ps (_mm256_loadu_ps (b->eighths), (__m256i) at);

  return _mm256_cmp_ps ((__m256) t, limit, _CMP_GT_OQ);
}
#endif

/* Returns how many thresholds lie below @t, or minus that with 256 bits: by four halvings, or by a comparison with
   each */
static inline BookI
book_find (const Book *b, BookF t)
{
#if QCONV_VECTOR == 512
  const __m512 x = (__m512) t;
  __m512i at = _mm512_maskz_set1_epi32 (_mm512_cmp_ps_mask (x, _mm512_set1_ps (b->thresholds[7]), _CMP_GT_OQ), 8);
  __m512 limit = _mm512_permutexvar_ps (at, _mm512_loadu_ps (b->third));

  at = _mm512_mask_or_epi32 (at, _mm512_cmp_ps_mask (x, limit, _CMP_GT_OQ), at, _mm512_set1_epi32 (4));
  limit = _mm512_permutexvar_ps (at, _mm512_loadu_ps (b->first));
  at = _mm512_mask_or_epi32 (at, _mm512_cmp_ps_mask (x, limit, _CMP_GT_OQ), at, _mm512_set1_epi32 (2));
  limit = _mm512_permutexvar_ps (at, _mm512_loadu_ps (b->thresholds));
  return (BookI) _mm512_mask_or_epi32 (at, _mm512_cmp_ps_mask (x, limit, _CMP_GT_OQ), at, _mm512_set1_epi32 (1));
#elif QCONV_VECTOR == 256
  BookI at = book_find_pair (b, t);

  return at + at + (BookI) book_above (b, t, at);
#else
  BookI at = { 0 };

  for (guint i = 0; i < 15; i++)
    at -= t > b->thresholds[i];
  return at;
#endif
}

/* Returns items @at of a table of 16, floats or integers */
static inline BookI
book_pick (const void *table, BookI at)
{
#if QCONV_VECTOR == 512
  return (BookI) _mm512_permutexvar_epi32 ((__m512i) at, _mm512_loadu_si512 (table));
#elif QCONV_VECTOR == 256
  const float *low = table, *high = low + 8;

  return (BookI) _mm256_blendv_ps (_mm256_permutevar8x32_ps (_mm256_loadu_ps (low), (__m256i) at),
                                   _mm256_permutevar8x32_ps (_mm256_loadu_ps (high), (__m256i) at),
                                   _mm256_castsi256_ps (_mm256_slli_epi32 ((__m256i) at, 28)));
#else
  BookI picked;

  for (guint i = 0; i < BOOK_LANES; i++)
    memcpy ((guint8 *) &picked + 4 * i, (const guint8 *) table + 4 * at[i], 4);
  return picked;
#endif
}

static inline BookF
book_nearest (const Book *b, BookF t)
{
#if QCONV_VECTOR == 256
  BookI at = book_find_pair (b, t);

  return (BookF) _mm256_blendv_ps (_mm256_permutevar8x32_ps (_mm256_loadu_ps (b->even), (__m256i) at),
                                   _mm256_permutevar8x32_ps (_mm256_loadu_ps (b->odd), (__m256i) at),
                                   book_above (b, t, at));
#else
  return (BookF) book_pick (b->levels, book_find (b, t));
#endif
}

/* Writes the codes of @n numbers times @factor, a byte each. @n must be a multiple of BOOK_GROUP */
static inline void
book_find_codes (const Book *b, const float *x, gsize n, float factor, guint8 *dst)
{
  gsize i = 0;

#if QCONV_VECTOR == 256
  const __m256i bytes = _mm256_loadu_si256 ((const __m256i *) b->bytes),
                order = _mm256_setr_epi32 (0, 4, 1, 5, 2, 6, 3, 7);

  for (; i + 32 <= n; i += 32)
    {
      __m256i at[4];

      for (guint k = 0; k < 4; k++)
        at[k] = (__m256i) book_find (b, book_load (x + i + 8 * k) * factor);
      at[0] = _mm256_packs_epi16 (_mm256_packs_epi32 (at[0], at[1]), _mm256_packs_epi32 (at[2], at[3]));
      at[0] = _mm256_and_si256 (_mm256_permutevar8x32_epi32 (at[0], order), _mm256_set1_epi8 (15));
      at[0] = _mm256_shuffle_epi8 (bytes, at[0]);
      _mm256_storeu_si256 ((__m256i *) (dst + i), at[0]);
    }
#endif
  for (; i < n; i += BOOK_LANES)
    {
      BookI codes = book_pick (b->codes, book_find (b, book_load (x + i) * factor));
#if QCONV_VECTOR == 512
      _mm_storeu_si128 ((__m128i *) (dst + i), _mm512_cvtepi32_epi8 ((__m512i) codes));
#else
      for (guint k = 0; k < BOOK_LANES; k++)
        dst[i + k] = (guint8) codes[k];
#endif
    }
}

/* Sums up the lanes; item i was added to lane i modulo 16 */
static inline float
book_sum (const BookF lanes[BOOK_PARTS])
{
#if QCONV_VECTOR >= 256
#if QCONV_VECTOR == 512
  __m256 eight
      = _mm256_add_ps (_mm512_castps512_ps256 ((__m512) lanes[0]), _mm512_extractf32x8_ps ((__m512) lanes[0], 1));
#else
  __m256 eight = (__m256) (lanes[0] + lanes[1]);
#endif
  __m128 four = _mm_add_ps (_mm256_castps256_ps128 (eight), _mm256_extractf128_ps (eight, 1));
  __m128 two = _mm_add_ps (four, _mm_movehl_ps (four, four));

  return _mm_cvtss_f32 (_mm_add_ss (two, _mm_movehdup_ps (two)));
#else
  float t[BOOK_GROUP];

  memcpy (t, lanes, sizeof t);
  for (guint width = BOOK_GROUP / 2; width > 0; width /= 2)
    for (guint i = 0; i < width; i++)
      t[i] += t[i + width];
  return t[0];
#endif
}
