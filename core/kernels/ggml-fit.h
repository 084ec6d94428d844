/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The searches by which ggml finds the scale of a few numbers, one search to a lane (ggml: ggml-quants.c). Sums start
   at +0 and go on in the order of the items; products are evaluated from left to right. The encoders call them with
   constant sizes. */
#pragma once
#include "kernels/ggml-lanes.h"

/**
 * FitSymmetric: a scale for values scale·l, and what gives the codes: l = round (x·@inverse) from -half to half - 1.
 *
 * @empty: lanes without a number to speak of: the scale is 0, and ggml writes -half for all l
 */
typedef struct {
  VecF scale, inverse;
  VecI empty;
} FitSymmetric;

/* Returns the first of the numbers of the largest magnitude */
static ALWAYS_INLINE VecF
fit_largest (const VecF *x, guint n)
{
  VecF top = vec_set (0.0f), signed_top = top;

  for (guint i = 0; i < n; i++)
    {
      VecI more = vec_abs (x[i]) > top;

      top = lanes_choose (more, vec_abs (x[i]), top);
      signed_top = lanes_choose (more, x[i], signed_top);
    }
  return signed_top;
}

/* ggml: make_qx_quants() with rmse_type 1. @n, @half: constants */
static ALWAYS_INLINE FitSymmetric
fit_symmetric (const VecF *x, const VecF *w, guint n, float half)
{
  VecF top = fit_largest (x, n), best = vec_set (0.0f);
  FitSymmetric fit = { .scale = best, .inverse = best, .empty = vec_abs (top) < 1e-15f };

  for (gint k = -10; k <= 9; k++)
    {
      /* the first candidate is k = 0 */
      VecF inverse = -(half + (k == -10 ? 0.0f : 0.1f * (float) k)) / top, scale;
      VecF xl = vec_set (0.0f), ll = vec_set (0.0f);
      VecI better;

      if (k == 0)
        continue;
      for (guint i = 0; i < n; i++)
        {
          VecF l = lanes_clamp (lanes_round (inverse * x[i]), -half, half - 1.0f);

          xl += w[i] * x[i] * l;
          ll += w[i] * l * l;
        }
      scale = xl / ll;
      better = (VecI) (ll > 0.0f);
      if (k > -10)
        better &= xl * xl > best * ll;
      else
        fit.inverse = inverse;
      fit.scale = lanes_choose (better, scale, fit.scale);
      fit.inverse = lanes_choose (better, inverse, fit.inverse);
      best = lanes_choose (better, scale * xl, best);
    }
  fit.scale = lanes_choose (fit.empty, vec_set (0.0f), fit.scale);
  return fit;
}

/* One step of the descent that two searches of ggml share: gives x[at] the code @t if that raises (Σ w·x·l)²/Σ
   w·l·l. @xl, @ll: these sums; @xl_rest, @ll_rest: without x[at] */
static ALWAYS_INLINE void
fit_try_code (VecF wx, VecF w, VecF t, VecI allowed, VecF xl_rest, VecF ll_rest, VecF *l, VecF *xl, VecF *ll)
{
  VecF new_xl = xl_rest + wx * t, new_ll = ll_rest + w * t * t;
  VecI better = allowed & (t != *l) & (new_ll > 0.0f) & (new_xl * new_xl * *ll > *xl * *xl * new_ll);

  *l = lanes_choose (better, t, *l);
  *xl = lanes_choose (better, new_xl, *xl);
  *ll = lanes_choose (better, new_ll, *ll);
}

/* ggml: make_q3_quants(). Sets @l to the codes and returns the scale. A pass that changes nothing would change
   nothing again, so all lanes make all passes */
static ALWAYS_INLINE VecF
fit_descent (const VecF *x, guint n, float half, VecF *l)
{
  VecF top = fit_largest (x, n), inverse = -half / top, xl = vec_set (0.0f), ll = xl;
  VecI empty = vec_abs (top) < 1e-15f;

  for (guint i = 0; i < n; i++)
    {
      VecF w = x[i] * x[i];

      l[i] = lanes_clamp (lanes_round (inverse * x[i]), -half, half - 1.0f);
      xl += w * x[i] * l[i];
      ll += w * l[i] * l[i];
    }
  for (guint pass = 0; pass < 5; pass++)
    for (guint i = 0; i < n; i++)
      {
        VecF w = x[i] * x[i], xl_rest = xl - w * x[i] * l[i], ll_rest = ll - w * l[i] * l[i];
        VecF t = lanes_clamp (lanes_round (x[i] * ll_rest / xl_rest), -half, half - 1.0f);

        fit_try_code (w * x[i], w, t, xl_rest > 0.0f, xl_rest, ll_rest, &l[i], &xl, &ll);
      }
  for (guint i = 0; i < n; i++)
    l[i] = lanes_choose (empty, vec_set (-half), l[i]);
  return lanes_choose (~empty & (ll > 0.0f), xl / ll, vec_set (0.0f));
}

/**
 * FitAffine: numbers scale·l + low with @low not above 0, and what gives the codes: l = round (@inverse·(x - @base)).
 */
typedef struct {
  VecF scale, low, inverse, base;
} FitAffine;

/* The candidates of ggml's search: (first + step·k + top)/(max - min) for k = 0 … n. @absolute: errors count by
   their magnitude, not by their square */
typedef struct {
  float first, step;
  guint n;
  gboolean absolute;
} FitSteps;

/* Returns the error of the codes @l */
static ALWAYS_INLINE VecF
fit_affine_error (const VecF *x, const VecF *w, const VecF *l, guint n, VecF scale, VecF low, gboolean absolute)
{
  VecF sum = vec_set (0.0f);

  for (guint i = 0; i < n; i++)
    {
      VecF e = scale * l[i] + low - x[i];

      sum += w[i] * (absolute ? vec_abs (e) : e * e);
    }
  return sum;
}

/* Solves the least squares for the codes @l, and replaces @fit if the error gets less. @w_sum, @wx_sum: Σ w, Σ w·x
   */
static ALWAYS_INLINE void
fit_affine_solve (const VecF *x, const VecF *w, const VecF *l, guint n, gboolean absolute, const FitAffine *by,
                  VecF w_sum, VecF wx_sum, VecF *error, FitAffine *fit)
{
  VecF wl = vec_set (0.0f), wll = wl, wlx = wl, det, scale, low, e;
  VecI better, above;

  for (guint i = 0; i < n; i++)
    {
      wl += w[i] * l[i];
      wll += w[i] * l[i] * l[i];
      wlx += w[i] * l[i] * x[i];
    }
  det = w_sum * wll - wl * wl;
  scale = (w_sum * wlx - wx_sum * wl) / det;
  low = (wll * wx_sum - wl * wlx) / det;
  above = low > 0.0f;
  low = lanes_choose (above, vec_set (0.0f), low);
  scale = lanes_choose (above, wlx / wll, scale);
  e = fit_affine_error (x, w, l, n, scale, low, absolute);
  better = (det > 0.0f) & (e < *error);
  *error = lanes_choose (better, e, *error);
  fit->scale = lanes_choose (better, scale, fit->scale);
  fit->low = lanes_choose (better, low, fit->low);
  fit->inverse = lanes_choose (better, by->inverse, fit->inverse);
  fit->base = lanes_choose (better, by->base, fit->base);
}

/* ggml: make_qkx2_quants(), make_qkx3_quants(). The minimum that a candidate finds is where the next ones begin. @n,
   @top, @steps: constants; @n is at most 32 */
static ALWAYS_INLINE FitAffine
fit_affine (const VecF *x, const VecF *w, guint n, float top, FitSteps steps)
{
  VecF low = x[0], high = x[0], w_sum = vec_set (0.0f), wx_sum = w_sum, l[32], error;
  FitAffine fit;
  VecI flat;

  for (guint i = 0; i < n; i++)
    {
      low = lanes_min (x[i], low);
      high = lanes_max (x[i], high);
      w_sum += w[i];
      wx_sum += w[i] * x[i];
    }
  low = lanes_choose (low > 0.0f, vec_set (0.0f), low);
  flat = high == low;
  fit = (FitAffine) { .low = low, .base = low, .inverse = top / (high - low) };
  fit.scale = 1.0f / fit.inverse;
  for (guint i = 0; i < n; i++)
    l[i] = lanes_clamp (lanes_round (fit.inverse * (x[i] - low)), 0.0f, top);
  error = fit_affine_error (x, w, l, n, fit.scale, low, steps.absolute);
  for (guint k = 0; k <= steps.n; k++)
    {
      FitAffine by = { .base = fit.low, .inverse = (steps.first + steps.step * (float) k + top) / (high - fit.low) };

      for (guint i = 0; i < n; i++)
        l[i] = lanes_clamp (lanes_round (by.inverse * (x[i] - by.base)), 0.0f, top);
      fit_affine_solve (x, w, l, n, steps.absolute, &by, w_sum, wx_sum, &error, &fit);
    }
  fit.scale = lanes_choose (flat, vec_set (0.0f), fit.scale);
  fit.low = lanes_choose (flat, low, fit.low);
  fit.inverse = lanes_choose (flat, vec_set (0.0f), fit.inverse);
  return fit;
}

/* ggml: make_qp_quants() for numbers that are not negative. Sets @l to the codes and returns the scale */
static ALWAYS_INLINE VecF
fit_positive (const VecF *x, const VecF *w, guint n, float top, VecF *l)
{
  VecF most = vec_set (0.0f), inverse = most, error = most, xl = most, ll = most;
  VecI empty;

  for (guint i = 0; i < n; i++)
    most = lanes_max (x[i], most);
  empty = most < 1e-15f;
  for (gint k = -5; k <= 4; k++)
    {
      VecF by = ((k == -5 ? 0.0f : 0.1f * (float) k) + top) / most, scale = 1.0f / by, sum = vec_set (0.0f);
      VecI better;

      if (k == 0)
        continue;
      for (guint i = 0; i < n; i++)
        {
          VecF e = x[i] - scale * lanes_clamp (lanes_round (by * x[i]), 0.0f, top);

          sum += w[i] * e * e;
        }
      better = k == -5 ? (VecI) { 0 } == 0 : sum < error;
      error = lanes_choose (better, sum, error);
      inverse = lanes_choose (better, by, inverse);
    }
  for (guint i = 0; i < n; i++)
    {
      l[i] = lanes_clamp (lanes_round (inverse * x[i]), 0.0f, top);
      xl += w[i] * x[i] * l[i];
      ll += w[i] * l[i] * l[i];
    }
  for (guint pass = 0; pass < 5; pass++)
    for (guint i = 0; i < n; i++)
      {
        VecF xl_rest = xl - w[i] * x[i] * l[i], ll_rest = ll - w[i] * l[i] * l[i];
        VecF t = lanes_clamp (lanes_round (x[i] * ll_rest / xl_rest), 0.0f, top);

        fit_try_code (w[i] * x[i], w[i], t, (xl_rest > 0.0f) & (ll_rest > 0.0f), xl_rest, ll_rest, &l[i], &xl, &ll);
      }
  for (guint i = 0; i < n; i++)
    l[i] = lanes_choose (empty, vec_set (0.0f), l[i]);
  return lanes_choose (~empty & (ll > 0.0f), xl / ll, vec_set (0.0f));
}
