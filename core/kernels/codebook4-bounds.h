/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bounds from below the errors of a block under 16 factors of its largest magnitude, in one pass over its weights.
   codebook4-likely.h calls it.

   Under a factor f a weight u has the squared distance to the nearest level times f. Less u * u, that is the least of
   one line for every level, and so concave: it is nowhere below the line between two of its points. A table holds such
   lines for small cells of u, and the bound is a sum of lines. */
#pragma once
#include "kernels/codebook4.h"
#include "kernels/items/codebook4.h"

#define BOUND_LANES 16    /* one for a factor */
#define BOUND_DOWN 6      /* lanes of factors from 1 down */
#define BOUND_BASE 10     /* those, and all of factors up from 1 */
#define BOUND_TAIL 10     /* the lane of all factors from BOUND_TAIL_FACTOR down */
#define BOUND_CELLS 512   /* from -1 to 1 */
#define BOUND_PARTS 512   /* of a cell */
#define BOUND_LARGEST 128 /* weights of a block: 32 bits hold the sum of as many times 2^15 BOUND_PARTS */
#define BOUND_LEAST 16384 /* weights to search: for fewer ones it takes too long to prepare bounds */
#define BOUND_UNITS 0x1p18f
#define BOUND_TAIL_FACTOR 0.7f
/* Lines must be below the points by what the line between two points of u * u can be above it, 1 unit; 0.5 for
   rounding, and 0.1 for FP32 */
#define BOUND_BELOW 1.6f

/**
 * Bounds: what holds for one table of levels.
 *
 * @lines: by cell and lane: the height in BOUND_UNITS where the cell starts, and the rise up to the next one
 * @factors: by lane
 * @hold: whether blocks may be searched by them
 */
typedef struct {
  gint16 lines[BOUND_CELLS + 1][BOUND_LANES][2] __attribute__ ((aligned (64)));
  float factors[BOUND_LANES];
  gboolean hold;
} Bounds;

/* Returns how far weights are from the levels under the factor of a lane. In the tail the largest ones alone are at
   least as far as from that factor */
static inline BookF
bounds_distance (const Book *b, guint lane, float factor, BookF u)
{
  const float inverse = 1.0f / factor;
  BookF beyond = (BookF) ((BookI) u & G_MAXINT32) - factor;

  if (lane == BOUND_TAIL)
    return (BookF) ((BookI) beyond & (beyond > 0.0f));
  return u - book_nearest (b, u * inverse) * factor;
}

/* Fills one lane. Returns FALSE if 16 bits do not hold its lines */
static inline gboolean
bounds_fill_lane (Bounds *bounds, const Book *b, guint lane)
{
  gint heights[BOUND_CELLS + BOOK_GROUP];
  gboolean may = TRUE;

  for (gint i = 0; i <= BOUND_CELLS; i += BOOK_LANES)
    {
      BookF u = { 0 }, d;

      for (gint k = 0; k < BOOK_LANES; k++)
        u[k] = (float) (i + k - BOUND_CELLS / 2) / (BOUND_CELLS / 2);
      d = bounds_distance (b, lane, bounds->factors[lane], u);
      d = d * d * BOUND_UNITS - BOUND_BELOW;
      for (gint k = 0; k < BOOK_LANES; k++)
        {
          may &= i + k > BOUND_CELLS || d[k] < 32767.0f;
          heights[i + k] = d[k] < 32767.0f ? (gint) rintf (d[k]) : 0;
        }
    }
  for (guint i = 0; i <= BOUND_CELLS; i++)
    {
      bounds->lines[i][lane][0] = (gint16) heights[i];
      bounds->lines[i][lane][1] = (gint16) (i < BOUND_CELLS ? heights[i + 1] - heights[i] : 0);
    }
  return may;
}

/* Prepares bounds for @n weights in blocks. They hold for tables with a zero and no level beyond 1 */
static inline void
bounds_init (Bounds *bounds, const Book *b, gsize block, gsize n)
{
  static const float others[BOUND_LANES - BOUND_BASE] = { BOUND_TAIL_FACTOR, 1.075f, 1.025f, 0.975f, 0.925f, 0.875f };
  gboolean zero = FALSE;

  for (guint i = 0; i < 16; i++)
    zero |= b->levels[i] == 0.0f;
  bounds->hold = zero && b->levels[0] >= -1.0f && b->levels[15] <= 1.0f && block <= BOUND_LARGEST && n >= BOUND_LEAST;
  for (guint lane = 0; lane < BOUND_LANES && bounds->hold; lane++)
    {
      bounds->factors[lane] = lane == 0           ? 1.0f
                              : lane < BOUND_DOWN ? book_down[lane - 1]
                              : lane < BOUND_BASE ? book_up[lane - BOUND_DOWN]
                                                  : others[lane - BOUND_BASE];
      bounds->hold = bounds_fill_lane (bounds, b, lane);
    }
}

/* Adds the lines of one weight to @sums. @pair: its part of the cell, with the factor of the height */
static inline void
bounds_add (const Bounds *bounds, guint32 row, __m256i pair, __m256i sums[2])
{
  const __m256i *line = (const __m256i *) ((const guint8 *) bounds->lines + row);

  sums[0] = _mm256_add_epi32 (sums[0], _mm256_madd_epi16 (_mm256_loadu_si256 (line), pair));
  sums[1] = _mm256_add_epi32 (sums[1], _mm256_madd_epi16 (_mm256_loadu_si256 (line + 1), pair));
}

/* Sets what the errors of all lanes cannot go below, in BOUND_PARTS of BOUND_UNITS. @u: weights over the largest one;
   @n: at most BOUND_LARGEST */
static inline void
bounds_find (const Bounds *bounds, const float *u, gsize n, gint32 least[BOUND_LANES])
{
  const __m256i centre = _mm256_set1_epi32 (BOUND_CELLS / 2 * BOUND_PARTS);
  const __m256 scale = _mm256_set1_ps (BOUND_CELLS / 2 * BOUND_PARTS);
  guint32 rows[BOUND_LARGEST], pairs[BOUND_LARGEST]; /* rows in bytes */
  __m256i sums[2] = { _mm256_setzero_si256 (), _mm256_setzero_si256 () };

  G_STATIC_ASSERT (sizeof bounds->lines[0] == BOUND_PARTS / 8);
  for (gsize i = 0; i < n; i += 8)
    {
      __m256i at = _mm256_cvtps_epi32 (_mm256_mul_ps (_mm256_loadu_ps (u + i), scale)), row, part;

      at = _mm256_add_epi32 (at, centre);
      row = _mm256_and_si256 (_mm256_srli_epi32 (at, 3), _mm256_set1_epi32 (-BOUND_PARTS / 8));
      part = _mm256_slli_epi32 (_mm256_and_si256 (at, _mm256_set1_epi32 (BOUND_PARTS - 1)), 16);
      _mm256_storeu_si256 ((__m256i *) (rows + i), row);
      _mm256_storeu_si256 ((__m256i *) (pairs + i), _mm256_or_si256 (part, _mm256_set1_epi32 (BOUND_PARTS)));
    }
  for (gsize i = 0; i < n; i += 4)
    {
      const __m256i four = _mm256_broadcastsi128_si256 (_mm_loadu_si128 ((const __m128i *) (pairs + i)));

      bounds_add (bounds, rows[i], _mm256_shuffle_epi32 (four, 0x00), sums);
      bounds_add (bounds, rows[i + 1], _mm256_shuffle_epi32 (four, 0x55), sums);
      bounds_add (bounds, rows[i + 2], _mm256_shuffle_epi32 (four, 0xaa), sums);
      bounds_add (bounds, rows[i + 3], _mm256_shuffle_epi32 (four, 0xff), sums);
    }
  _mm256_storeu_si256 ((__m256i *) least, sums[0]);
  _mm256_storeu_si256 ((__m256i *) (least + 8), sums[1]);
}
