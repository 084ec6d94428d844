/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches the factors of many blocks as search_every_factor() does, by the exact errors of those factors only that may
   have the least one. codebook4.c calls it. */
#pragma once
#include "kernels/codebook4-search.h"

#if QCONV_VECTOR >= 256
#include <float.h>
#include <math.h>

#include "kernels/codebook4-bounds.h"

#define LIKELY_BLOCKS 64 /* searched together, so that no block waits for the results of another one */
#define LIKELY_TRIALS 3  /* of a block: under the lowest lane's factor, and under those beside it */
#define LIKELY_NEAR 7    /* one bound is near another one if it is above it by less than 2^-7 of it */
#define LIKELY_LANES_NONE (1u << BOUND_LANES)

/**
 * Likely: what is known of a block.
 *
 * @least: bounds by lane
 * @at: the lane of the base with the lowest one
 * @open: lanes that must be above the limit of that one's error
 */
typedef struct {
  gint32 least[BOUND_LANES];
  guint at, open;
  Trial trials[LIKELY_TRIALS];
} Likely;

/* The lanes of the factors beside those of the base, the lower one first; BOUND_LANES: none */
static const guint8 likely_beside[BOUND_BASE][2] = { { 13, 12 }, { 14, 13 }, { 15, 14 }, { 16, 15 }, { 16, 16 },
                                                     { 16, 16 }, { 12, 11 }, { 11, 16 }, { 16, 16 }, { 16, 16 } };

/* Returns the limit of an error: a factor whose bound is above it has a larger error.
   Weights lie up to 2^-18 from where bounds_find() sees them, and FP32 adds less than 2^-21, here and in the reference.
   Roots of errors then differ by less than sqrt (n) times that; so errors differ by less than 2^-12 of themselves and
   2^-23 for every weight. Sums of them round by less than 2^-12. */
static inline gint32
likely_limit (gsize n, float error)
{
  float limit = error * (1.0f + 0x1p-11f) + (float) n * 0x1p-23f;

  return (gint32) MIN (limit * (BOUND_PARTS * BOUND_UNITS), 0x7fffff00p0f);
}

/* Returns lanes up to the limit as bits, with LIKELY_LANES_NONE */
static inline guint
likely_lanes (const gint32 least[BOUND_LANES], gint32 limit)
{
  const __m256i *v = (const __m256i *) least, most = _mm256_set1_epi32 (limit);
  __m256i low = _mm256_cmpgt_epi32 (_mm256_loadu_si256 (v), most);
  __m256i high = _mm256_cmpgt_epi32 (_mm256_loadu_si256 (v + 1), most);
  guint above = (guint) _mm256_movemask_ps (_mm256_castsi256_ps (low));

  above |= (guint) _mm256_movemask_ps (_mm256_castsi256_ps (high)) << 8;
  return ~above & (2 * LIKELY_LANES_NONE - 1);
}

/* Returns the lowest lane of the base: the lowest number with the lane in its last bits */
static inline guint
likely_lowest (const gint32 least[BOUND_LANES])
{
  const __m256i low = _mm256_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7), keep = _mm256_set1_epi32 (-BOUND_LANES);
  const __m256i high
      = _mm256_blend_epi32 (_mm256_set1_epi32 (G_MAXINT32), _mm256_setr_epi32 (8, 9, 0, 0, 0, 0, 0, 0), 3);
  __m256i a = _mm256_or_si256 (_mm256_and_si256 (_mm256_loadu_si256 ((const __m256i *) least), keep), low);
  __m256i b = _mm256_or_si256 (_mm256_and_si256 (_mm256_loadu_si256 ((const __m256i *) least + 1), keep), high);
  __m128i m;

  a = _mm256_min_epi32 (a, b);
  m = _mm_min_epi32 (_mm256_castsi256_si128 (a), _mm256_extracti128_si256 (a, 1));
  m = _mm_min_epi32 (m, _mm_shuffle_epi32 (m, 0x4e));
  m = _mm_min_epi32 (m, _mm_shuffle_epi32 (m, 0xb1));
  return (guint) _mm_cvtsi128_si32 (m) & (BOUND_LANES - 1);
}

/* Returns the better one of a factor and the one that fits its codes. With the same codes the error falls by
   squares * away^2, and the nearest codes cannot raise it. Sums make the fit wrong by less than @rounding of it, and
   either error by that part; distances wrong by less than 2^-23 change either by less than 2^-18 of it and 2^-28 for
   every weight. All this is less than the limits */
static inline float
likely_fitting (const Search *s, Trial t)
{
  float fit = t.products / t.squares, away = fabsf (fit - t.factor), n = (float) s->n;
  float rounding = (n / BOOK_GROUP + 8.0f) * 0x1p-23f;

  if (!(fit > 0.0f && fit < 2.0f))
    return t.factor;
  if (away > 64.0f * rounding && t.squares * away * away > 2.5f * ((rounding + 0x1p-18f) * t.error + n * 0x1p-28f))
    return fit;
  return try_factor (s, fit).error < t.error ? fit : t.factor;
}

/* Returns whether no factor of the tail is tried, or none of them can have an error up to the limit. They are not tried
   if three lanes in a row are no better than one of the first three. */
static gboolean
likely_tail_ends (const Search *s, const Bounds *bounds, const gint32 *least, guint at, gint32 limit)
{
  guint lane = least[1] < least[0] ? 1 : 0;

  if (at < 3 || least[BOUND_TAIL] > limit)
    return TRUE;
  if (at < BOUND_DOWN)
    return FALSE;
  lane = least[2] < least[lane] ? 2 : lane;
  limit = likely_limit (s->n, try_factor (s, bounds->factors[lane]).error);
  return least[lane + 1] > limit && least[lane + 2] > limit && least[lane + 3] > limit;
}

/* Searches a block whose trials leave open what is best: by the exact errors of all factors that may have the least
   one. Those down from 1 end when three in a row are no better, so some may not be tried: the first four always are. */
static float
likely_search_more (Search *s, const Bounds *bounds, const Likely *l)
{
  guint at = l->at;
  Trial best = l->trials[0];
  guint open = likely_lanes (l->least, likely_limit (s->n, best.error)) & ((1u << BOUND_BASE) - 1) & ~(1u << at);
  float centre;

  for (; open != 0; open &= open - 1)
    {
      guint lane = (guint) __builtin_ctz (open);
      Trial t = try_factor (s, bounds->factors[lane]);
      gboolean better = t.error < best.error || (t.error <= best.error && lane < at);

      at = better ? lane : at;
      best = better ? t : best;
    }
  if ((at > 3 && at < BOUND_DOWN) || !likely_tail_ends (s, bounds, l->least, at, likely_limit (s->n, best.error)))
    return search_every_factor (s);
  centre = best.factor;
  for (guint k = 1; k <= 2; k++)
    {
      guint lane = likely_beside[at][k - 1];
      gboolean tried = at == l->at && l->trials[k].error < FLT_MAX;

      if (tried || lane == BOUND_LANES || l->least[lane] <= likely_limit (s->n, best.error))
        {
          Trial t = tried ? l->trials[k] : try_factor (s, k == 1 ? centre - BOOK_BESIDE : centre + BOOK_BESIDE);

          best = t.error < best.error ? t : best;
        }
    }
  return likely_fitting (s, best);
}

/* Lists the trials that block @u needs: under the factor of the lowest lane, and under those beside it that have no
   lane or may be better. Returns how many */
static inline guint
likely_list (const Bounds *bounds, Likely *l, const float *u, Task tasks[LIKELY_TRIALS])
{
  /* all other lanes of the base; the tail, unless three lanes down from this one come before it */
  static const guint rivals[BOUND_BASE]
      = { 0x3fe, 0x3fd, 0x3fb, 0x7f7, LIKELY_LANES_NONE, LIKELY_LANES_NONE, 0x7bf, 0x77f, 0x6ff, 0x5ff };
  guint at = likely_lowest (l->least), below = likely_beside[at][0], above = likely_beside[at][1];
  guint near = likely_lanes (l->least, l->least[at] + (l->least[at] >> LIKELY_NEAR)), n = 1;
  float centre = bounds->factors[at];

  l->at = at;
  l->open = rivals[at] | (~near & (1u << below | 1u << above));
  l->trials[0].factor = centre;
  l->trials[1] = (Trial) { .factor = centre - BOOK_BESIDE, .error = FLT_MAX };
  l->trials[2] = (Trial) { .factor = centre + BOOK_BESIDE, .error = FLT_MAX };
  tasks[0] = (Task) { &l->trials[0], u };
  tasks[n] = (Task) { &l->trials[1], u };
  n += near >> below & 1;
  tasks[n] = (Task) { &l->trials[2], u };
  n += near >> above & 1;
  return n;
}

/* Returns the factor of a block after its trials */
static inline float
likely_choose (Search *s, const Bounds *bounds, const Likely *l)
{
  const Trial *best = l->trials;

  if (!(best->products > 0.0f)) /* only zeros */
    return best->factor;
  if ((likely_lanes (l->least, likely_limit (s->n, best->error)) & l->open) != 0)
    return likely_search_more (s, bounds, l);
  best = l->trials[1].error < best->error ? &l->trials[1] : best;
  best = l->trials[2].error < best->error ? &l->trials[2] : best;
  return likely_fitting (s, *best);
}

/* Sets the factors of @blocks blocks, at most LIKELY_BLOCKS; @s: the first one */
static void
likely_search_some (Search s, const Bounds *bounds, guint blocks, float *factors)
{
  const float *u = s.u;
  Likely likely[LIKELY_BLOCKS];
  Task tasks[LIKELY_BLOCKS * LIKELY_TRIALS + 1];
  guint n = 0;

  for (guint b = 0; b < blocks; b++)
    {
      bounds_find (bounds, u + b * s.n, s.n, likely[b].least);
      n += likely_list (bounds, &likely[b], u + b * s.n, tasks + n);
    }
  tasks[n] = tasks[0];
  for (guint i = 0; i < n; i += 2)
    run_tasks (s.book, s.n, tasks + i, 2);
  for (guint b = 0; b < blocks; b++)
    {
      s.u = u + b * s.n;
      factors[b] = likely_choose (&s, bounds, &likely[b]);
    }
}

/* Sets the factors of blocks as far as bounds hold; @s: the first one. Returns of how many */
static inline gsize
likely_search (Search s, const Bounds *bounds, gsize blocks, float *factors)
{
  const float *u = s.u;

  if (!bounds->hold)
    return 0;
  for (gsize b = 0; b < blocks; b += LIKELY_BLOCKS)
    {
      s.u = u + b * s.n;
      likely_search_some (s, bounds, (guint) MIN (blocks - b, LIKELY_BLOCKS), factors + b);
    }
  return blocks;
}
#else
typedef struct {
  gboolean hold;
} Bounds;

static inline void
bounds_init (Bounds *bounds, const Book *b, gsize block, gsize n)
{
  bounds->hold = FALSE;
}

static inline gsize
likely_search (Search s, const Bounds *bounds, gsize blocks, float *factors)
{
  return 0;
}
#endif
