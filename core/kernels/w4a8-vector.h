/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the scales and codes of several groups at once, one in each lane, so that all sums are in the order of the
   reference. w4a8.c calls it.

   The reference compares the distances to two neighbours. The higher one is taken above a threshold between them, so a
   code is the number of thresholds below the weight. */
#pragma once
#include "kernels/codebook4.h"
#include "kernels/items/w4a8.h"
#include "kernels/vector.h"

/* @levels, @thresholds: of a table */
typedef struct {
  const QconvW4a8Job *job;
  float levels[W4A8_LEVELS];
  VecF thresholds[W4A8_LEVELS - 1];
} Coder;

/* ---- Thresholds ---- */

/* Returns a whole number that is in the order of the numbers @x */
static inline gint32
rank_of (float x)
{
  gint32 bits = (gint32) bits_of_f32 (x);

  return bits >= 0 ? bits : G_MININT32 - bits;
}

static inline float
float_of_rank (gint32 rank)
{
  return f32_of_bits (rank >= 0 ? (guint32) rank : (guint32) (G_MININT32 - rank));
}

/* Returns the largest number for which the reference takes @low and not @high */
static inline float
find_threshold (float low, float high)
{
  gint32 a = rank_of (low), b = rank_of (high);

  while ((gint64) b - a > 1)
    {
      gint32 middle = (gint32) (a + ((gint64) b - a) / 2);
      float x = float_of_rank (middle);

      if (fabsf (x - high) < fabsf (x - low))
        b = middle;
      else
        a = middle;
    }
  return float_of_rank (a);
}

/* Does the same for steps, which are whole numbers of up to 127. With x = middle + t and h half of the distance, the
   reference compares h - t and h + t, both rounded to FP32. They are equal for t up to half of the gap between h and
   the number below it; @low is taken then, too. */
static inline VecF
threshold_of_steps (VecF low, VecF high)
{
  VecF half = (high - low) * 0.5f, below = (VecF) ((VecI) half - 1), zero = { 0 };

  return (low + high) * 0.5f + vec_select_less (zero, half, (half - below) * 0.5f, zero);
}

static inline void
start_coder (Coder *c, const QconvW4a8Job *job)
{
  c->job = job;
  if (job->levels == NULL)
    return;
  memcpy (c->levels, job->levels, sizeof c->levels);
  for (guint k = 0; k < W4A8_LEVELS - 1; k++)
    c->thresholds[k] = vec_set (find_threshold (job->levels[k], job->levels[k + 1]));
}

/* ---- Own scales ---- */

/* Loads @n groups, at most LANES, from group @k on: @w gets weight i of each. Zeros fill up the lanes */
static inline void
load_groups (const QconvW4a8Job *job, gsize k, gsize n, VecF *w)
{
  float padded[LANES * W4A8_LARGEST_GROUP];
  const float *src = job->src + k * job->group;
  gsize step = MAX (job->group, W4A8_SUMS);

  if (n < LANES || step > job->group)
    {
      memset (padded, 0, LANES * step * sizeof *padded);
      for (gsize lane = 0; lane < n; lane++)
        memcpy (padded + lane * step, src + lane * job->group, job->group * sizeof *padded);
      src = padded;
    }
  for (gsize i = 0; i < job->group; i += 8)
    {
      VecI v[8];

      vec_load_columns (v, (const guint8 *) (src + i), step * sizeof *src, FALSE);
      memcpy (w + i, v, sizeof v);
    }
}

/* Returns the nearest of whole levels. @x: weights over their own scale */
static inline VecF
whole_level (const Coder *c, VecF x)
{
  x = vec_min (vec_max (x, vec_set (c->job->lowest)), vec_set (w4a8_highest (c->job)));
  return (x + W4A8_ROUND) - W4A8_ROUND;
}

static inline VecF
nearest_level (const Coder *c, VecF x)
{
  VecI below = { 0 };

  if (c->job->levels == NULL)
    return whole_level (c, x);
  for (guint k = 0; k < W4A8_LEVELS - 1; k++)
    below -= (VecI) (c->thresholds[k] < x);
  return (VecF) book_pick (c->levels, below);
}

static inline VecF
floored (VecF x)
{
  return vec_max (x, vec_set (W4A8_FLOOR));
}

static inline VecF
fit_scales (const Coder *c, const VecF *w, VecF scale)
{
  VecF products = { 0 }, squares = { 0 };

  for (guint lane = 0; lane < W4A8_SUMS; lane++)
    {
      VecF product = { 0 }, square = { 0 };

      for (gsize i = lane; i < c->job->group; i += W4A8_SUMS)
        {
          VecF level = nearest_level (c, w[i] / scale);

          product += w[i] * level;
          square += level * level;
        }
      products += product;
      squares += square;
    }
  return floored (products / floored (squares));
}

static inline VecF
own_scales (const Coder *c, const VecF *w)
{
  const QconvW4a8Job *job = c->job;
  VecF top = { 0 }, scale;

  for (gsize i = 0; i < job->group; i++)
    top = vec_max (vec_abs (w[i]), top);
  scale = floored (job->levels != NULL ? top : top / w4a8_highest (job));
  for (guint i = 0; i < 2 && job->fitted; i++)
    scale = fit_scales (c, w, scale);
  return scale;
}

/* Finds the own scales of the groups of a row, of which @first is the first one. Returns the largest magnitude that
   they decode to */
static float
find_own_scales (const Coder *c, gsize first)
{
  const QconvW4a8Job *job = c->job;
  float peak = 0.0f;

  for (gsize k = 0; k < job->groups; k += LANES)
    {
      gsize n = MIN (job->groups - k, LANES);
      VecF w[W4A8_LARGEST_GROUP], scale, peaks = { 0 };

      load_groups (job, first + k, n, w);
      scale = own_scales (c, w);
      for (gsize i = 0; i < job->group; i++)
        peaks = vec_max (vec_abs (nearest_level (c, w[i] / scale) * scale), peaks);
      memcpy (job->own + k, &scale, n * sizeof *job->own);
      for (gsize lane = 0; lane < n; lane++)
        peak = MAX (peak, peaks[lane]);
    }
  return peak;
}

/* ---- Steps ---- */

static inline VecF
steps_of (VecF level, VecF scale)
{
  const VecF lowest = vec_set (-W4A8_LARGEST_STEP), highest = vec_set (W4A8_LARGEST_STEP);
  VecF x = level * scale;

  x = vec_select_less (x, lowest, lowest, vec_select_less (highest, x, highest, x));
  return (x + W4A8_ROUND) - W4A8_ROUND;
}

/* Chooses the numbers of levels for weights @x in units of the row's scale */
static inline void
choose_steps (const QconvW4a8Job *job, const VecF *x, VecF scale, VecI *codes)
{
  VecF thresholds[W6A8_LEVELS - 1], low = steps_of (vec_set (w4a8_level (job, 0)), scale);

  for (guint k = 0; k + 1 < job->n_levels; k++)
    {
      VecF high = steps_of (vec_set (w4a8_level (job, k + 1)), scale);

      thresholds[k] = threshold_of_steps (low, high);
      low = high;
    }
  for (gsize i = 0; i < job->group; i += 4)
    {
      VecI count[4] = { 0 };

      for (guint k = 0; k + 1 < job->n_levels; k++)
        for (guint j = 0; j < 4; j++)
          count[j] -= (VecI) (thresholds[k] < x[i + j]);
      memcpy (codes + i, count, sizeof count);
    }
}

/* Returns the squared errors of codes for whole levels */
static inline VecF
errors_of (const QconvW4a8Job *job, const VecF *x, VecF scale, const VecI *codes)
{
  VecF sum = { 0 };

  for (guint lane = 0; lane < W4A8_SUMS; lane++)
    {
      VecF errors = { 0 };

      for (gsize i = lane; i < job->group; i += W4A8_SUMS)
        {
          VecF d = steps_of (job->lowest + vec_of_int (codes[i]), scale) - x[i];

          errors += d * d;
        }
      sum += errors;
    }
  return sum;
}

static inline VecF
scales_of_codes (const guint8 e4m3[LANES])
{
  VecF scale;

  for (guint lane = 0; lane < LANES; lane++)
    scale[lane] = f32_of_e4m3 (e4m3[lane]);
  return scale;
}

/* Replaces codes by those of the scales beside @e4m3, and @e4m3 by these, in the lanes whose error gets less */
static inline void
search_scales (const QconvW4a8Job *job, const VecF *x, guint8 e4m3[LANES], VecI *codes)
{
  VecI tried[W4A8_LARGEST_GROUP];
  VecF least = errors_of (job, x, scales_of_codes (e4m3), codes);
  guint8 first[LANES], next[LANES];

  memcpy (first, e4m3, sizeof first);
  for (guint try = 1; try < W4A8_N_TRIED; try++)
    {
      VecF scale, error;
      VecI better;

      for (guint lane = 0; lane < LANES; lane++)
        next[lane] = w4a8_code_to_try (first[lane], try);
      scale = scales_of_codes (next);
      choose_steps (job, x, scale, tried);
      error = errors_of (job, x, scale, tried);
      better = error < least;
      least = vec_select_less (error, least, error, least);
      for (guint lane = 0; lane < LANES; lane++)
        e4m3[lane] = better[lane] ? next[lane] : e4m3[lane];
      for (gsize i = 0; i < job->group; i++)
        codes[i] = (tried[i] & better) | (codes[i] & ~better);
    }
}

/* ---- Codes ---- */

/* Writes the codes of @n groups from group @k on: whole words, or the half of one for a group of four */
static inline void
store_codes (const QconvW4a8Job *job, gsize k, gsize n, const VecI *codes)
{
  gsize bits = job->n_levels == W4A8_LEVELS ? 4 : 8, bytes = MIN (job->group * bits / 8, 4),
        per_word = bytes * 8 / bits;
  guint8 *dst = job->codes + k * job->group * bits / 8;

  for (gsize i = 0; i < job->group; i += per_word)
    {
      VecI word = { 0 };

      for (gsize j = 0; j < per_word; j++)
        word |= (codes[i + j] + (gint32) job->first) << (gint32) (bits * j);
      for (gsize lane = 0; lane < n; lane++)
        {
          gint32 one = word[lane];

          memcpy (dst + (lane * job->group + i) * bits / 8, &one, bytes);
        }
    }
}

/* Writes the scales and codes of @n groups from group @k on, at most LANES, whose own scales are @own */
static inline void
finish_lanes (const Coder *c, gsize k, gsize n, VecF own, float row_scale)
{
  const QconvW4a8Job *job = c->job;
  VecF w[W4A8_LARGEST_GROUP], scale = own / row_scale;
  VecI codes[W4A8_LARGEST_GROUP];
  guint8 e4m3[LANES];

  load_groups (job, k, n, w);
  for (guint lane = 0; lane < LANES; lane++)
    e4m3[lane] = w4a8_code_of_scale (scale[lane]);
  if (job->fitted)
    {
      for (gsize i = 0; i < job->group; i++)
        w[i] /= row_scale;
      choose_steps (job, w, job->e4m3 ? scales_of_codes (e4m3) : scale, codes);
      if (job->search)
        search_scales (job, w, e4m3, codes);
    }
  else
    for (gsize i = 0; i < job->group; i++)
      codes[i] = __builtin_convertvector(whole_level (c, w[i] / own) - job->lowest, VecI);
  if (job->e4m3)
    memcpy ((guint8 *) job->scales + k, e4m3, n);
  else
    memcpy ((float *) job->scales + k, &scale, n * sizeof (float));
  store_codes (job, k, n, codes);
}

static void
finish_groups (const Coder *c, gsize first, float row_scale)
{
  const QconvW4a8Job *job = c->job;

  for (gsize k = 0; k < job->groups; k += LANES)
    {
      gsize n = MIN (job->groups - k, LANES);
      VecF own = vec_set (1.0f);

      memcpy (&own, job->own + k, n * sizeof *job->own);
      finish_lanes (c, first + k, n, own, row_scale);
    }
}
