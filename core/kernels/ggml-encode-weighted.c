/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes Q4_0, Q4_1, Q5_0 and Q5_1 with importance, for which ggml searches scales. ggml-encode-simple.c calls it. */
#include "kernels/ggml-fit.h"
#include "kernels/ggml-pack.h"

enum { BLOCK = 32 };

/* The blocks of a group. @d, @m: scale and minimum, not rounded; @codes: integers */
typedef struct {
  VecF d, m, codes[BLOCK];
} State;

/* Sets @w to importance·√(σ² + x²), σ² being the mean square of the row */
static void
load (const QconvGgmlGroup *group, VecF *x, VecF *w)
{
  VecF square;

  memcpy (&square, group->row_square, sizeof square);
  lanes_load (group->x, BLOCK, x);
  lanes_load (group->importance, BLOCK, w);
  for (guint i = 0; i < BLOCK; i++)
    w[i] *= lanes_sqrt (square + x[i] * x[i]);
}

static ALWAYS_INLINE void
find_symmetric (const QconvGgmlGroup *group, float half, State *s)
{
  VecF x[BLOCK], w[BLOCK];
  FitSymmetric fit;

  load (group, x, w);
  fit = fit_symmetric (x, w, BLOCK, half);
  s->d = fit.scale;
  for (guint i = 0; i < BLOCK; i++)
    {
      VecF l = lanes_clamp (lanes_round (fit.inverse * x[i]), -half, half - 1.0f) + half;

      s->codes[i] = lanes_choose (fit.empty, vec_set (0.0f), l);
    }
}

static ALWAYS_INLINE void
find_affine (const QconvGgmlGroup *group, float top, State *s)
{
  VecF x[BLOCK], w[BLOCK];
  FitAffine fit;

  load (group, x, w);
  fit = fit_affine (x, w, BLOCK, top, (FitSteps) { -0.9f, 0.05f, 36, FALSE });
  s->d = fit.scale;
  s->m = fit.low;
  for (guint i = 0; i < BLOCK; i++)
    s->codes[i] = lanes_clamp (lanes_round (fit.inverse * (x[i] - fit.base)), 0.0f, top);
}

static void
copy_codes (const State *s, guint lane, guint8 codes[BLOCK])
{
  for (guint i = 0; i < BLOCK; i++)
    codes[i] = (guint8) (gint) s->codes[i][lane];
}

static void
store_blocks (const State *s, gboolean affine, gboolean five, guint8 *dst)
{
  guint8 codes[BLOCK];

  for (guint lane = 0; lane < LANES; lane++)
    {
      float m = affine ? s->m[lane] : 0.0f;

      copy_codes (s, lane, codes);
      dst = store_codes32 (codes, s->d[lane], affine ? &m : NULL, five, dst);
    }
}

static ALWAYS_INLINE void
encode (const QconvGgmlGroup *group, gboolean affine, gboolean five, guint8 *dst)
{
  State s;

  if (affine)
    find_affine (group, five ? 31.0f : 15.0f, &s);
  else
    find_symmetric (group, five ? 16.0f : 8.0f, &s);
  store_blocks (&s, affine, five, dst);
}

void
QCONV_LEVEL_NAME (qconv_ggml_weighted_q4_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  encode (group, FALSE, FALSE, dst);
}

void
QCONV_LEVEL_NAME (qconv_ggml_weighted_q5_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  encode (group, FALSE, TRUE, dst);
}

void
QCONV_LEVEL_NAME (qconv_ggml_weighted_q4_1) (const QconvGgmlGroup *group, guint8 *dst)
{
  encode (group, TRUE, FALSE, dst);
}

void
QCONV_LEVEL_NAME (qconv_ggml_weighted_q5_1) (const QconvGgmlGroup *group, guint8 *dst)
{
  encode (group, TRUE, TRUE, dst);
}
