/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Estimates the errors of 4-bit integers under several scales with 16-bit numbers, to exclude scales. int4-group.c
   calls it. */
#pragma once
#include <float.h>
#include <math.h>

#include "kernels/items/integers.h"
#include "kernels/ops.h"

static inline guint
int4_exclude_none (gboolean may_win[INT4_SCALES])
{
  for (guint i = 0; i < INT4_SCALES; i++)
    may_win[i] = TRUE;
  return INT4_SCALES;
}

#if QCONV_VECTOR >= 256
#include "kernels/vector.h"

#define INT4_ITEMS (2 * LANES) /* of 16 bits, in a vector */
#define INT4_RUN 8             /* vectors whose squares 32 bits hold: 2 * (2.8 * 4096)^2 * 8 < 2^31 */
#define INT4_LARGEST 4096      /* weights of a group */
/* One step of the code, in the units of estimates: products of 16 bits then hold |w|/scale */
#define INT4_PARTS 4096
#define INT4_LEAST_Q 4.0f
#define INT4_LARGEST_Q 9.8f
/* The largest error of an estimated distance, in units: up to 0.5 from the 16 bits of |w|, 0.5 from those of the
   factor, 1 from cutting the product, 0.05 from rounding in FP32, here and in the reference */
#define INT4_UNSURE 2.05f
/* Squares and scales stay normal numbers of FP32 between these */
#define INT4_LOWEST 0x1p-40f
#define INT4_HIGHEST 0x1p40f

static inline VecRaw
int4_share (const float *w, VecF factor)
{
  VecF low = vec_abs (VEC (loadu_ps) (w)), high = vec_abs (VEC (loadu_ps) (w + LANES));

  return (VecRaw) (vec_round_to_int (low * factor) | vec_round_to_int (high * factor) << 16);
}

/* Sets the shares to |w| as 16-bit parts of the group's largest, in any order, and fills up with zeros to whole runs.
   Returns the number of vectors. */
static inline gsize
int4_shares (const float *w, gsize n, float top, VecRaw shares[INT4_LARGEST / INT4_ITEMS + INT4_RUN])
{
  const VecF factor = vec_set (65535.0f / top);
  gsize used = 0, i = 0;

  for (; i + INT4_ITEMS <= n; i += INT4_ITEMS)
    shares[used++] = int4_share (w + i, factor);
  if (i < n)
    {
      float padded[INT4_ITEMS] = { 0.0f };

      memcpy (padded, w + i, (n - i) * sizeof *w);
      shares[used++] = int4_share (padded, factor);
    }
  while (used % INT4_RUN != 0)
    shares[used++] = (VecRaw) { 0 };
  return used;
}

/* Estimates the sum of squared distances to the nearest of 0 to 7, in units. @top_q: |w|/scale of the largest weight */
static inline float
int4_sum (const VecRaw *shares, gsize n, float top_q)
{
  VecRaw factor = VEC (set1_epi16) ((gint16) (guint16) (top_q * (INT4_PARTS * 65536.0f / 65535.0f) + 0.5f));
  const VecRaw most = VEC (set1_epi16) (7 * INT4_PARTS), half = VEC (set1_epi16) (INT4_PARTS / 2);
  const VecRaw whole = VEC (set1_epi16) (-INT4_PARTS);
  VecF all = { 0 };

  for (gsize i = 0; i < n; i += INT4_RUN)
    {
      VecRaw squares = { 0 };

      for (guint k = 0; k < INT4_RUN; k++)
        {
          VecRaw q = VEC (mulhi_epu16) (shares[i + k], factor);
          VecRaw nearest = VEC (add_epi16) (VEC (min_epu16) (q, most), half) & whole;
          VecRaw d = VEC (sub_epi16) (q, nearest);

          squares = VEC (add_epi32) (squares, VEC (madd_epi16) (d, d));
        }
      all += vec_of_int ((VecI) squares);
    }
  return vec_sum (all);
}

/* Returns whether estimates hold for all scales: squares and FP32 neither overflow nor lose bits */
static inline gboolean
int4_may_estimate (gsize n, float top, const float *scales)
{
  gboolean may = n <= INT4_LARGEST && top >= INT4_LOWEST && top <= INT4_HIGHEST;

  for (guint i = 0; i < INT4_SCALES; i++)
    may &= top / scales[i] >= INT4_LEAST_Q && top / scales[i] <= INT4_LARGEST_Q;
  return may;
}

/* Sets which scales may have the least error, and returns how many they are. The estimates bound the errors' roots. The
   reference's sums of up to 256 squares, and those here, round by less than 2^-15 */
static inline guint
int4_exclude (const float *w, gsize n, float top, const float *scales, gboolean may_win[INT4_SCALES])
{
  VecRaw shares[INT4_LARGEST / INT4_ITEMS + INT4_RUN];
  float sums[INT4_SCALES], lower[INT4_SCALES], least = FLT_MAX, unsure = INT4_UNSURE * sqrtf ((float) n);
  gsize used;
  guint left = 0;

  if (!int4_may_estimate (n, top, scales))
    return int4_exclude_none (may_win);
  used = int4_shares (w, n, top, shares);
  for (guint i = 0; i < INT4_SCALES; i++)
    sums[i] = int4_sum (shares, used, top / scales[i]);
  for (guint i = 0; i < INT4_SCALES; i++)
    {
      float norm = sqrtf (sums[i]), upper = scales[i] * (norm * (1.0f + 0x1p-15f) + unsure);

      lower[i] = scales[i] * (norm * (1.0f - 0x1p-15f) - unsure);
      least = upper < least ? upper : least;
    }
  for (guint i = 0; i < INT4_SCALES; i++)
    {
      may_win[i] = lower[i] <= least;
      left += may_win[i];
    }
  return left;
}
#else
static inline guint
int4_exclude (const float *w, gsize n, float top, const float *scales, gboolean may_win[INT4_SCALES])
{
  return int4_exclude_none (may_win);
}
#endif
