/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts that the searches for better blocks share. They look for a small squared error of what the block stores;
   ggml-encode.c compares it with ggml's block, so nothing here needs to be exact. */
#pragma once
#include "kernels/ggml-iq4.h"

/**
 * Grid: the values that codes have under a scale of 1; constant for each type.
 *
 * @low, @high: integers from the one to the other, if @book is NULL
 * @book: the values of IQ4, negated
 */
typedef struct {
  float low, high;
  const Book *book;
} Grid;

/* Loads the weights of a group and their importance, 1 if there is none */
static inline void
search_load (const QconvGgmlGroup *group, guint items, VecF *x, VecF *w)
{
  lanes_load (group->x, items, x);
  if (group->importance != NULL)
    lanes_load (group->importance, items, w);
  else
    for (guint i = 0; i < items; i++)
      w[i] = vec_set (1.0f);
}

static ALWAYS_INLINE VecF
grid_nearest (const Grid *grid, VecF v)
{
  if (grid->book != NULL)
    return iq4_nearest (grid->book, v);
  return lanes_round (lanes_clamp (v, grid->low, grid->high));
}

/**
 * ScaleSearch: the best scale so far for some numbers.
 *
 * @gain: by how much it lowers their squared error
 */
typedef struct {
  VecF scale, gain;
} ScaleSearch;

/* Tries the codes that x·@inverse gives, with the scale that suits them best */
static ALWAYS_INLINE void
try_inverse (ScaleSearch *s, const Grid *grid, const VecF *x, const VecF *w, guint n, VecF inverse)
{
  VecF xq = vec_set (0.0f), qq = xq, gain;
  VecI better;

  for (guint i = 0; i < n; i++)
    {
      VecF q = grid_nearest (grid, x[i] * inverse), wq = w[i] * q;

      xq += wq * x[i];
      qq += wq * q;
    }
  gain = xq * xq / qq;
  better = gain > s->gain;
  s->gain = lanes_choose (better, gain, s->gain);
  s->scale = lanes_choose (better, xq / qq, s->scale);
}

/* Tries scales that put the largest number at places from @first on, @step apart, on both ends of the grid. Then it
   tries the codes of the best scale */
static ALWAYS_INLINE ScaleSearch
search_scale (const Grid *grid, const VecF *x, const VecF *w, guint n, float first, float step, guint n_steps)
{
  ScaleSearch s = { vec_set (0.0f), vec_set (0.0f) };
  VecF top = vec_set (0.0f), place;

  for (guint i = 0; i < n; i++)
    top = lanes_max (vec_abs (x[i]), top);
  for (guint k = 0; k < n_steps; k++)
    {
      place = (first + step * (float) k) / top;
      try_inverse (&s, grid, x, w, n, place);
      try_inverse (&s, grid, x, w, n, -place);
    }
  try_inverse (&s, grid, x, w, n, 1.0f / s.scale);
  return s;
}

/**
 * AffineSearch: the best scale and lowest value so far for numbers scale·l + low, l from 0 to @top.
 *
 * @not_above: whether @low may not be above 0
 * @w_sum, @wx_sum: Σ w, Σ w·x
 */
typedef struct {
  float top;
  gboolean not_above;
  VecF scale, low, gain, w_sum, wx_sum;
} AffineSearch;

/* Tries the codes that (x - @low)/@scale gives. Points @scale and @low at those that suit the codes best */
static ALWAYS_INLINE void
try_affine (AffineSearch *s, const VecF *x, const VecF *w, guint n, VecF *scale, VecF *low)
{
  VecF wl = vec_set (0.0f), wll = wl, wlx = wl, det, gain, inverse = 1.0f / *scale, base = *low;
  VecI better;

  for (guint i = 0; i < n; i++)
    {
      VecF l = lanes_round (lanes_clamp ((x[i] - base) * inverse, 0.0f, s->top)), weighted = w[i] * l;

      wl += weighted;
      wll += weighted * l;
      wlx += weighted * x[i];
    }
  det = s->w_sum * wll - wl * wl;
  *scale = (s->w_sum * wlx - s->wx_sum * wl) / det;
  *low = (wll * s->wx_sum - wl * wlx) / det;
  if (s->not_above)
    {
      VecI above = *low > 0.0f;

      *scale = lanes_choose (above, wlx / wll, *scale);
      *low = lanes_choose (above, vec_set (0.0f), *low);
    }
  gain = *scale * wlx + *low * s->wx_sum;
  better = (gain > s->gain) & (det > 0.0f) & (*scale > 0.0f);
  s->gain = lanes_choose (better, gain, s->gain);
  s->scale = lanes_choose (better, *scale, s->scale);
  s->low = lanes_choose (better, *low, s->low);
}

/**
 * AffineSteps: the ranges that the search tries: each end is moved inwards by @first + @step·k of the distance of the
 * ends, for k below @n. The codes of each result are tried @refits times. Ranges beyond the numbers are good ones, too:
 * not all codes are used then, but all are others.
 */
typedef struct {
  float first, step;
  guint n, refits;
} AffineSteps;

/* Tries ranges near the lowest and the highest number. @top: the largest code */
static ALWAYS_INLINE AffineSearch
search_affine (const VecF *x, const VecF *w, guint n, float top, gboolean not_above, AffineSteps steps)
{
  VecF zero = vec_set (0.0f), lowest = x[0], highest = x[0];
  AffineSearch s
      = { .top = top, .not_above = not_above, .scale = zero, .low = zero, .gain = zero, .w_sum = zero, .wx_sum = zero };

  for (guint i = 0; i < n; i++)
    {
      lowest = lanes_min (x[i], lowest);
      highest = lanes_max (x[i], highest);
      s.w_sum += w[i];
      s.wx_sum += w[i] * x[i];
    }
  if (not_above)
    lowest = lanes_min (lowest, zero);
  for (guint a = 0; a < steps.n; a++)
    for (guint b = 0; b < steps.n; b++)
      {
        VecF range = highest - lowest, low = lowest + range * (steps.first + steps.step * (float) a);
        VecF scale = (highest - range * (steps.first + steps.step * (float) b) - low) / top;

        for (guint k = 0; k <= steps.refits; k++)
          try_affine (&s, x, w, n, &scale, &low);
      }
  return s;
}
