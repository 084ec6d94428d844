/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the ConvRot rotation against its definition, and every level against the reference. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"

static const gsize groups[] = { 1, 4, 16, 64, 256, 1024 };

static void
rotate (const QconvKernelLevel *level, const KernelMatrix *src, float *dst, gsize group)
{
  QconvBuffer in = kernel_matrix_buffer (src);
  QconvBuffer out = QCONV_BUFFER (dst, src->rows * src->cols * sizeof *dst, QCONV_F32);

  KERNEL_RUN (level, "convrot", QCONV_BUF (&in), QCONV_BUF (&out), QCONV_I (src->rows), QCONV_I (src->cols),
              QCONV_I (group));
}

/* Tests every kind of weight, rows that end in the middle of a stretch, and a destination that is also the source */
static void
test_levels (const QconvKernelLevel *level)
{
  const gsize rows = 3, cols = 5 * 1024;
  g_autofree float *wide = g_new (float, rows *cols);
  guint64 state = 1;

  for (guint g = 0; g < G_N_ELEMENTS (groups); g++)
    for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
      for (guint d = 0; d < G_N_ELEMENTS (kernel_weight_dtypes); d++)
        {
          QconvDType dtype = kernel_weight_dtypes[d];
          gsize n = cols - 1024 + groups[g];
          g_autofree float *want = g_new (float, rows *n), *got = g_new (float, rows *n);
          g_autofree void *w = NULL;

          kernel_fill (kind, wide, rows * n, &state);
          w = kernel_narrow (dtype, wide, rows * n);
          rotate (qconv_kernel_levels (), KERNEL_MATRIX (dtype, w, rows, n), want, groups[g]);
          rotate (level, KERNEL_MATRIX (dtype, w, rows, n), got, groups[g]);
          for (gsize i = 0; i < rows * n; i++)
            if (isnan (want[i]) && isnan (got[i]))
              got[i] = want[i];
          g_assert_cmpmem (got, rows * n * sizeof *got, want, rows * n * sizeof *want);
          if (dtype != QCONV_F32)
            continue;
          rotate (level, KERNEL_MATRIX (QCONV_F32, w, rows, n), w, groups[g]);
          for (gsize i = 0; i < rows * n; i++)
            g_assert_true (((float *) w)[i] == want[i] || isnan (want[i]));
        }
}

/* Returns: (transfer full): H4 ⊗ … ⊗ H4 / √group */
static double *
kronecker (gsize group)
{
  static const gint8 factor[4][4] = { { 1, 1, 1, -1 }, { 1, 1, -1, 1 }, { 1, -1, 1, 1 }, { -1, 1, 1, 1 } };
  double *h = g_new (double, group *group);

  for (gsize i = 0; i < group; i++)
    for (gsize j = 0; j < group; j++)
      {
        double x = 1 / sqrt ((double) group);

        for (gsize stride = 1; stride < group; stride *= 4)
          x *= factor[i / stride % 4][j / stride % 4];
        h[i * group + j] = x;
      }
  return h;
}

static void
test_definition (const QconvKernelLevel *level)
{
  float x[1024], y[1024], back[1024];
  guint64 state = 2;

  for (guint g = 0; g < G_N_ELEMENTS (groups); g++)
    {
      gsize group = groups[g];
      g_autofree double *h = kronecker (group);
      double length = 0, rotated = 0;

      kernel_fill (KERNEL_NORMAL, x, 1024, &state);
      rotate (level, KERNEL_MATRIX (QCONV_F32, x, 1, 1024), y, group);
      rotate (level, KERNEL_MATRIX (QCONV_F32, y, 1, 1024), back, group);
      for (gsize i = 0; i < 1024; i++)
        {
          double want = 0;

          for (gsize j = 0; j < group; j++)
            want += h[i % group * group + j] * (double) x[i / group * group + j];
          length += (double) x[i] * (double) x[i];
          rotated += (double) y[i] * (double) y[i];
          g_assert_cmpfloat_with_epsilon (y[i], want, 0.1 * 0x1p-22);
          g_assert_cmpfloat_with_epsilon (back[i], x[i], 0.1 * 0x1p-21);
        }
      g_assert_cmpfloat_with_epsilon (rotated / length, 1, 1e-6);
    }
}

/* Tests that a unit in column c gives column c of H, without any rounding */
static void
test_units (const QconvKernelLevel *level)
{
  for (guint g = 1; g < G_N_ELEMENTS (groups); g++)
    {
      gsize group = groups[g];
      g_autofree double *h = kronecker (group);

      for (gsize c = 0; c < group; c++)
        {
          float x[1024] = { 0.0f }, y[1024];

          x[c] = 1.0f;
          rotate (level, KERNEL_MATRIX (QCONV_F32, x, 1, group), y, group);
          for (gsize i = 0; i < group; i++)
            g_assert_cmpfloat (y[i], ==, h[i * group + c]);
        }
    }
}

static void
test_refused (const QconvKernelLevel *level)
{
  static const gint64 cases[][2]
      = { { 64, 0 }, { 64, 2 }, { 64, 8 }, { 64, 32 }, { 64, 256 }, { 4096, 4096 }, { 64, -4 } };
  g_autofree float *x = g_new0 (float, 4096);
  QconvBuffer buffer = QCONV_BUFFER (x, 4096 * sizeof *x, QCONV_F32);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const QconvArg args[]
          = { QCONV_BUF (&buffer), QCONV_BUF (&buffer), QCONV_I (1), QCONV_I (cases[i][0]), QCONV_I (cases[i][1]) };
      g_autoptr (GError) error = NULL;

      g_assert_false (kernel_try (level, "convrot", args, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (rotate)
{
  kernel_add_tests ("/rotate/levels", test_levels);
  kernel_add_tests ("/rotate/definition", test_definition);
  kernel_add_tests ("/rotate/units", test_units);
  kernel_add_tests ("/rotate/refused", test_refused);
}
