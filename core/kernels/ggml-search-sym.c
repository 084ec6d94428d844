/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches the scales of Q3_K, Q6_K and IQ4_XS blocks: signed integers for sub-blocks, multiples of a number of the
   block. ggml-encode.c calls it. */
#include "kernels/ggml-search.h"

/* What tells the types apart; all constants but the grid's book. @n: items of a sub-block; @low, @high: the integers;
   the rest is as in search_scale() */
typedef struct {
  guint n;
  float low, high;
  float first, step;
  guint n_steps;
} Kind;

/* @error: of all codes */
typedef struct {
  VecF d, scale[16], error;
} State;

static ALWAYS_INLINE VecF
error_of (const Grid *grid, const VecF *x, const VecF *w, guint n, VecF scale)
{
  VecF sum = vec_set (0.0f), inverse = lanes_choose (scale != 0.0f, 1.0f / scale, vec_set (0.0f));

  for (guint i = 0; i < n; i++)
    {
      VecF e = grid_nearest (grid, x[i] * inverse) * scale - x[i];

      sum += w[i] * e * e;
    }
  return sum;
}

/* Chooses the integers of all sub-blocks within one of the multiples of d that are nearest to @scales */
static ALWAYS_INLINE void
choose_integers (const Grid *grid, const VecF *x, const VecF *w, const Kind *kind, const VecF *scales, State *s)
{
  s->error = vec_set (0.0f);
  for (guint j = 0; j < QCONV_GGML_SUPER / kind->n; j++)
    {
      VecF centre = lanes_round (lanes_clamp (scales[j] / s->d, kind->low, kind->high)), best = vec_set (G_MAXFLOAT);

      s->scale[j] = centre;
      for (gint k = -1; k <= 1; k++)
        {
          VecF scale = lanes_clamp (centre + (float) k, kind->low, kind->high);
          VecF e = error_of (grid, x + kind->n * j, w + kind->n * j, kind->n, s->d * scale);
          VecI better = e < best;

          best = lanes_choose (better, e, best);
          s->scale[j] = lanes_choose (better, scale, s->scale[j]);
        }
      s->error += best;
    }
}

/* Returns the d that suits the codes best */
static ALWAYS_INLINE VecF
refit (const Grid *grid, const VecF *x, const VecF *w, const Kind *kind, const State *s)
{
  VecF xa = vec_set (0.0f), aa = xa;

  for (guint j = 0; j < QCONV_GGML_SUPER / kind->n; j++)
    {
      VecF scale = s->d * s->scale[j], inverse = lanes_choose (scale != 0.0f, 1.0f / scale, vec_set (0.0f));

      for (guint i = kind->n * j; i < kind->n * (j + 1); i++)
        {
          VecF a = grid_nearest (grid, x[i] * inverse) * s->scale[j], wa = w[i] * a;

          xa += wa * x[i];
          aa += wa * a;
        }
    }
  return lanes_half (xa / aa);
}

static inline void
keep_better (const State *next, guint n, State *s)
{
  VecI better = next->error < s->error;

  s->d = lanes_choose (better, next->d, s->d);
  s->error = lanes_choose (better, next->error, s->error);
  for (guint j = 0; j < n; j++)
    s->scale[j] = lanes_choose (better, next->scale[j], s->scale[j]);
}

static ALWAYS_INLINE void
search_group (const QconvGgmlGroup *group, const Grid *grid, const Kind *kind, State *best)
{
  guint n_subs = QCONV_GGML_SUPER / kind->n;
  VecF x[QCONV_GGML_SUPER], w[QCONV_GGML_SUPER], scales[16], top = vec_set (0.0f);
  State s;

  search_load (group, QCONV_GGML_SUPER, x, w);
  for (guint j = 0; j < n_subs; j++)
    {
      scales[j] = search_scale (grid, x + kind->n * j, w + kind->n * j, kind->n, kind->first, kind->step, kind->n_steps)
                      .scale;
      top = lanes_choose (vec_abs (scales[j]) > vec_abs (top), scales[j], top);
    }
  s.d = lanes_half (top / kind->low);
  choose_integers (grid, x, w, kind, scales, &s);
  *best = s;
  s.d = refit (grid, x, w, kind, best);
  for (guint j = 0; j < n_subs; j++)
    scales[j] = best->scale[j] * best->d;
  choose_integers (grid, x, w, kind, scales, &s);
  keep_better (&s, n_subs, best);
}

/* Sets @codes to the nearest integers from -@half on, plus @half */
static inline void
find_codes (const State *s, guint lane, const float *x, float half, guint8 *codes)
{
  for (guint j = 0; j < 16; j++)
    {
      float inverse = inverse_or_zero (s->d[lane] * s->scale[j][lane]);

      for (guint i = 16 * j; i < 16 * (j + 1); i++)
        codes[i] = (guint8) (gint) (clamp (round_even (x[i] * inverse), -half, half - 1.0f) + half);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_q6_k) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  static const Grid grid = { -32.0f, 31.0f, NULL };
  static const Kind kind = { 16, -128.0f, 127.0f, 25.0f, 0.75f, 10 };
  State s;

  search_group (group, &grid, &kind, &s);
  for (guint lane = 0; lane < LANES; lane++)
    {
      guint8 codes[QCONV_GGML_SUPER];
      gint8 scales[16];

      find_codes (&s, lane, group->x + QCONV_GGML_SUPER * lane, 32.0f, codes);
      for (guint j = 0; j < 16; j++)
        scales[j] = (gint8) s.scale[j][lane];
      store_q6_k (s.d[lane], scales, codes, dst + 210 * lane);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_q3_k) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  static const Grid grid = { -4.0f, 3.0f, NULL };
  static const Kind kind = { 16, -32.0f, 31.0f, 3.0f, 0.4f, 4 };
  State s;

  search_group (group, &grid, &kind, &s);
  for (guint lane = 0; lane < LANES; lane++)
    {
      guint8 codes[QCONV_GGML_SUPER], scales[16];

      find_codes (&s, lane, group->x + QCONV_GGML_SUPER * lane, 4.0f, codes);
      for (guint j = 0; j < 16; j++)
        scales[j] = (guint8) (gint) (s.scale[j][lane] + 32.0f);
      store_q3_k (s.d[lane], scales, codes, dst + 110 * lane);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_search_iq4_xs) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst)
{
  static const Kind kind = { 32, -32.0f, 31.0f, 105.0f, 8.0f, 4 };
  Book book;
  const Grid grid = { .book = &book };
  State s;

  iq4_make_book (&book);
  search_group (group, &grid, &kind, &s);
  for (guint lane = 0; lane < LANES; lane++, dst += 136)
    {
      guint8 scales[8];

      for (guint j = 0; j < 8; j++)
        {
          scales[j] = (guint8) (gint) (s.scale[j][lane] + 32.0f);
          iq4_store_codes (&book, group->x + QCONV_GGML_SUPER * lane + 32 * j,
                           inverse_or_zero (s.d[lane] * s.scale[j][lane]), dst + 8 + 16 * j);
        }
      store_half (dst, s.d[lane]);
      pack_iq4_scales (scales, dst + 2);
    }
}
