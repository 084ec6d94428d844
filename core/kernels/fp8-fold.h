/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bounds the errors of many FP8 scales at the cost of a few: fp8-tile.c excludes scales with it.

   In the range of normal numbers E4M3 has the same steps in every octave, but for their size: a weight half as large
   has half the error, exactly, also in FP32. So all weights with one mantissa count as one, with the sum of their
   4^exponent as its number, and 16-bit weights have few mantissas. */
#pragma once
#include "kernels/fp8.h"

#define FOLD_SUMS 16
#define FOLD_OCTAVES 13          /* down to 2^-6 for any scale: see fold_bounds() */
#define FOLD_MOST_MANTISSAS 1024 /* of F16 */
#define FOLD_STRETCH 512         /* weights that are examined at once */
#define FOLD_LOWEST 1e-11f
#define FOLD_HIGHEST 1e30f

/**
 * Fold: weights counted by magnitude.
 *
 * @mantissas: how many there are in an octave
 * @octaves: that are counted
 * @before: the magnitude before the lowest one that is counted, as bits
 * @counts: of @before and everything below it; then of all magnitudes that follow
 */
typedef struct {
  QconvDType dtype;
  guint mantissas, octaves;
  guint16 before;
  guint32 counts[1 + FOLD_OCTAVES * FOLD_MOST_MANTISSAS];
} Fold;

/* Begins to count @n weights whose largest magnitude is @amax. Returns whether that is worth it, and exact. */
static inline gboolean
fold_begin (Fold *f, QconvDType dtype, gsize n, float amax)
{
  guint bits = dtype == QCONV_BF16 ? 7 : 10, top;

  f->mantissas = 1 << bits;
  if (dtype == QCONV_F32 || n < 4 * f->mantissas || n > 1 << 24 || amax < FOLD_LOWEST || amax > FOLD_HIGHEST)
    return FALSE;
  f->dtype = dtype;
  top = (dtype == QCONV_BF16 ? bf16_of_f32 (amax) : f16_of_f32 (amax)) >> bits;
  f->octaves = MIN (top, FOLD_OCTAVES); /* subnormal weights have no mantissa of their own */
  f->before = (guint16) (((top + 1 - f->octaves) << bits) - 1);
  memset (f->counts, 0, (1 + f->octaves * f->mantissas) * sizeof *f->counts);
  return f->octaves > 0;
}

/* Counts @n weights. Their places are found first, which needs no loop over single weights */
static inline void
fold_add (Fold *f, const guint16 *x, gsize n)
{
  guint32 *counts = f->counts;
  guint16 before = f->before, places[FOLD_STRETCH];

  for (gsize at = 0; at < n; at += FOLD_STRETCH)
    {
      gsize run = MIN (n - at, FOLD_STRETCH);

      for (gsize i = 0; i < run; i++)
        {
          guint16 magnitude = x[at + i] & 0x7fff;

          places[i] = MAX (magnitude, before) - before;
        }
      for (gsize i = 0; i < run; i++)
        counts[places[i]]++;
    }
}

/* Sets the numbers of all mantissas, and the weights themselves in the highest octave */
static inline void
fold_octaves (const Fold *f, float *numbers, float *weights)
{
  guint16 patterns[FOLD_MOST_MANTISSAS];
  guint top = f->before + 1 + (f->octaves - 1) * f->mantissas;

  memset (numbers, 0, f->mantissas * sizeof *numbers);
  for (guint o = 0; o < f->octaves; o++)
    for (guint m = 0; m < f->mantissas; m++)
      numbers[m] = numbers[m] * 0.25f + (float) (gint32) f->counts[1 + o * f->mantissas + m];
  for (guint m = 0; m < f->mantissas; m++)
    patterns[m] = (guint16) (top + m);
  QCONV_LEVEL_NAME (qconv_widen) (f->dtype, patterns, weights, f->mantissas);
}

static inline float
fold_error (const float *numbers, const float *weights, guint n, float factor)
{
  float sums[FOLD_SUMS] = { 0.0f }, sum = 0.0f;

  for (guint i = 0; i < n; i += FOLD_SUMS)
    for (guint k = 0; k < FOLD_SUMS; k++)
      {
        float t = weights[i + k] * factor, rounder = f32_of_bits (fp8_rounder (t, FP8_E4M3));
        float d = t - ((t + rounder) - rounder);

        sums[k] += numbers[i + k] * (d * d);
      }
  for (guint k = 0; k < FOLD_SUMS; k++)
    sum += sums[k];
  return sum;
}

/* Bounds what the reference computes as the sum of squared errors, in steps of the code, for each of @n_factors
   factors. The first and largest one makes the largest magnitude 448, the last one is above half of it: the highest
   octave begins above 112, so 13 octaves reach down to 2^-6. @terms: the most errors that the reference adds up in one
   sum, at most 2^20.

   Relative errors of FP32, in units of 2^-24: of the reference, one for a square, one for each addition, four more in
   the end; here, one for each octave, the square, the product, and at most 64 and 16 additions. Two units more cover
   what follows in FP64. A weight that is not counted is below 448 * 2^(1 - octaves), where steps are 2^(6 - octaves) or
   less; its error is at most half a step. */
static inline void
fold_bounds (const Fold *f, gsize terms, const float *factors, guint n_factors, double *lower, double *upper)
{
  float numbers[FOLD_MOST_MANTISSAS], weights[FOLD_MOST_MANTISSAS];
  double units = ((double) terms + 5 + FOLD_OCTAVES + 2 + 64 + 16 + 2) * 0x1p-24, unsure = units / (1.0 - 2.0 * units);
  double rest = f->counts[0] * 0x1p8;

  for (guint i = 1; i < f->octaves; i++)
    rest *= 0.25;
  fold_octaves (f, numbers, weights);
  for (guint k = 0; k < n_factors; k++)
    {
      double error = fold_error (numbers, weights, f->mantissas, factors[k]);

      lower[k] = error * (1.0 - unsure);
      upper[k] = (error + rest) * (1.0 + unsure);
    }
}
