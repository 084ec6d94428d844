/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes Q3_K and Q6_K as ggml does: a signed scale for each sub-block of 16, a multiple of a number of the block.
   ggml-encode.c calls it. */
#include "kernels/ggml-fit.h"
#include "kernels/ggml-pack.h"

enum { SUBS = 16, ITEMS = 16 };

/* The numbers of the blocks of a group. @scale: integers; @codes: of the search, with sign */
typedef struct {
  VecF d, scale[SUBS], codes[QCONV_GGML_SUPER];
} State;

/* Sets the scales to multiples of the result: that of the largest magnitude becomes -@half */
static ALWAYS_INLINE VecF
divide_signed (const VecF *scales, float half, VecF *codes)
{
  VecF top = fit_largest (scales, SUBS), by = -half / top;
  VecI some = top != 0.0f;

  for (guint j = 0; j < SUBS; j++)
    codes[j] = lanes_choose (some, lanes_clamp (lanes_round (by * scales[j]), -half, half - 1.0f), vec_set (0.0f));
  return lanes_choose (some, 1.0f / by, vec_set (0.0f));
}

/* Sets the codes of a search to those that belong to its result */
static ALWAYS_INLINE void
keep_codes (const FitSymmetric *fit, const VecF *x, float half, VecF *codes)
{
  for (guint i = 0; i < ITEMS; i++)
    {
      codes[i] = lanes_clamp (lanes_round (fit->inverse * x[i]), -half, half - 1.0f);
      codes[i] = lanes_choose (fit->empty, vec_set (-half), codes[i]);
    }
}

/* Recodes one block by the numbers that it stores. If they make a sub-block zero, it keeps the codes of the search.
   Codes get @half added */
static ALWAYS_INLINE void
find_codes (const State *s, guint lane, const float *x, float half, guint8 *codes)
{
  for (guint j = 0; j < SUBS; j++)
    {
      float step = s->d[lane] * s->scale[j][lane];

      if (step != 0.0f)
        for (guint i = ITEMS * j; i < ITEMS * (j + 1); i++)
          codes[i] = (guint8) (gint) (clamp (round_even (x[i] / step), -half, half - 1.0f) + half);
      else
        for (guint i = ITEMS * j; i < ITEMS * (j + 1); i++)
          codes[i] = (guint8) (gint) (s->codes[i][lane] + half);
    }
}

/* Sets @w to importance·√(σ² + x²), σ² being twice the mean square of the block */
static void
weigh (const QconvGgmlGroup *group, const VecF *x, VecF *w)
{
  VecF sum = vec_set (0.0f);

  lanes_load (group->importance, QCONV_GGML_SUPER, w);
  for (guint i = 0; i < QCONV_GGML_SUPER; i++)
    sum += x[i] * x[i];
  sum = 2.0f * sum / (float) QCONV_GGML_SUPER;
  for (guint i = 0; i < QCONV_GGML_SUPER; i++)
    w[i] *= lanes_sqrt (sum + x[i] * x[i]);
}

/* Finds the numbers of Q3_K blocks with importance */
static void
fit_q3_k (const QconvGgmlGroup *group, const VecF *x, State *s)
{
  VecF w[QCONV_GGML_SUPER], scales[SUBS], sums[SUBS];
  FitSymmetric fit;

  weigh (group, x, w);
  for (guint j = 0; j < SUBS; j++)
    {
      fit = fit_symmetric (x + ITEMS * j, w + ITEMS * j, ITEMS, 4.0f);
      keep_codes (&fit, x + ITEMS * j, 4.0f, s->codes + ITEMS * j);
      scales[j] = fit.scale;
      sums[j] = vec_set (0.0f);
      for (guint i = ITEMS * j; i < ITEMS * (j + 1); i++)
        sums[j] += w[i];
    }
  fit = fit_symmetric (scales, sums, SUBS, 32.0f);
  keep_codes (&fit, scales, 32.0f, s->scale);
  s->d = lanes_half (fit.scale);
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q3_k) (const QconvGgmlGroup *group, guint8 *dst)
{
  VecF x[QCONV_GGML_SUPER], scales[SUBS];
  State s;

  lanes_load (group->x, QCONV_GGML_SUPER, x);
  if (group->importance != NULL)
    fit_q3_k (group, x, &s);
  else
    {
      for (guint j = 0; j < SUBS; j++)
        scales[j] = fit_descent (x + ITEMS * j, ITEMS, 4.0f, s.codes + ITEMS * j);
      s.d = lanes_half (divide_signed (scales, 32.0f, s.scale));
      /* a block of zeros stores -32 */
      for (guint j = 0; j < SUBS; j++)
        s.scale[j] = lanes_choose (fit_largest (scales, SUBS) == 0.0f, vec_set (-32.0f), s.scale[j]);
    }
  for (guint lane = 0; lane < LANES; lane++)
    {
      guint8 codes[QCONV_GGML_SUPER], stored[SUBS];

      find_codes (&s, lane, group->x + QCONV_GGML_SUPER * lane, 4.0f, codes);
      for (guint j = 0; j < SUBS; j++)
        stored[j] = (guint8) (gint) (s.scale[j][lane] + 32.0f);
      store_q3_k (s.d[lane], stored, codes, dst + 110 * lane);
    }
}

/* Without importance ggml weighs by the square, with it by nothing else */
void
QCONV_LEVEL_NAME (qconv_ggml_encode_q6_k) (const QconvGgmlGroup *group, guint8 *dst)
{
  VecF x[QCONV_GGML_SUPER], w[QCONV_GGML_SUPER], scales[SUBS];
  VecI empty;
  State s;

  lanes_load (group->x, QCONV_GGML_SUPER, x);
  if (group->importance != NULL)
    lanes_load (group->importance, QCONV_GGML_SUPER, w);
  else
    for (guint i = 0; i < QCONV_GGML_SUPER; i++)
      w[i] = x[i] * x[i];
  for (guint j = 0; j < SUBS; j++)
    {
      FitSymmetric fit = fit_symmetric (x + ITEMS * j, w + ITEMS * j, ITEMS, 32.0f);

      keep_codes (&fit, x + ITEMS * j, 32.0f, s.codes + ITEMS * j);
      scales[j] = fit.scale;
    }
  empty = vec_abs (fit_largest (scales, SUBS)) < 1e-15f;
  s.d = lanes_half (divide_signed (scales, 128.0f, s.scale));
  for (guint lane = 0; lane < LANES; lane++)
    {
      guint8 codes[QCONV_GGML_SUPER];
      gint8 stored[SUBS];

      find_codes (&s, lane, group->x + QCONV_GGML_SUPER * lane, 32.0f, codes);
      for (guint j = 0; j < SUBS; j++)
        stored[j] = (gint8) s.scale[j][lane];
      store_q6_k (s.d[lane], stored, codes, dst + 210 * lane);
      if (empty[lane] != 0)
        memset (dst + 210 * lane, 0, 210);
    }
}
