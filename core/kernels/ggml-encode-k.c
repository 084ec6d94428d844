/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes Q2_K, Q4_K and Q5_K as ggml does: a scale and a minimum for each sub-block, both as multiples of a number of
   the block. ggml-encode.c calls it. */
#include "kernels/ggml-fit.h"
#include "kernels/ggml-pack.h"

/* The numbers of the blocks of a group. @scale, @min: integers; @fit: what the search found */
typedef struct {
  VecF d, dmin, scale[16], min[16];
  FitAffine fit[16];
} State;

/* What tells the types apart; all constants. @n: items of a sub-block; @top: the largest code; @most: the largest scale
   and minimum of a sub-block; @plain: the candidates without importance */
typedef struct {
  guint n;
  float top, most;
  FitSteps plain;
} Kind;

static const FitSteps weighted_steps = { -0.9f, 0.05f, 36, FALSE };

/* Sets @w to importance·√(σ² + x²), σ² being the mean square of the block times @factor */
static ALWAYS_INLINE void
weigh (const QconvGgmlGroup *group, const VecF *x, float factor, VecF *w)
{
  VecF sum = vec_set (0.0f);

  lanes_load (group->importance, QCONV_GGML_SUPER, w);
  for (guint i = 0; i < QCONV_GGML_SUPER; i++)
    sum += x[i] * x[i];
  sum = factor * sum / (float) QCONV_GGML_SUPER;
  for (guint i = 0; i < QCONV_GGML_SUPER; i++)
    w[i] *= lanes_sqrt (sum + x[i] * x[i]);
}

/* Sets the weights that ggml uses for @n numbers without importance */
static ALWAYS_INLINE void
weigh_plain (const VecF *x, guint n, gboolean absolute, VecF *w)
{
  VecF sum = vec_set (0.0f);

  for (guint i = 0; i < n; i++)
    sum += x[i] * x[i];
  sum = lanes_sqrt (sum / (float) n);
  for (guint i = 0; i < n; i++)
    w[i] = absolute ? vec_abs (x[i]) : sum + vec_abs (x[i]);
}

/* Sets @codes to multiples of the result, so that the largest of the @n numbers gets the code @most */
static ALWAYS_INLINE VecF
divide_evenly (const VecF *numbers, guint n, float most, VecF *codes)
{
  VecF top = vec_set (0.0f), by;
  VecI some;

  for (guint i = 0; i < n; i++)
    top = lanes_max (numbers[i], top);
  some = top > 0.0f;
  by = lanes_choose (some, most / top, vec_set (0.0f));
  for (guint i = 0; i < n; i++)
    codes[i] = lanes_clamp (lanes_round (by * numbers[i]), 0.0f, most);
  return lanes_choose (some, top / most, vec_set (0.0f));
}

/* Finds the numbers of the blocks @x */
static ALWAYS_INLINE void
fit_group (const QconvGgmlGroup *group, const Kind *kind, const VecF *x, State *s)
{
  guint n = kind->n, n_subs = QCONV_GGML_SUPER / n;
  VecF w[QCONV_GGML_SUPER], scales[16], mins[16], sums[16];

  if (group->importance != NULL)
    weigh (group, x, kind->plain.absolute ? 1.0f : 2.0f, w);
  for (guint j = 0; j < n_subs; j++)
    {
      VecF *own = w + n * j;

      if (group->importance == NULL)
        {
          weigh_plain (x + n * j, n, kind->plain.absolute, own);
          s->fit[j] = fit_affine (x + n * j, own, n, kind->top, kind->plain);
        }
      else
        s->fit[j] = fit_affine (x + n * j, own, n, kind->top, weighted_steps);
      sums[j] = vec_set (0.0f);
      for (guint i = 0; i < n; i++)
        sums[j] += own[i];
      scales[j] = s->fit[j].scale;
      mins[j] = -s->fit[j].low;
    }
  if (group->importance == NULL)
    {
      s->d = divide_evenly (scales, n_subs, kind->most, s->scale);
      s->dmin = divide_evenly (mins, n_subs, kind->most, s->min);
    }
  else
    {
      s->d = fit_positive (scales, sums, n_subs, kind->most, s->scale);
      s->dmin = fit_positive (mins, sums, n_subs, kind->most, s->min);
    }
  s->d = lanes_half (s->d);
  s->dmin = lanes_half (s->dmin);
}

/* Chooses the codes of one block by the numbers that it stores. If they make a sub-block constant, it keeps the codes
   of the search, which decode to the same */
static ALWAYS_INLINE void
find_codes (const State *s, guint lane, const float *x, const Kind *kind, QconvGgmlAffine *b)
{
  guint n = kind->n;

  b->d = s->d[lane];
  b->dmin = s->dmin[lane];
  for (guint j = 0; j < QCONV_GGML_SUPER / n; j++)
    {
      float step = b->d * s->scale[j][lane], add = b->dmin * s->min[j][lane];
      float inverse = s->fit[j].inverse[lane], base = s->fit[j].base[lane];

      b->scales[j] = (guint8) s->scale[j][lane];
      b->mins[j] = (guint8) s->min[j][lane];
      if (step != 0.0f)
        for (guint i = n * j; i < n * (j + 1); i++)
          b->codes[i] = (guint8) (gint) clamp (round_even ((x[i] + add) / step), 0.0f, kind->top);
      else
        for (guint i = n * j; i < n * (j + 1); i++)
          b->codes[i] = (guint8) (gint) clamp (round_even (inverse * (x[i] - base)), 0.0f, kind->top);
    }
}

#define DEFINE_ENCODE(type, size, ...)                                                        \
  void QCONV_LEVEL_NAME (qconv_ggml_encode_##type) (const QconvGgmlGroup *group, guint8 *dst) \
  {                                                                                           \
    static const Kind kind = __VA_ARGS__;                                                     \
    VecF x[QCONV_GGML_SUPER];                                                                 \
    State s;                                                                                  \
                                                                                              \
    lanes_load (group->x, QCONV_GGML_SUPER, x);                                               \
    fit_group (group, &kind, x, &s);                                                          \
    for (guint lane = 0; lane < LANES; lane++)                                                \
      {                                                                                       \
        QconvGgmlAffine b;                                                                    \
                                                                                              \
        find_codes (&s, lane, group->x + QCONV_GGML_SUPER * lane, &kind, &b);                 \
        store_##type (&b, dst + (size) *lane);                                                \
      }                                                                                       \
  }
DEFINE_ENCODE (q2_k, 84, { 16, 3.0f, 15.0f, { -0.5f, 0.1f, 15, TRUE } })
DEFINE_ENCODE (q4_k, 144, { 32, 15.0f, 63.0f, { -1.0f, 0.1f, 20, FALSE } })
DEFINE_ENCODE (q5_k, 176, { 32, 31.0f, 63.0f, { -0.5f, 0.1f, 15, FALSE } })
