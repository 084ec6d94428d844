/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Measures the products of a matrix and a thin one on one core, next to sgemm of OpenBLAS in the same run if
   libopenblas.so.0 is installed, and a whole step of subspace iteration. Rates are for the time of the processor, of
   which POSIX counts a million parts a second, because other work may share the machine. bench-products [LEVEL [NAME]]
   measures another level than the best one, or one row. */
#include <gmodule.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/kernels.h"
#include "kernels/stream.h"
#include "qconv-lowrank.h"

enum { ROUNDS = 7 };

/* The interface of CBLAS: row-major is 101, not transposed 111, transposed 112 */
typedef void (*Sgemm) (int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                       const float *b, int ldb, float beta, float *c, int ldc);

static const struct {
  const char *name;
  int rows, cols, width;
} shapes[] = {
  { "3072x3072x42", 3072, 3072, 42 },
  { "12288x3072x42", 12288, 3072, 42 },
  { "3072x12288x138", 3072, 12288, 138 },
};

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static double
median (double *values)
{
  qsort (values, ROUNDS, sizeof *values, compare_doubles);
  return values[ROUNDS / 2];
}

/* Returns: (transfer full): @n numbers between -0.5 and 0.5 */
static float *
random_numbers (gsize n)
{
  float *x = g_new (float, n);
  guint32 state = 1;

  for (gsize i = 0; i < n; i++)
    {
      state = state * 1664525 + 1013904223;
      x[i] = (float) (state >> 8) / (1 << 24) - 0.5f;
    }
  return x;
}

static Sgemm
open_sgemm (void)
{
  GModule *blas = g_module_open ("libopenblas.so.0", G_MODULE_BIND_LAZY);
  gpointer sgemm = NULL, set_threads = NULL;

  if (blas == NULL || !g_module_symbol (blas, "cblas_sgemm", &sgemm)
      || !g_module_symbol (blas, "openblas_set_num_threads", &set_threads))
    {
      g_print ("libopenblas.so.0 is not installed: no rates to compare with\n");
      return NULL;
    }
  ((void (*) (int)) set_threads) (1);
  return (Sgemm) sgemm;
}

/* Measures the product, or that of the transposed matrix, of shape @i */
static void
measure_product (const QconvKernelLevel *level, const QconvOp *op, guint i, gboolean transposed, Sgemm sgemm)
{
  const int rows = shapes[i].rows, cols = shapes[i].cols, width = shapes[i].width;
  const int depth = transposed ? rows : cols, height = transposed ? cols : rows;
  g_autofree float *a = random_numbers ((gsize) rows * cols), *b = random_numbers ((gsize) depth * width);
  g_autofree float *c = random_numbers ((gsize) height * width);
  QconvBuffer matrix = QCONV_BUFFER (a, (gsize) rows * cols * 4, QCONV_F32);
  QconvBuffer factor = QCONV_BUFFER (b, (gsize) depth * width * 4, QCONV_F32);
  QconvBuffer product = QCONV_BUFFER (c, (gsize) height * width * 4, QCONV_F32);
  const QconvArg args[] = { QCONV_BUF (&matrix), QCONV_BUF (&factor), QCONV_BUF (&product), QCONV_I (rows),
                            QCONV_I (cols),      QCONV_I (width),     QCONV_I (cols) };
  double ours[ROUNDS], theirs[ROUNDS], flops = 2e-3 * rows * cols * width;

  for (guint r = 0; r < ROUNDS; r++)
    {
      clock_t start = clock (), between;

      if (!op->run (NULL, NULL, args, NULL))
        g_error ("%s failed", op->name);
      between = clock ();
      ours[r] = flops / (double) (between - start);
      if (sgemm != NULL)
        sgemm (101, transposed ? 112 : 111, 111, height, width, depth, 1, a, cols, b, width, 0, c, width);
      theirs[r] = flops / (double) MAX (clock () - between, 1);
    }
  g_print ("%-8s %-24s %-16s %9.2f", level->name, op->name, shapes[i].name, median (ours));
  if (sgemm != NULL)
    g_print (" %9.2f %6.2f", median (theirs), median (ours) / median (theirs));
  g_print ("\n");
}

/* Measures a step on the level that the process chose. The rate counts the two products alone */
static void
measure_step (guint i)
{
  const gsize rows = (gsize) shapes[i].rows, cols = (gsize) shapes[i].cols, width = (gsize) shapes[i].width;
  const gsize size = qconv_low_rank_scratch (rows, cols, (guint) width);
  g_autofree float *a = random_numbers (rows * cols), *b = g_new (float, rows *width), *c = g_new (float, cols *width);
  g_autofree guint8 *d = g_malloc (size);
  QconvBuffer matrix = QCONV_BUFFER (a, rows * cols * 4, QCONV_F32), up = QCONV_BUFFER (b, rows * width * 4, QCONV_F32);
  QconvBuffer down = QCONV_BUFFER (c, cols * width * 4, QCONV_F32), scratch = QCONV_BUFFER (d, size, QCONV_U8);
  const QconvLowRank l = { rows, cols, (guint) width, &up, &down, &scratch };
  double rates[ROUNDS];

  if (!qconv_low_rank_start (&l, NULL))
    g_error ("the start failed");
  for (guint r = 0; r < ROUNDS; r++)
    {
      clock_t start = clock ();

      if (!qconv_low_rank_step (qconv_stream_cpu (), &matrix, &l, NULL))
        g_error ("the step failed");
      rates[r] = 4e-3 * (double) (rows * cols * width) / (double) (clock () - start);
    }
  g_print ("%-8s %-24s %-16s %9.2f\n", qconv_kernel_level_chosen ()->name, "low-rank-step", shapes[i].name,
           median (rates));
}

int
main (int argc, char **argv)
{
  const char *name = argc > 1 ? argv[1] : qconv_kernel_level_chosen ()->name;
  Sgemm sgemm = open_sgemm ();

  g_print ("%-8s %-24s %-16s %9s %9s %6s\n", "level", "measure", "shape", "GFLOP/s", "OpenBLAS", "ratio");
  for (const QconvKernelLevel *level = qconv_kernel_levels (); level->name != NULL; level++)
    for (const QconvOp *op = level->ops; op->name != NULL; op++)
      for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
        if (level->supported () && strcmp (name, level->name) == 0 && g_str_has_prefix (op->name, "thin-product")
            && (argc < 3 || strcmp (argv[2], op->name) == 0))
          measure_product (level, op, i, g_str_has_suffix (op->name, "transposed"), sgemm);
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    if (strcmp (name, qconv_kernel_level_chosen ()->name) == 0 && (argc < 3 || strcmp (argv[2], "low-rank-step") == 0))
      measure_step (i);
  return 0;
}
