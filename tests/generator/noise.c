/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the random weights of synthetic models: Splitmix64 and a table of the normal distribution. */
#include "noise.h"

#include <math.h>

enum { QUANTILES = 65536 };

/* Splitmix64: the step between counters; mix() hashes a counter */
static const guint64 step = 0x9e3779b97f4a7c15;

static guint64
mix (guint64 z)
{
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

guint64
noise_key (guint64 seed, const char *name)
{
  guint64 h = mix (seed + step);

  for (const char *c = name; *c != '\0'; c++)
    h = mix (h ^ (guint8) *c) + step;
  return h;
}

/* Returns x with P(X < x) = @p < 1/2 for the standard normal distribution, by Newton's method from the left */
static double
quantile (double p)
{
  double x = -sqrt (-2 * log (p));

  for (int i = 0; i < 60; i++)
    {
      double density = exp (-x * x / 2) / sqrt (2 * G_PI);
      double change = (p - 0.5 * erfc (-x / G_SQRT2)) / density;

      x += change;
      if (fabs (change) < 1e-12)
        break;
    }
  return x;
}

static const float *
quantile_table (void)
{
  static float *table;

  if (g_once_init_enter (&table))
    {
      float *made = g_new (float, QUANTILES);

      /* Math libraries differ in the last digits, and models must not: values are rounded coarsely */
      for (int i = 0; i < QUANTILES / 2; i++)
        {
          made[i] = (float) (nearbyint (quantile ((i + 0.5) / QUANTILES) * 65536) / 65536);
          made[QUANTILES - 1 - i] = -made[i];
        }
      g_once_init_leave (&table, made);
    }
  return table;
}

void
noise_fill (guint64 key, guint64 first, gsize n, float mean, float deviation, float *out)
{
  const float *table = quantile_table ();

  for (gsize i = 0; i < n;)
    {
      guint64 z = mix (key + step * ((first + i) / 4));

      for (guint64 k = (first + i) % 4; k < 4 && i < n; k++)
        out[i++] = mean + deviation * table[(z >> (16 * k)) & 0xffff];
    }
}
