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
vec_of_normal_e4m3 (VecI code)
{
  return (VecF) ((code << 20) + (120 << 23));
}

static inline VecF
vec_of_e4m3 (VecI code)
{
  VecF n = vec_of_int (code);

  return vec_select_less (n, vec_set (8.0f), n * 0x1p-9f, vec_of_normal_e4m3 (code));
}

static const gint offsets[QCONV_NVFP4_N_OFFSETS] = QCONV_NVFP4_OFFSETS;

#if QCONV_VECTOR >= 256
/* One step of q = |w|/scale in the units of estimates. 16-bit products then hold q below LARGEST_Q, and the squares of
   a block fit 32 bits */
#define PARTS 8192
#define LARGEST_Q 7.99f
/* The largest error of an estimate of sqrt (sum of d*d), in PARTS. Each d is wrong by less than 1.55: up to 1.01 too
   high from |w|, which is rounded up, up to 1 too low from cutting the product, 0.5 from the factor, 0.04 from FP32 in
   either sum. The norm of 16 such errors is below 6.2 */
#define UNSURE 6.3f
#define HALF_ROOT 0.70710678f /* sums are halved, so that they fit a signed word */
#define LEAST_START 11        /* no candidate is subnormal */
#define LAST (QCONV_NVFP4_N_OFFSETS - 1)
#define WIDEST 5 /* the place of the largest offset */

/* Sets the shares to |w| as 16-bit parts of the block's largest, rounded up, two to a lane */
static inline void
shares_of_top (const VecF w[QCONV_NVFP4_BLOCK], VecF top, VecRaw shares[QCONV_NVFP4_BLOCK / 2])
{
  VecF factor = 65534.0f / vec_max (top, vec_set (0x1p-100f)), half = vec_set (0.5f);

  for (guint i = 0; i < QCONV_NVFP4_BLOCK / 2; i++)
    shares[i] = (VecRaw) (vec_round_to_int (VEC (fmadd_ps) (vec_abs (w[2 * i]), factor, half))
                          | vec_round_to_int (VEC (fmadd_ps) (vec_abs (w[2 * i + 1]), factor, half)) << 16);
}

/* Estimates the sum of d*d/2 in PARTS^2. @largest: |w|/scale of the largest weight in PARTS, two to a lane */
static inline VecF
estimate_sum (const VecRaw shares[QCONV_NVFP4_BLOCK / 2], VecI largest)
{
  VecRaw sum = { 0 };

  for (guint i = 0; i < QCONV_NVFP4_BLOCK / 2; i++)
    {
      VecRaw q = VEC (mulhi_epu16) (shares[i], (VecRaw) largest), d = VEC (sub_epi16) (q, vec_nearest_e2m1 (q));

      sum = VEC (add_epi32) (sum, VEC (madd_epi16) (d, d));
    }
  return vec_of_int (vec_shift_right ((VecI) sum, 1));
}

/* Returns the scale with the least estimated error. *may_win: (out): bit i is set if the exact error of the i-th
   candidate may be the least. @largest: |w|/tensor scale of the largest weight, in PARTS.
   Codes start from the nearest one, so that only the last candidate can bring the largest weight above 7.9. Loops are
   apart, because sums would wait for what comes before and after them */
static inline VecI
estimate_scales (const VecRaw shares[QCONV_NVFP4_BLOCK / 2], VecF largest, VecI start, VecI *may_win)
{
  VecF unit[QCONV_NVFP4_N_OFFSETS], error[QCONV_NVFP4_N_OFFSETS], factor, least, alone, bound;
  VecI code[QCONV_NVFP4_N_OFFSETS], q[QCONV_NVFP4_N_OFFSETS], chosen;
  const VecF limit = vec_set (LARGEST_Q * PARTS);

  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      code[i] = vec_min_int (start + offsets[i], (VecI) { 0 } + 126);
      unit[i] = vec_of_normal_e4m3 (code[i]);
      factor = largest * vec_inverse_e4m3 (code[i]);
      q[i] = vec_round_to_int (i == LAST ? vec_min (factor, limit) : factor);
      q[i] |= q[i] << 16;
    }
  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    error[i] = estimate_sum (shares, q[i]);
  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    error[i] *= unit[i] * unit[i];
  /* beyond the limit the largest weight alone has a large error */
  alone = unit[LAST] * unit[LAST] * ((LARGEST_Q - 6) * (LARGEST_Q - 6) / 2 * PARTS * PARTS);
  least = vec_select_less (factor, limit, error[LAST], vec_set (FLT_MAX));
  error[LAST] = vec_select_less (factor, limit, error[LAST], alone);
  chosen = code[LAST];
  for (guint i = 0; i < LAST; i++)
    {
      chosen = (VecI) vec_select_less (error[i], least, (VecF) code[i], (VecF) chosen);
      least = vec_min (error[i], least);
    }
  /* halving the sum has cut at most a half. Both errors are unsure */
  bound = VEC (sqrt_ps) (least + 0.5f * unit[WIDEST] * unit[WIDEST]) + 2 * UNSURE * HALF_ROOT * unit[WIDEST];
  bound *= bound;
  *may_win = (VecI) { 0 };
  for (guint i = QCONV_NVFP4_N_OFFSETS; i-- > 0;)
    *may_win = *may_win + *may_win - (error[i] <= bound); /* a comparison gives -1 */
  return chosen;
}

/* Not inlined: the compiler makes vectors of it only where it stands alone */
static G_GNUC_NO_INLINE float
exact_error (const float w[QCONV_NVFP4_BLOCK], float scale)
{
  return nvfp4_error (w, scale);
}

/* Returns the candidate with the least error, the first of several. Bit i of @candidates: the i-th is one */
static guint8
search_exactly (const float w[QCONV_NVFP4_BLOCK], gint start, float tensor_scale, guint candidates)
{
  guint8 chosen = 0;
  float least = 0.0f;

  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    if ((candidates >> i & 1) != 0)
      {
        guint8 code = (guint8) CLAMP (start + offsets[i], 1, 126);
        float e = exact_error (w, tensor_scale * f32_of_e4m3 (code));

        if (chosen != 0 && !(e < least))
          continue;
        least = e;
        chosen = code;
      }
  return chosen;
}

/* Replaces those of @chosen that have several candidates by the one with the least exact error */
static inline VecI
choose_exactly (QconvDType dtype, const guint8 *src, VecI start, VecI chosen, VecI may_win, float tensor_scale)
{
  guint32 starts[LANES], codes[LANES], candidates[LANES];
  gsize bytes = QCONV_NVFP4_BLOCK * (dtype == QCONV_F32 ? 4 : 2);
  float w[QCONV_NVFP4_BLOCK];

  memcpy (starts, &start, sizeof starts);
  memcpy (codes, &chosen, sizeof codes);
  memcpy (candidates, &may_win, sizeof candidates);
  for (guint b = 0; b < LANES; b++)
    if ((candidates[b] & (candidates[b] - 1)) != 0)
      {
        load_run (dtype, src + b * bytes, 0, QCONV_NVFP4_BLOCK, w, QCONV_NVFP4_BLOCK);
        codes[b] = search_exactly (w, (gint) starts[b], tensor_scale, candidates[b]);
      }
  memcpy (&chosen, codes, sizeof codes);
  return chosen;
}

/* Returns the scales with the least errors: those of the reference. Estimated errors exclude candidates that cannot
   have the least; if several are left, their exact errors decide. @top: the largest magnitudes; @start: codes of
   round-to-nearest; @src: the blocks that @w holds, of @dtype */
static inline VecI
search_scales (const VecF w[QCONV_NVFP4_BLOCK], VecF top, VecI start, float tensor_scale, QconvDType dtype,
               const guint8 *src)
{
  VecF largest = top / tensor_scale * (PARTS * (65536.0f / 65534.0f));
  VecRaw shares[QCONV_NVFP4_BLOCK / 2];
  VecI some = start != 0, may_win, estimable, chosen;

  shares_of_top (w, top, shares);
  chosen = estimate_scales (shares, largest, vec_max_int (start, (VecI) { 0 } + LEAST_START), &may_win);
  /* no candidate is subnormal, the first clips nothing, and no square can leave the range of FP32 */
  estimable = (start >= LEAST_START) & (largest * vec_inverse_e4m3 (start) < 6.5f * PARTS)
              & -(tensor_scale >= 0x1p-40f && tensor_scale <= 0x1p40f);
  may_win = (may_win | ~estimable) & some & ((1 << QCONV_NVFP4_N_OFFSETS) - 1);
  if (vec_any (may_win & (may_win - 1)))
    chosen = choose_exactly (dtype, src, start, chosen, may_win, tensor_scale);
  return chosen & some;
}
#else
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

/* Searches as the reference does */
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

static inline VecI
search_scales (const VecF w[QCONV_NVFP4_BLOCK], VecF top, VecI start, float tensor_scale, QconvDType dtype,
               const guint8 *src)
{
  VecF m[QCONV_NVFP4_BLOCK];

  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    m[i] = vec_abs (w[i]);
  return search_every_scale (m, top, start, tensor_scale);
}
#endif
