/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds codes and scales as comfy-kitchen's eager backend does: every step is rounded to FP32, and sums run in eight
   lanes, so that they do not depend on threads. w4a8.c calls it. */
#include <string.h>

#include "encode.h"

/* The least scale, and the least sum by which a number is divided */
#define FLOOR 1e-8f
#define LANES 8
#define E4M3_LARGEST 0x7e

/* Levels for weights that were divided by the largest of their group, as comfy-kitchen has them */
const float w4a8_table[W4A8_LEVELS]
    = { -0.980602f, -0.794529f, -0.638165f, -0.500986f, -0.377321f, -0.263187f, -0.155210f, -0.050720f,
        0.052541f,  0.156985f,  0.265284f,  0.379533f,  0.502636f,  0.638953f,  0.794876f,  0.980671f };
/* The levels of a file without a codebook */
const float w4a8_eighths[W4A8_LEVELS] = { -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7 };

/* Returns the sum of @n numbers in eight lanes. @n must be a multiple of eight, as everywhere in this file: groups
   of four are padded with zeros. */
static float
sum_lanes (const float *x, guint n)
{
  float lanes[LANES] = { 0 }, sum = 0.0f;

  for (guint i = 0; i < n; i += LANES)
    for (guint lane = 0; lane < LANES; lane++)
      lanes[lane] += x[i + lane];
  for (guint lane = 0; lane < LANES; lane++)
    sum += lanes[lane];
  return sum;
}

/* Four lanes: compilers do not make vectors of loops over levels */
typedef float Floats __attribute__ ((vector_size (16)));
typedef gint32 Ints __attribute__ ((vector_size (16)));

/* Counts, for each of eight numbers, the levels that are less. @below gets the counts */
static void
count_below (const float *x, const float *levels, guint n_levels, gint32 *below)
{
  Floats halves[2];
  Ints counts[2] = { { 0 }, { 0 } };

  memcpy (halves, x, sizeof halves);
  for (guint k = 0; k < n_levels; k++)
    {
      Floats level = { levels[k], levels[k], levels[k], levels[k] };

      counts[0] -= level < halves[0];
      counts[1] -= level < halves[1];
    }
  memcpy (below, counts, sizeof counts);
}

/* Picks the nearest of ascending levels: compares the last one below x and the next one, and takes the lower if both
   are as far. Levels may repeat, so the least distance may be that of another level */
static void
pick_levels (const float *x, guint n, const float *levels, guint n_levels, guint8 *codes)
{
  for (guint i = 0; i < n; i += LANES)
    {
      gint32 below[LANES];

      count_below (x + i, levels, n_levels, below);
      for (guint lane = 0; lane < LANES; lane++)
        {
          guint low = (guint) MAX (below[lane] - 1, 0), high = MIN ((guint) below[lane], n_levels - 1);
          float to_low = fabsf (x[i + lane] - levels[low]), to_high = fabsf (x[i + lane] - levels[high]);

          codes[i + lane] = (guint8) (low + (to_high < to_low ? high - low : 0));
        }
    }
}

/* Chooses codes for @n weights @x, which it overwrites. */
static void
choose_codes (const W4a8Form *form, float *x, guint n, float scale, guint8 *codes)
{
  float lowest = form->levels[0], highest = form->levels[form->n_levels - 1];

  for (guint i = 0; i < n; i++)
    x[i] /= scale;
  if (!form->uniform)
    {
      pick_levels (x, n, form->levels, form->n_levels, codes);
      return;
    }
  for (guint i = 0; i < n; i++)
    {
      float held = x[i] > lowest ? (x[i] < highest ? x[i] : highest) : lowest;

      codes[i] = (guint8) (w4a8_nearest (held) - lowest);
    }
}

/* Returns the scale with the least squared error for these codes. */
static float
fit_scale (const W4a8Form *form, const float *weights, guint n, const guint8 *codes)
{
  float products[W4A8_LARGEST_GROUP], squares[W4A8_LARGEST_GROUP], norm, scale;

  for (guint i = 0; i < n; i++)
    {
      float level = i < form->group ? form->levels[codes[i]] : 0.0f;

      products[i] = weights[i] * level;
      squares[i] = level * level;
    }
  norm = sum_lanes (squares, n);
  scale = sum_lanes (products, n) / MAX (norm, FLOOR);
  return MAX (scale, FLOOR);
}

static guint
fill_up (const W4a8Form *form, const float *group, float *weights)
{
  guint n = MAX (form->group, LANES);

  memset (weights, 0, n * sizeof *weights);
  memcpy (weights, group, form->group * sizeof *weights);
  return n;
}

/* Returns the scale of one group. Raises @peak to the largest magnitude of the decoded codes */
static float
fit_group (const W4a8Form *form, const float *group, guint8 *codes, float *peak)
{
  float weights[W4A8_LARGEST_GROUP], x[W4A8_LARGEST_GROUP], largest = 0.0f, scale;
  guint8 chosen[W4A8_LARGEST_GROUP];
  guint n = fill_up (form, group, weights);

  for (guint i = 0; i < n; i++)
    largest = MAX (largest, fabsf (weights[i]));
  if (form->uniform)
    largest /= form->levels[form->n_levels - 1];
  scale = MAX (largest, FLOOR);
  for (guint refit = form->fitted ? 2 : 0;; refit--)
    {
      memcpy (x, weights, n * sizeof *x);
      choose_codes (form, x, n, scale, chosen);
      if (refit == 0)
        break;
      scale = fit_scale (form, weights, n, chosen);
    }
  for (guint i = 0; i < form->group; i++)
    *peak = MAX (*peak, fabsf (form->levels[chosen[i]] * scale));
  memcpy (codes, chosen, form->group);
  return scale;
}

/* Returns the E4M3 code of @scale, which is not negative: nearest, ties to even, saturating */
static guint8
code_of_scale (float scale)
{
  guint8 low = 0, high = E4M3_LARGEST;
  float below, above;

  while (low < high)
    {
      guint8 middle = (guint8) ((low + high + 1) / 2);

      if (w4a8_scale_of_code (middle) <= scale)
        low = middle;
      else
        high = (guint8) (middle - 1);
    }
  if (low == E4M3_LARGEST)
    return low;
  below = scale - w4a8_scale_of_code (low);
  above = w4a8_scale_of_code ((guint8) (low + 1)) - scale;
  return (guint8) (low + (above < below || (above == below && low % 2 == 1)));
}

/* Returns the squared error of the codes that it chooses. @x: weights in units of the row's scale */
static float
choose_steps (const W4a8Form *form, const float *x, guint n, float scale, guint8 *codes)
{
  float steps[W4A8_MOST_LEVELS], errors[W4A8_LARGEST_GROUP];

  for (guint k = 0; k < form->n_levels; k++)
    steps[k] = w4a8_step (form->levels[k], scale);
  pick_levels (x, n, steps, form->n_levels, codes);
  if (!form->search)
    return 0.0f;
  for (guint i = 0; i < n; i++)
    {
      float error = i < form->group ? steps[codes[i]] - x[i] : 0.0f;

      errors[i] = error * error;
    }
  return sum_lanes (errors, n);
}

/* Chooses codes for @scale, or for the scale @e4m3 or a neighbour of it; sets @e4m3 to the scale that it took */
static void
choose_final (const W4a8Form *form, const float *group, float row_scale, float scale, guint8 *e4m3, guint8 *codes)
{
  guint8 best[W4A8_LARGEST_GROUP], tried[W4A8_LARGEST_GROUP], first = e4m3 != NULL ? *e4m3 : 0;
  guint8 next[] = { MAX (first, 2) - 1, MIN (first + 1, E4M3_LARGEST) };
  float x[W4A8_LARGEST_GROUP], least;
  guint n = fill_up (form, group, x);

  for (guint i = 0; i < n; i++)
    x[i] /= row_scale;
  least = choose_steps (form, x, n, scale, best);
  for (guint k = 0; k < G_N_ELEMENTS (next) && form->search && e4m3 != NULL; k++)
    {
      float error = choose_steps (form, x, n, w4a8_scale_of_code (next[k]), tried);

      if (!(error < least))
        continue;
      least = error;
      *e4m3 = next[k];
      memcpy (best, tried, n);
    }
  memcpy (codes, best, form->group);
}

float
w4a8_encode_row (const W4a8Form *form, const float *row, guint64 cols, guint8 *codes, float *scales, guint8 *e4m3)
{
  float peak = 0.0f, row_scale;

  for (guint64 col = 0, k = 0; col < cols; col += form->group, k++)
    scales[k] = fit_group (form, row + col, codes + col, &peak);
  row_scale = MAX (peak / 127.0f, FLOOR);
  for (guint64 col = 0, k = 0; col < cols; col += form->group, k++)
    {
      scales[k] /= row_scale;
      if (e4m3 != NULL)
        {
          e4m3[k] = code_of_scale (scales[k]);
          scales[k] = w4a8_scale_of_code (e4m3[k]);
        }
      if (form->fitted)
        choose_final (form, row + col, row_scale, scales[k], e4m3 != NULL ? e4m3 + k : NULL, codes + col);
    }
  return row_scale;
}
