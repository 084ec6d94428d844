/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the codes and scales of W4A8 and W6A8, as comfy-kitchen's eager backend does, and decodes them. A code stands
   for a level; a level times the scale of its group is rounded to a whole number of -127 to 127, its step, and that
   times the scale of the row is the weight. data/operations.md states the order of all sums. */
#pragma once
#include "kernels/items/weights.h"

#define W4A8_LEVELS 16
#define W6A8_LEVELS 63
#define W4A8_LARGEST_GROUP 256
#define W4A8_SUMS 8 /* partial sums: weight i of a group goes to sum i modulo 8 */
/* The least scale, and the least sum by which a number is divided */
#define W4A8_FLOOR 1e-8f
#define W4A8_LARGEST_STEP 127.0f
#define W4A8_LARGEST_E4M3 448.0f
#define W4A8_LARGEST_CODE 0x7e /* the E4M3 code of 448 */
#define W4A8_N_TRIED 3         /* scales of a search */
/* A number of up to 2^21 plus this is rounded to a whole one, ties to even */
#define W4A8_ROUND 0x1.8p23f

/* @levels: (nullable): ascending; NULL: they are whole numbers from @lowest on
   @codes: two to a byte if there are 16 levels, else a byte each; @first: the code of the lowest level
   @scales: of groups, F32 or E4M3; @own: F32 scales of the groups of one row, before they are divided by the row's
   @groups: of a row
   @fitted: the scale of a group is fitted to its codes, and codes are chosen once more for the rounded scales
   @search: the E4M3 scales beside the fitted one are tried
   @limit: sums of larger weights could overflow */
typedef struct {
  const float *src, *levels;
  guint8 *codes;
  void *scales;
  float *row_scales, *own;
  gsize rows, cols, group, groups;
  guint n_levels, first;
  float lowest, limit;
  gboolean e4m3, fitted, search;
} QconvW4a8Job;

QCONV_ITEM float
w4a8_level (const QconvW4a8Job *job, guint i)
{
  return job->levels != NULL ? job->levels[i] : job->lowest + (float) i;
}

QCONV_ITEM float
w4a8_highest (const QconvW4a8Job *job)
{
  return job->lowest + (float) (job->n_levels - 1);
}

QCONV_ITEM float
w4a8_round (float x)
{
  return (x + W4A8_ROUND) - W4A8_ROUND;
}

/* Returns the step of a level, in units of the row's scale */
QCONV_ITEM float
w4a8_step (float level, float scale)
{
  float x = level * scale;

  return w4a8_round (x < -W4A8_LARGEST_STEP ? -W4A8_LARGEST_STEP : x > W4A8_LARGEST_STEP ? W4A8_LARGEST_STEP : x);
}

QCONV_ITEM float
w4a8_floored (float x)
{
  return x > W4A8_FLOOR ? x : W4A8_FLOOR;
}

/* Returns the E4M3 code of @scale, which is not negative: nearest, ties to even, saturating */
QCONV_ITEM guint8
w4a8_code_of_scale (float scale)
{
  return e4m3_of_f32 (scale < W4A8_LARGEST_E4M3 ? scale : W4A8_LARGEST_E4M3);
}

/* Returns the E4M3 code number @i of a search; @first is the fitted one */
QCONV_ITEM guint8
w4a8_code_to_try (guint8 first, guint i)
{
  if (i == 0)
    return first;
  return (guint8) (i == 1 ? MAX (first, 2) - 1 : MIN (first + 1, W4A8_LARGEST_CODE));
}

/* Sets the steps of all levels */
QCONV_ITEM void
w4a8_fill_steps (const QconvW4a8Job *job, float scale, float steps[W6A8_LEVELS])
{
  for (guint i = 0; i < job->n_levels; i++)
    steps[i] = w4a8_step (w4a8_level (job, i), scale);
}

/* Returns which of @n levels or steps is nearest to @x. They ascend; steps may repeat. Compares the last one below @x
   with the next one, and takes the lower if both are as far. */
QCONV_ITEM guint
w4a8_nearest (const float *places, guint n, float x)
{
  guint below = 0, low, high;

  for (guint i = 0; i < n; i++)
    below += places[i] < x;
  low = below > 0 ? below - 1 : 0;
  high = MIN (below, n - 1);
  return magnitude_of (x - places[high]) < magnitude_of (x - places[low]) ? high : low;
}

/* Returns the number of the level nearest to @w under the group's own scale */
QCONV_ITEM guint
w4a8_choose (const QconvW4a8Job *job, float w, float scale)
{
  float x = w / scale, highest = w4a8_highest (job);

  if (job->levels != NULL)
    return w4a8_nearest (job->levels, job->n_levels, x);
  x = x > job->lowest ? (x < highest ? x : highest) : job->lowest;
  return (guint) (w4a8_round (x) - job->lowest);
}

QCONV_ITEM float
w4a8_sum (const float lanes[W4A8_SUMS])
{
  float sum = 0.0f;

  QCONV_UNROLL
  for (guint k = 0; k < W4A8_SUMS; k++)
    sum += lanes[k];
  return sum;
}

/* Returns the scale with the least squared error for the codes that are chosen under @scale */
QCONV_ITEM float
w4a8_fit (const QconvW4a8Job *job, const float *w, float scale)
{
  float products[W4A8_SUMS] = { 0.0f }, squares[W4A8_SUMS] = { 0.0f };

  for (gsize i = 0; i < job->group; i += W4A8_SUMS)
    {
      QCONV_UNROLL
      for (guint k = 0; k < W4A8_SUMS; k++)
        if (i + k < job->group)
          {
            float level = w4a8_level (job, w4a8_choose (job, w[i + k], scale));

            products[k] += w[i + k] * level;
            squares[k] += level * level;
          }
    }
  return w4a8_floored (w4a8_sum (products) / w4a8_floored (w4a8_sum (squares)));
}

/* Returns the first scale of a group with the largest magnitude @top. Whole levels reach their highest with it */
QCONV_ITEM float
w4a8_first_scale (const QconvW4a8Job *job, float top)
{
  return w4a8_floored (job->levels != NULL ? top : top / w4a8_highest (job));
}

/* Returns the own scale of a group, before it is divided by the row's */
QCONV_ITEM float
w4a8_own_scale (const QconvW4a8Job *job, const float *w)
{
  float top = 0.0f, scale;

  for (gsize i = 0; i < job->group; i++)
    top = magnitude_of (w[i]) > top ? magnitude_of (w[i]) : top;
  scale = w4a8_first_scale (job, top);
  for (guint i = 0; i < 2 && job->fitted; i++)
    scale = w4a8_fit (job, w, scale);
  return scale;
}

/* Returns the largest magnitude of a group as it decodes with its own scale */
QCONV_ITEM float
w4a8_peak (const QconvW4a8Job *job, const float *w, float scale)
{
  float peak = 0.0f;

  for (gsize i = 0; i < job->group; i++)
    {
      float y = magnitude_of (w4a8_level (job, w4a8_choose (job, w[i], scale)) * scale);

      peak = y > peak ? y : peak;
    }
  return peak;
}

QCONV_ITEM float
w4a8_row_scale (float peak)
{
  return w4a8_floored (peak / W4A8_LARGEST_STEP);
}

/* Returns the squared error of the nearest steps */
QCONV_ITEM float
w4a8_error (const QconvW4a8Job *job, const float *w, float row_scale, const float *steps)
{
  float errors[W4A8_SUMS] = { 0.0f };

  for (gsize i = 0; i < job->group; i += W4A8_SUMS)
    {
      QCONV_UNROLL
      for (guint k = 0; k < W4A8_SUMS; k++)
        if (i + k < job->group)
          {
            float x = w[i + k] / row_scale, d = steps[w4a8_nearest (steps, job->n_levels, x)] - x;

            errors[k] += d * d;
          }
    }
  return w4a8_sum (errors);
}

/* Returns the E4M3 code of the best scale among @first and its neighbours */
QCONV_ITEM guint8
w4a8_search (const QconvW4a8Job *job, const float *w, float row_scale, guint8 first)
{
  float steps[W6A8_LEVELS], least = 0.0f;
  guint8 best = first;

  for (guint i = 0; i < W4A8_N_TRIED; i++)
    {
      guint8 code = w4a8_code_to_try (first, i);
      float error;

      w4a8_fill_steps (job, f32_of_e4m3 (code), steps);
      error = w4a8_error (job, w, row_scale, steps);
      if (i == 0 || error < least)
        {
          least = error;
          best = code;
        }
    }
  return best;
}

/* Writes the code of weight @at of all weights. Codes of 4 bits come in order: the lower one clears the byte */
QCONV_ITEM void
w4a8_store_code (const QconvW4a8Job *job, gsize at, guint i)
{
  if (job->n_levels != W4A8_LEVELS)
    job->codes[at] = (guint8) (i + job->first);
  else
    job->codes[at / 2] = (guint8) (at % 2 == 0 ? i : job->codes[at / 2] | i << 4);
}

/* Writes the scale and the codes of group @k of all groups, whose own scale is @own */
QCONV_ITEM void
w4a8_finish_group (const QconvW4a8Job *job, gsize k, float own, float row_scale)
{
  const float *w = job->src + k * job->group;
  float scale = own / row_scale, steps[W6A8_LEVELS];

  if (job->e4m3)
    {
      guint8 code = w4a8_code_of_scale (scale);

      if (job->search)
        code = w4a8_search (job, w, row_scale, code);
      ((guint8 *) job->scales)[k] = code;
      scale = f32_of_e4m3 (code);
    }
  else
    ((float *) job->scales)[k] = scale;
  w4a8_fill_steps (job, scale, steps);
  for (gsize i = 0; i < job->group; i++)
    w4a8_store_code (job, k * job->group + i,
                     job->fitted ? w4a8_nearest (steps, job->n_levels, w[i] / row_scale)
                                 : w4a8_choose (job, w[i], own));
}

/* ---- Decoding ---- */

#define W4A8_RUN 8 /* columns of a unit */

/* @levels: (nullable): by code; NULL: the level of a code is the code less @centre
   @packed: two codes to a byte, else a byte each
   @stored: the type of @scales, which are of groups: F32 or E4M3
   @groups, @runs: of a row; a unit is a run */
typedef struct {
  const guint8 *codes;
  const float *levels, *row_scales;
  const void *scales;
  float *dst;
  gsize rows, cols, group, groups, runs;
  gint centre;
  gboolean packed;
  QconvDType stored;
} QconvW4a8DecodeJob;

QCONV_ITEM float
w4a8_level_of_code (const QconvW4a8DecodeJob *job, guint code)
{
  return job->levels != NULL ? job->levels[code] : (float) ((gint) code - job->centre);
}

QCONV_ITEM void
w4a8_decode_unit (const QconvW4a8DecodeJob *job, gsize unit)
{
  gsize row = unit / job->runs, col = unit % job->runs * W4A8_RUN, n = job->cols - col, at = row * job->cols + col;
  guint32 word = job->packed ? load_eight_codes (job->codes + at / 2, n) : 0;
  float scale = 0.0f, y[W4A8_RUN];

  QCONV_UNROLL
  for (guint i = 0; i < W4A8_RUN; i++)
    if (i < n)
      {
        /* groups are of 4 columns, or of whole runs */
        if (i == 0 || (i == 4 && job->group == 4))
          scale = widen_item (job->stored, job->scales, row * job->groups + (col + i) / job->group);
        y[i] = w4a8_step (w4a8_level_of_code (job, job->packed ? word >> (4 * i) & 15 : job->codes[at + i]), scale)
               * job->row_scales[row];
      }
    else
      y[i] = 0.0f;
  store_run (QCONV_F32, y, n, W4A8_RUN, job->dst, at);
}
