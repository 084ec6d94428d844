/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes E2M1 and E4M3 in vectors, and searches block scales with them. Lane b holds block b; w[i] is the i-th weight
   of every block. nvfp4-avx2.c and nvfp4-vector.c call it. */
#pragma once
#include <float.h>

#include "kernels/nvfp4.h"
#include "kernels/vector.h"

#define EXPONENT 0x7f800000

static inline void
load_group (QconvDType dtype, const guint8 *src, VecF w[QCONV_NVFP4_BLOCK])
{
  gsize item = dtype == QCONV_F32 ? 4 : 2, step = QCONV_NVFP4_BLOCK * item;
  VecI v[8];

  for (guint half = 0; half < (dtype == QCONV_BF16 ? 1 : 2); half++)
    {
      vec_load_columns (v, src + half * 8 * item, step, dtype == QCONV_F16);
      for (guint i = 0; i < 8; i++)
        if (dtype == QCONV_BF16)
          {
            w[2 * i] = (VecF) (v[i] << 16);
            w[2 * i + 1] = (VecF) (v[i] & (gint32) 0xffff0000);
          }
        else
          w[half * 8 + i] = (VecF) v[i];
    }
}

/* Returns a number whose last place is the E2M1 step at @q (at most 6), so that adding it rounds @q */
static inline VecF
e2m1_rounder (VecF q)
{
  return (VecF) (((VecI) vec_max (q, vec_set (1.0f)) & EXPONENT) + (22 << 23));
}

/* Returns the E4M3 codes of @t, which must be from 0 to 448 */
static inline VecI
e4m3_of_vec (VecF t)
{
  VecI exponent = (VecI) vec_max (t, vec_set (0x1p-6f)) & EXPONENT;
  VecI rounder = exponent + (20 << 23);

  return (VecI) (t + (VecF) rounder) - rounder + (exponent >> 20) - (121 << 3);
}

static inline VecF
vec_of_e4m3 (VecI code)
{
  VecF normal = (VecF) ((code << 20) + (120 << 23));

  return vec_select_less (vec_of_int (code), vec_set (8.0f), vec_of_int (code) * 0x1p-9f, normal);
}

static inline VecF
squared_error (VecF magnitude, VecF inverse)
{
  VecF q = magnitude * inverse, clamped = vec_min (q, vec_set (6.0f)), rounder = e2m1_rounder (clamped);
  VecF d = q - ((clamped + rounder) - rounder);

  return d * d;
}

/* Sums up in the same order as the reference */
static inline VecF
error_of_group (const VecF m[QCONV_NVFP4_BLOCK], VecF inverse)
{
#define TWO(i) (squared_error (m[i], inverse) + squared_error (m[(i) + 8], inverse))
#define FOUR(i) (TWO (i) + TWO ((i) + 4))
  return (FOUR (0) + FOUR (2)) + (FOUR (1) + FOUR (3));
}

static const gint offsets[QCONV_NVFP4_N_OFFSETS] = QCONV_NVFP4_OFFSETS;

/* One candidate of the search in every lane */
typedef struct {
  VecI code;
  VecF scale, inverse;
} Candidate;

static inline Candidate
candidate (VecI start, gint offset, float tensor_scale)
{
  Candidate c;

  c.code = vec_min_int (vec_max_int (start + offset, (VecI) { 0 } + 1), (VecI) { 0 } + 126);
  c.scale = vec_of_e4m3 (c.code) * tensor_scale;
  c.inverse = 1.0f / c.scale;
  return c;
}

/* Searches as the reference does. Must be used if squares may leave the range of FP32 */
static inline VecI
search_every_scale (const VecF m[QCONV_NVFP4_BLOCK], VecF top, VecI start, float tensor_scale)
{
  VecI chosen = start;
  VecF least = vec_set (0.0f);

  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      Candidate c = candidate (start, offsets[i], tensor_scale);
      VecF square = c.scale * c.scale, e;

      /* rounding keeps order: no sum is below the error of its largest weight alone */
      if (i > 0 && vec_all_not_less (squared_error (top, c.inverse) * square, least))
        continue;
      e = error_of_group (m, c.inverse) * square;
      if (i > 0)
        chosen = (VecI) vec_select_less (e, least, (VecF) c.code, (VecF) chosen);
      least = i > 0 ? vec_select_less (e, least, e, least) : e;
    }
  return chosen & (start != 0);
}

#if QCONV_VECTOR >= 256
/* One step of q = |w|/scale in the units of estimates. 16-bit products then hold q below LARGEST_Q, and the squares of
   a block fit 32 bits */
#define PARTS 8192
#define LARGEST_Q 7.99f
/* The largest error of an estimate of sqrt (sum of d*d), in PARTS. Each d is wrong by less than 2.02: up to 0.501 from
   the 16 bits of |w|, 0.5 from those of the factor, 1 from cutting the product, 0.01 from FP32 in either sum. The norm
   of 16 such errors is below 8.08 */
#define UNSURE 8.2f

/* Sets the shares to |w| as 16-bit parts of the block's largest, two to a lane */
static inline void
shares_of_top (const VecF m[QCONV_NVFP4_BLOCK], VecF top, VecRaw shares[QCONV_NVFP4_BLOCK / 2])
{
  VecF factor = 65535.0f / vec_max (top, vec_set (0x1p-100f));

  for (guint i = 0; i < QCONV_NVFP4_BLOCK / 2; i++)
    shares[i] = (VecRaw) (vec_round_to_int (m[2 * i] * factor) | vec_round_to_int (m[2 * i + 1] * factor) << 16);
}

/* Estimates the sum of d*d in PARTS^2; @top_q: |w|/scale of the largest weight, at most LARGEST_Q */
static inline VecRaw
estimate_sum (const VecRaw shares[QCONV_NVFP4_BLOCK / 2], VecF top_q)
{
  VecI factor = vec_round_to_int (top_q * (PARTS * 65536.0f / 65535.0f));
  VecRaw sum = { 0 };

  factor |= factor << 16;
  for (guint i = 0; i < QCONV_NVFP4_BLOCK / 2; i++)
    {
      VecRaw q = VEC (mulhi_epu16) (shares[i], (VecRaw) factor), d = VEC (sub_epi16) (q, vec_nearest_e2m1 (q));

      sum = VEC (add_epi32) (sum, VEC (madd_epi16) (d, d));
    }
  return sum;
}

/* Returns the first candidate with the least exact error, among those that may have it */
static inline VecI
choose_exactly (const VecF m[QCONV_NVFP4_BLOCK], const Candidate c[QCONV_NVFP4_N_OFFSETS],
                const VecI may_win[QCONV_NVFP4_N_OFFSETS], VecI open, VecI chosen)
{
  VecF least = vec_set (FLT_MAX);

  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    if (vec_any (may_win[i] & open))
      {
        VecF e = error_of_group (m, c[i].inverse) * (c[i].scale * c[i].scale);
        VecI better = (e < least) & may_win[i] & open;

        chosen = (better & c[i].code) | (~better & chosen);
        least = (VecF) ((better & (VecI) e) | (~better & (VecI) least));
      }
  return chosen;
}

/* Sets lower[i] to what the error of @c[i] cannot go below, as a norm in PARTS. Returns what the least error cannot
   exceed. Three loops, since divisions and roots would keep the sums waiting. */
static inline VecF
bound_errors (const VecF m[QCONV_NVFP4_BLOCK], VecF top, const Candidate c[QCONV_NVFP4_N_OFFSETS],
              VecF lower[QCONV_NVFP4_N_OFFSETS])
{
  const VecF limit = vec_set (LARGEST_Q);
  VecRaw shares[QCONV_NVFP4_BLOCK / 2], sums[QCONV_NVFP4_N_OFFSETS];
  VecF top_q[QCONV_NVFP4_N_OFFSETS], bound = vec_set (FLT_MAX);

  shares_of_top (m, top, shares);
  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    top_q[i] = top * c[i].inverse;
  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    sums[i] = estimate_sum (shares, vec_min (top_q[i], limit));
  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      VecF unit = vec_of_e4m3 (c[i].code), norm = vec_root (sums[i]);

      /* the largest weight alone can have a large error */
      lower[i] = vec_select_less (top_q[i], limit, unit * (norm - UNSURE), unit * ((top_q[i] - 6.0f) * PARTS - UNSURE));
      bound = vec_min (bound, vec_select_less (top_q[i], limit, unit * (norm + UNSURE), bound));
    }
  return bound;
}

/* Makes the same choice as search_every_scale(). Estimated errors exclude scales that cannot have the least error; if
   several scales are left, their exact errors decide */
static inline VecI
search_likely_scales (const VecF m[QCONV_NVFP4_BLOCK], VecF top, VecI start, float tensor_scale)
{
  Candidate c[QCONV_NVFP4_N_OFFSETS];
  VecF lower[QCONV_NVFP4_N_OFFSETS], bound;
  VecI may_win[QCONV_NVFP4_N_OFFSETS], once = { 0 }, twice = { 0 }, chosen = { 0 };

  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    c[i] = candidate (start, offsets[i], tensor_scale);
  bound = bound_errors (m, top, c, lower);
  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      may_win[i] = (VecI) (lower[i] <= bound);
      chosen = (may_win[i] & c[i].code) | (~may_win[i] & chosen);
      twice |= once & may_win[i];
      once |= may_win[i];
    }
  twice &= start != 0;
  if (vec_any (twice))
    chosen = choose_exactly (m, c, may_win, twice, chosen);
  return chosen & (start != 0);
}
#endif

static inline VecI
search_scales (const VecF w[QCONV_NVFP4_BLOCK], VecF top, VecI start, float tensor_scale)
{
  VecF m[QCONV_NVFP4_BLOCK];

  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    m[i] = vec_abs (w[i]);
#if QCONV_VECTOR >= 256
  /* if no square can leave the range of FP32 and the first candidate clips no block */
  if (tensor_scale >= 0x1p-40f && tensor_scale <= 0x1p40f
      && !vec_any (~(top * candidate (start, 0, tensor_scale).inverse < vec_set (LARGEST_Q))))
    return search_likely_scales (m, top, start, tensor_scale);
#endif
  return search_every_scale (m, top, start, tensor_scale);
}
