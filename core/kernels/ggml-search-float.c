/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches the scales of MXFP4, NVFP4 and the ternary blocks. ggml-encode.c calls it. */
#include "kernels/ggml-e2m1.h"
#include "kernels/ggml-search.h"

/* Tries the next exponent. ggml's own clips the largest weights; a smaller one would clip more */
void
QCONV_LEVEL_NAME (qconv_ggml_search_mxfp4) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  for (guint lane = 0; lane < LANES; lane++, rtn += 17, dst += 17)
    {
      guint8 codes[32];

      dst[0] = (guint8) MIN (rtn[0] + 1, 254);
      nearest_e2m1 (group->x + 32 * lane, 32, half_of_e8m0 (dst[0]), codes);
      pack_nibbles (codes, dst + 1, 32);
    }
}

/* Returns the doubled E2M1 number nearest to @q, which is not negative */
static ALWAYS_INLINE VecF
e2m1_nearest (VecF q)
{
  VecF clamped = lanes_min (q, vec_set (12.0f));
  VecF rounder = (VecF) (((VecI) lanes_max (clamped, vec_set (2.0f)) & 0x7f800000) + (22 << 23));

  return (clamped + rounder) - rounder;
}

/* Places of the scales that the search tries, from ggml's on */
enum { BELOW = -8, ABOVE = 4 };

/* Chooses the scales of 16 weights, from the codes of ggml's in @start */
static VecI
choose_scale (const VecF *x, const VecF *w, const guint8 start[LANES])
{
  VecF best = vec_set (G_MAXFLOAT);
  VecI chosen = { 0 };

  for (gint k = BELOW; k <= ABOVE; k++)
    {
      VecF unit = vec_set (0.0f), inverse, sum = unit;
      VecI code = { 0 }, better;

      for (guint lane = 0; lane < LANES; lane++)
        {
          code[lane] = CLAMP (start[lane] + k, 1, 0x7e);
          unit[lane] = half_of_ue4m3 ((guint8) code[lane]);
        }
      inverse = 1.0f / unit;
      for (guint i = 0; i < 16; i++)
        {
          VecF magnitude = vec_abs (x[i]), e = e2m1_nearest (magnitude * inverse) * unit - magnitude;

          sum += w[i] * e * e;
        }
      better = sum < best;
      best = lanes_choose (better, sum, best);
      chosen = (better & code) | (~better & chosen);
    }
  return chosen;
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_nvfp4) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  VecF x[64], w[64];

  search_load (group, 64, x, w);
  for (guint k = 0; k < 4; k++)
    {
      guint8 start[LANES], codes[16];
      VecI scale;

      for (guint lane = 0; lane < LANES; lane++)
        start[lane] = rtn[36 * lane + k];
      scale = choose_scale (x + 16 * k, w + 16 * k, start);
      for (guint lane = 0; lane < LANES; lane++)
        {
          guint8 *block = dst + 36 * lane;

          block[k] = (guint8) scale[lane];
          nearest_e2m1 (group->x + 64 * lane + 16 * k, 16, half_of_ue4m3 (block[k]), codes);
          pack_nibbles (codes, block + 4 + 8 * k, 16);
        }
    }
}

/* Sums of the weights above a limit: @x: Σ w·|x|, @n: Σ w */
typedef struct {
  VecF x, n;
} Above;

static ALWAYS_INLINE Above
sum_above (const VecF *x, const VecF *w, VecF limit)
{
  Above a = { vec_set (0.0f), vec_set (0.0f) };

  for (guint i = 0; i < QCONV_GGML_SUPER; i++)
    {
      VecF counted = lanes_choose (vec_abs (x[i]) > limit, w[i], vec_set (0.0f));

      a.x += counted * vec_abs (x[i]);
      a.n += counted;
    }
  return a;
}

/* Places of the largest weight that the search tries as limits, and how often it moves the best one */
enum { LIMITS = 16, MOVES = 4 };

/* Returns the magnitude d of codes -d, 0, d. Weights above d/2 become ±d, which is best their mean; the search starts
   with limits and then moves the best one to half of its mean */
static VecF
search_ternary (const QconvGgmlGroup *group)
{
  VecF x[QCONV_GGML_SUPER], w[QCONV_GGML_SUPER], top = vec_set (0.0f), gain = top, d = top;

  search_load (group, QCONV_GGML_SUPER, x, w);
  for (guint i = 0; i < QCONV_GGML_SUPER; i++)
    top = lanes_max (vec_abs (x[i]), top);
  for (guint k = 0; k < LIMITS + MOVES; k++)
    {
      VecF limit = k < LIMITS ? top * ((float) k / LIMITS) : 0.5f * d;
      Above a = sum_above (x, w, limit);
      VecI better = a.x * a.x / a.n > gain;

      gain = lanes_choose (better, a.x * a.x / a.n, gain);
      d = lanes_choose (better, a.x / a.n, d);
    }
  return lanes_half (d);
}

static void
find_trits (const float *x, float d, guint8 codes[QCONV_GGML_SUPER])
{
  for (guint i = 0; i < QCONV_GGML_SUPER; i++)
    codes[i] = (guint8) (1 + (x[i] > 0.5f * d) - (x[i] < -0.5f * d));
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_tq1_0) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  VecF d = search_ternary (group);
  guint8 codes[QCONV_GGML_SUPER];

  for (guint lane = 0; lane < LANES; lane++)
    {
      find_trits (group->x + QCONV_GGML_SUPER * lane, d[lane], codes);
      store_tq1_0 (codes, d[lane], dst + 54 * lane);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_tq2_0) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  VecF d = search_ternary (group);
  guint8 codes[QCONV_GGML_SUPER];

  for (guint lane = 0; lane < LANES; lane++)
    {
      find_trits (group->x + QCONV_GGML_SUPER * lane, d[lane], codes);
      store_tq2_0 (codes, d[lane], dst + 66 * lane);
    }
}
