/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random matrices of known distributions, for the tests of quality. */
#include "random-weights.h"

#include <math.h>

#include "kernel-fixture.h"

const char *const random_kind_names[RANDOM_N_KINDS] = { "Gaussian", "Laplace", "t(5)", "1 % columns x8" };

/* Returns a number of deviation 1 */
static double
draw (RandomKind kind, guint64 *state)
{
  double uniform, squares = 0.0, x;

  switch (kind)
    {
    case RANDOM_LAPLACE:
      uniform = (kernel_random (state) + 0.5) / 0x1p32;
      return log (uniform) * (kernel_random (state) % 2 == 0 ? 1 : -1) / sqrt (2);
    case RANDOM_STUDENT:
      x = kernel_normal (state);
      for (guint i = 0; i < 5; i++)
        {
          double y = kernel_normal (state);

          squares += y * y;
        }
      return x / sqrt (squares / 5) * sqrt (0.6);
    default:
      return kernel_normal (state);
    }
}

guint64
random_side (void)
{
  return test_is_small () ? 256 : 1024;
}

float *
random_weights (RandomKind kind, guint64 rows, guint64 cols, guint64 seed)
{
  float *weights = g_new (float, rows *cols);

  for (guint64 i = 0; i < rows * cols; i++)
    {
      double factor = kind == RANDOM_COLUMNS && i % cols % 100 == 37 ? 0.16 : 0.02;

      weights[i] = (float) (draw (kind, &seed) * factor);
    }
  return weights;
}
