/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches the scales and minima of Q2_K, Q4_K and Q5_K blocks by coordinate descent: integers of the sub-blocks for
   given numbers of the block, these for the codes, and the integers again. ggml-encode.c calls it. */
#include "kernels/ggml-pack.h"
#include "kernels/ggml-search.h"

/* What tells the types apart; all constants. @n: items of a sub-block; @top: the largest code; @most: the largest scale
   and minimum of a sub-block */
typedef struct {
  guint n;
  float top, most;
  AffineSteps steps;
} Kind;

/* The numbers of the blocks: of F16, and integers for sub-blocks. @error: of all codes */
typedef struct {
  VecF d, dmin, scale[16], min[16], error;
} State;

/* Sums over a block for the d and dmin that suit its codes best, a = scale·code and b = -min being their factors */
typedef struct {
  VecF aa, ab, bb, ax, bx;
} Normal;

enum { NEAR = 3 }; /* the integer at hand and its neighbours */

/* Sets @errors to those of a sub-block with each of @steps, and the minimum @b */
static ALWAYS_INLINE void
find_errors (const VecF *x, const VecF *w, guint n, float top, const VecF steps[NEAR], VecF b, VecF errors[NEAR])
{
  VecF inverse[NEAR];

  for (guint k = 0; k < NEAR; k++)
    {
      errors[k] = vec_set (0.0f);
      inverse[k] = lanes_choose (steps[k] > 0.0f, 1.0f / steps[k], vec_set (0.0f));
    }
  for (guint i = 0; i < n; i++)
    {
      VecF moved = x[i] + b;

      for (guint k = 0; k < NEAR; k++)
        {
          VecF e = lanes_round (lanes_clamp (moved * inverse[k], 0.0f, top)) * steps[k] - moved;

          errors[k] += w[i] * e * e;
        }
    }
}

static ALWAYS_INLINE void
add_normal (const VecF *x, const VecF *w, const Kind *kind, const State *s, guint j, Normal *sums)
{
  VecF step = s->d * s->scale[j], b = s->dmin * s->min[j], l = vec_set (0.0f), ll = l, lx = l, one = l, sx = l;
  VecF inverse = lanes_choose (step > 0.0f, 1.0f / step, vec_set (0.0f));

  for (guint i = 0; i < kind->n; i++)
    {
      VecF code = lanes_round (lanes_clamp ((x[i] + b) * inverse, 0.0f, kind->top)), wl = w[i] * code;

      l += wl;
      ll += wl * code;
      lx += wl * x[i];
      one += w[i];
      sx += w[i] * x[i];
    }
  sums->aa += s->scale[j] * s->scale[j] * ll;
  sums->ab -= s->scale[j] * s->min[j] * l;
  sums->bb += s->min[j] * s->min[j] * one;
  sums->ax += s->scale[j] * lx;
  sums->bx -= s->min[j] * sx;
}

/* Chooses the integers of all sub-blocks among those at hand and their neighbours */
static ALWAYS_INLINE void
choose_integers (const VecF *x, const VecF *w, const Kind *kind, State *s)
{
  s->error = vec_set (0.0f);
  for (guint j = 0; j < QCONV_GGML_SUPER / kind->n; j++)
    {
      VecF scales[NEAR], steps[NEAR], min = s->min[j], best = vec_set (G_MAXFLOAT);

      for (guint a = 0; a < NEAR; a++)
        {
          scales[a] = lanes_clamp (s->scale[j] + ((float) a - 1.0f), 0.0f, kind->most);
          steps[a] = s->d * scales[a];
        }
      for (gint b = -1; b <= 1; b++)
        {
          VecF errors[NEAR], near_min = lanes_clamp (min + (float) b, 0.0f, kind->most);

          find_errors (x + kind->n * j, w + kind->n * j, kind->n, kind->top, steps, s->dmin * near_min, errors);
          for (guint a = 0; a < NEAR; a++)
            {
              VecI better = errors[a] < best;

              best = lanes_choose (better, errors[a], best);
              s->scale[j] = lanes_choose (better, scales[a], s->scale[j]);
              s->min[j] = lanes_choose (better, near_min, s->min[j]);
            }
        }
      s->error += best;
    }
}

/* Returns the state with the d and dmin that suit the codes best */
static ALWAYS_INLINE State
refit (const VecF *x, const VecF *w, const Kind *kind, const State *s)
{
  Normal sums = { 0 };
  State next = *s;
  VecF det;
  VecI solvable;

  for (guint j = 0; j < QCONV_GGML_SUPER / kind->n; j++)
    add_normal (x + kind->n * j, w + kind->n * j, kind, s, j, &sums);
  det = sums.aa * sums.bb - sums.ab * sums.ab;
  solvable = det > 0.0f;
  next.d = lanes_choose (solvable, (sums.ax * sums.bb - sums.bx * sums.ab) / det, sums.ax / sums.aa);
  next.dmin = lanes_choose (solvable, (sums.bx * sums.aa - sums.ax * sums.ab) / det, s->dmin);
  next.d = lanes_half (lanes_max (next.d, vec_set (0.0f)));
  next.dmin = lanes_half (lanes_max (next.dmin, vec_set (0.0f)));
  return next;
}

/* Takes the state @next where it is better */
static inline void
keep_better (const State *next, guint n, State *s)
{
  VecI better = next->error < s->error;

  s->d = lanes_choose (better, next->d, s->d);
  s->dmin = lanes_choose (better, next->dmin, s->dmin);
  s->error = lanes_choose (better, next->error, s->error);
  for (guint j = 0; j < n; j++)
    {
      s->scale[j] = lanes_choose (better, next->scale[j], s->scale[j]);
      s->min[j] = lanes_choose (better, next->min[j], s->min[j]);
    }
}

/* Sets the integers to the nearest multiples, and returns what they are multiples of */
static ALWAYS_INLINE VecF
divide (const VecF *numbers, guint n, float most, VecF *integers)
{
  VecF top = vec_set (0.0f), unit;

  for (guint j = 0; j < n; j++)
    top = lanes_max (numbers[j], top);
  unit = lanes_half (top / most);
  for (guint j = 0; j < n; j++)
    integers[j] = lanes_round (lanes_clamp (numbers[j] / unit, 0.0f, most));
  return unit;
}

static ALWAYS_INLINE void
search_group (const QconvGgmlGroup *group, const Kind *kind, State *best)
{
  guint n_subs = QCONV_GGML_SUPER / kind->n;
  VecF x[QCONV_GGML_SUPER], w[QCONV_GGML_SUPER], scales[16], mins[16];
  State s;

  search_load (group, QCONV_GGML_SUPER, x, w);
  for (guint j = 0; j < n_subs; j++)
    {
      AffineSearch a = search_affine (x + kind->n * j, w + kind->n * j, kind->n, kind->top, TRUE, kind->steps);

      scales[j] = a.scale;
      mins[j] = -a.low;
    }
  s.d = divide (scales, n_subs, kind->most, s.scale);
  s.dmin = divide (mins, n_subs, kind->most, s.min);
  choose_integers (x, w, kind, &s);
  *best = s;
  s = refit (x, w, kind, &s);
  choose_integers (x, w, kind, &s);
  keep_better (&s, n_subs, best);
}

static inline void
find_codes (const State *s, guint lane, const float *x, const Kind *kind, QconvGgmlAffine *b)
{
  b->d = s->d[lane];
  b->dmin = s->dmin[lane];
  for (guint j = 0; j < QCONV_GGML_SUPER / kind->n; j++)
    {
      float inverse = inverse_or_zero (b->d * s->scale[j][lane]), add = b->dmin * s->min[j][lane];

      b->scales[j] = (guint8) s->scale[j][lane];
      b->mins[j] = (guint8) s->min[j][lane];
      for (guint i = kind->n * j; i < kind->n * (j + 1); i++)
        b->codes[i] = (guint8) (gint) clamp (round_even ((x[i] + add) * inverse), 0.0f, kind->top);
    }
}

#define DEFINE_SEARCH(type, size, ...)                                                                           \
  void QCONV_LEVEL_NAME (qconv_ggml_search_##type) (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst) \
  {                                                                                                              \
    static const Kind kind = __VA_ARGS__;                                                                        \
    State s;                                                                                                     \
                                                                                                                 \
    search_group (group, &kind, &s);                                                                             \
    for (guint lane = 0; lane < LANES; lane++)                                                                   \
      {                                                                                                          \
        QconvGgmlAffine b;                                                                                       \
                                                                                                                 \
        find_codes (&s, lane, group->x + QCONV_GGML_SUPER * lane, &kind, &b);                                    \
        store_##type (&b, dst + (size) *lane);                                                                   \
      }                                                                                                          \
  }
DEFINE_SEARCH (q2_k, 84, { 16, 3.0f, 15.0f, { -0.15f, 0.15f, 3, 1 } })
DEFINE_SEARCH (q4_k, 144, { 32, 15.0f, 63.0f, { -0.04f, 0.04f, 3, 1 } })
DEFINE_SEARCH (q5_k, 176, { 32, 31.0f, 63.0f, { -0.03f, 0.03f, 3, 1 } })
