/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the steps of subspace iteration against a singular value decomposition by Jacobi's rotations. */
#include <math.h>
#include <string.h>

#include "crew.h"
#include "kernel-fixture.h"
#include "kernels/small-matrix.h"
#include "qconv-lowrank.h"

/* A matrix and the memory of an approximation. @missing: bytes that the scratch lacks */
typedef struct {
  guint rows, cols, width, missing;
  float *matrix, *up, *down;
  gpointer scratch;
  QconvStream *stream;
} Fixture;

static void
fixture_init (Fixture *f, guint rows, guint cols, guint width)
{
  *f = (Fixture) { rows, cols, width, 0, .stream = qconv_stream_cpu () };
  f->matrix = g_new0 (float, (gsize) rows *cols + 1);
  f->up = g_new0 (float, (gsize) rows *width + 1);
  f->down = g_new0 (float, (gsize) cols *width + 1);
  f->scratch = g_malloc (qconv_low_rank_scratch (rows, cols, width));
}

static void
fixture_clear (Fixture *f)
{
  g_free (f->matrix);
  g_free (f->up);
  g_free (f->down);
  g_free (f->scratch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

/* Runs @steps steps, the first from the pseudo-random basis if @start */
static gboolean
run_steps (Fixture *f, guint steps, gboolean start, GError **error)
{
  QconvBuffer matrix = QCONV_BUFFER (f->matrix, (gsize) f->rows * f->cols * 4, QCONV_F32);
  QconvBuffer up = QCONV_BUFFER (f->up, (gsize) f->rows * f->width * 4, QCONV_F32);
  QconvBuffer down = QCONV_BUFFER (f->down, (gsize) f->cols * f->width * 4, QCONV_F32);
  gsize scratch_bytes = qconv_low_rank_scratch (f->rows, f->cols, f->width) - f->missing;
  QconvBuffer scratch = QCONV_BUFFER (f->scratch, scratch_bytes, QCONV_U8);
  const QconvLowRank l = { f->rows, f->cols, f->width, &up, &down, &scratch };

  if (start && !qconv_low_rank_start (&l, error))
    return FALSE;
  for (guint i = 0; i < steps; i++)
    if (!qconv_low_rank_step (f->stream, &matrix, &l, error))
      return FALSE;
  return TRUE;
}

static void
assert_steps (Fixture *f, guint steps)
{
  g_autoptr (GError) error = NULL;

  run_steps (f, steps, TRUE, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < (gsize) f->rows * f->width; i++)
    g_assert_true (isfinite (f->up[i]));
  for (gsize i = 0; i < (gsize) f->cols * f->width; i++)
    g_assert_true (isfinite (f->down[i]));
}

/* Fills the matrix with a product of normal numbers whose direction k has the weight (k + 1)^-@decay, and @rank
   directions in all */
static void
fill_decaying (Fixture *f, guint rank, double decay, double scale)
{
  g_autofree double *left = g_new (double, (gsize) f->rows *rank), *right = g_new (double, (gsize) rank * f->cols);
  guint64 state = 5;

  for (gsize i = 0; i < (gsize) f->rows * rank; i++)
    left[i] = kernel_normal (&state);
  for (gsize i = 0; i < (gsize) rank * f->cols; i++)
    right[i] = kernel_normal (&state) * pow ((double) (i / f->cols) + 1, -decay) * scale;
  for (guint i = 0; i < f->rows; i++)
    for (guint j = 0; j < f->cols; j++)
      {
        double sum = 0;

        for (guint k = 0; k < rank; k++)
          sum += left[(gsize) i * rank + k] * right[(gsize) k * f->cols + j];
        f->matrix[(gsize) i * f->cols + j] = (float) sum;
      }
}

static int
compare_descending (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x < y) - (x > y);
}

/* Turns columns @p and @q until they are orthogonal. Returns whether they were not */
static gboolean
make_orthogonal (double *a, guint rows, guint cols, guint p, guint q)
{
  double pp = 0, qq = 0, pq = 0, zeta, t, c;

  for (guint i = 0; i < rows; i++)
    {
      const double *row = a + (gsize) i * cols;

      pp += row[p] * row[p];
      qq += row[q] * row[q];
      pq += row[p] * row[q];
    }
  if (fabs (pq) <= 1e-14 * sqrt (pp * qq))
    return FALSE;
  zeta = (qq - pp) / (2 * pq);
  t = (zeta < 0 ? -1 : 1) / (fabs (zeta) + sqrt (1 + zeta * zeta));
  c = 1 / sqrt (1 + t * t);
  for (guint i = 0; i < rows; i++)
    {
      double *row = a + (gsize) i * cols, old = row[p];

      row[p] = c * old - c * t * row[q];
      row[q] = c * t * old + c * row[q];
    }
  return TRUE;
}

/* Returns: (transfer full): the singular values, largest first. One-sided Jacobi method */
static double *
singular_values (const Fixture *f)
{
  g_autofree double *a = g_new (double, (gsize) f->rows * f->cols);
  double *values = g_new0 (double, f->cols);
  gboolean turned = TRUE;

  for (gsize i = 0; i < (gsize) f->rows * f->cols; i++)
    a[i] = f->matrix[i];
  /* columns that are rounding errors never become orthogonal */
  for (guint sweep = 0; turned && sweep < 20; sweep++)
    {
      turned = FALSE;
      for (guint p = 0; p < f->cols; p++)
        for (guint q = p + 1; q < f->cols; q++)
          turned |= make_orthogonal (a, f->rows, f->cols, p, q);
    }
  for (guint j = 0; j < f->cols; j++)
    {
      for (guint i = 0; i < f->rows; i++)
        values[j] += a[(gsize) i * f->cols + j] * a[(gsize) i * f->cols + j];
      values[j] = sqrt (values[j]);
    }
  qsort (values, f->cols, sizeof *values, compare_descending);
  return values;
}

/* Returns the root of the sum of squares of matrix − up·downᵀ, with the first @rank columns */
static double
error_of_rank (const Fixture *f, guint rank)
{
  double error = 0;

  for (guint i = 0; i < f->rows; i++)
    for (guint j = 0; j < f->cols; j++)
      {
        double rest = f->matrix[(gsize) i * f->cols + j];

        for (guint k = 0; k < rank; k++)
          rest -= (double) f->up[(gsize) i * f->width + k] * f->down[(gsize) j * f->width + k];
        error += rest * rest;
      }
  return sqrt (error);
}

/* Asserts that @x has orthogonal columns of length 1, or 0 for columns of @up that are 0 */
static void
assert_basis (const Fixture *f)
{
  for (guint p = 0; p < f->width; p++)
    for (guint q = 0; q <= p; q++)
      {
        double down = 0, length = 0;

        for (guint i = 0; i < f->cols; i++)
          down += (double) f->down[(gsize) i * f->width + p] * f->down[(gsize) i * f->width + q];
        for (guint i = 0; i < f->rows; i++)
          length += fabs (f->up[(gsize) i * f->width + p]);
        g_assert_cmpfloat (fabs (down - (p == q && length > 0)), <, 1e-3);
      }
}

/* Tests the error of rank 8 and the singular values for spectra from flat to steep */
static void
test_nearly_best (void)
{
  static const struct {
    guint rows, cols, directions, steps;
    double decay, scale;
  } cases[] = {
    { 60, 90, 60, 3, 0, 1 },      { 90, 60, 60, 3, 0, 1 },      { 64, 64, 64, 2, 1, 1 }, { 120, 40, 40, 2, 2, 0.01 },
    { 40, 120, 40, 2, 0.5, 1e4 }, { 96, 96, 12, 2, 1.5, 1e-6 }, { 33, 71, 33, 2, 4, 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (Fixture) f = { 0 };
      g_autofree double *values = NULL;
      double best = 0;

      fixture_init (&f, cases[i].rows, cases[i].cols, 8 + 10);
      fill_decaying (&f, cases[i].directions, cases[i].decay, cases[i].scale);
      assert_steps (&f, cases[i].steps);
      assert_basis (&f);
      values = singular_values (&f);
      for (guint k = 8; k < f.cols; k++)
        best += values[k] * values[k];
      g_test_message ("case %u: error %g of the best", i, error_of_rank (&f, 8) / sqrt (best));
      g_assert_cmpfloat (error_of_rank (&f, 8), <, 1.01 * sqrt (best));
      for (guint k = 0; k < 4; k++)
        {
          double length = 0;

          for (guint r = 0; r < f.rows; r++)
            length += (double) f.up[r * f.width + k] * f.up[r * f.width + k];
          g_assert_cmpfloat (fabs (sqrt (length) - values[k]), <, 0.05 * values[k]);
        }
    }
}

/* Tests that a basis of a similar matrix saves steps: one step then does what needs several from the start */
static void
test_warm_start (void)
{
  g_auto (Fixture) f = { 0 };
  g_autoptr (GError) error = NULL;
  double warm;
  guint64 state = 3;

  fixture_init (&f, 80, 70, 12);
  fill_decaying (&f, 70, 0.3, 1);
  assert_steps (&f, 8);
  for (gsize i = 0; i < 80 * 70; i++)
    f.matrix[i] += (float) (0.01 * kernel_normal (&state));
  run_steps (&f, 1, FALSE, &error);
  g_assert_no_error (error);
  warm = error_of_rank (&f, 12);
  assert_steps (&f, 1);
  g_assert_cmpfloat (warm, <, 0.99 * error_of_rank (&f, 12));
}

/* Tests matrices of a lower rank than the width, and widths that no matrix of the shape can fill: the approximation is
   exact, the columns left over are 0 */
static void
test_low_rank (void)
{
  static const guint cases[][4]
      = { { 30, 20, 3, 12 }, { 5, 40, 5, 16 }, { 40, 5, 5, 16 }, { 1, 1, 1, 4 }, { 7, 7, 0, 3 }, { 50, 50, 1, 1 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const guint rank = cases[i][2];
      g_auto (Fixture) f = { 0 };
      double size = 0;

      fixture_init (&f, cases[i][0], cases[i][1], cases[i][3]);
      fill_decaying (&f, rank, 0.5, 1);
      assert_steps (&f, 2);
      assert_basis (&f);
      for (gsize k = 0; k < (gsize) f.rows * f.cols; k++)
        size += (double) f.matrix[k] * f.matrix[k];
      g_assert_cmpfloat (error_of_rank (&f, f.width), <=, 1e-6 * sqrt (size));
      for (gsize k = 0; k < (gsize) f.rows * f.width; k++)
        if (k % f.width >= rank)
          g_assert_cmpfloat (f.up[k], ==, 0);
    }
}

/* Tests that columns come back after a matrix that did not need them */
static void
test_revived (void)
{
  g_auto (Fixture) f = { 0 };
  g_autoptr (GError) error = NULL;
  double size = 0;

  fixture_init (&f, 30, 24, 6);
  assert_steps (&f, 1);
  fill_decaying (&f, 6, 0.5, 1);
  run_steps (&f, 2, FALSE, &error);
  g_assert_no_error (error);
  for (gsize k = 0; k < 30 * 24; k++)
    size += (double) f.matrix[k] * f.matrix[k];
  g_assert_cmpfloat (error_of_rank (&f, 6), <=, 1e-6 * sqrt (size));
}

/* Tests tiny, subnormal and huge numbers, together and alone */
static void
test_magnitudes (void)
{
  static const double scales[] = { 1e-44, 1e-38, 1e-30, 1e-20, 1e20, 1e30 };

  for (guint i = 0; i < G_N_ELEMENTS (scales); i++)
    for (guint mixed = 0; mixed < 2; mixed++)
      {
        g_auto (Fixture) f = { 0 };
        double size = 0;

        fixture_init (&f, 40, 50, 40);
        for (gsize k = 0; k < 40 * 50; k++)
          f.matrix[k] = (float) (scales[i] * ((double) (k * 7919 % 2001) / 1000 - 1));
        for (gsize k = 0; mixed && k < 40 * 50; k += 3)
          f.matrix[k] = (float) k / 2000;
        assert_steps (&f, 2);
        for (gsize k = 0; k < 40 * 50; k++)
          size += (double) f.matrix[k] * f.matrix[k];
        g_test_message ("%g: error %g of %g", scales[i], error_of_rank (&f, 40), sqrt (size));
        if (scales[i] > 1e-35)
          g_assert_cmpfloat (error_of_rank (&f, 40), <, 1e-5 * sqrt (size));
      }
}

/* Tests eigenvalues of the sizes that occur: the vectors are orthonormal and reproduce the matrix */
static void
test_eigen (void)
{
  static const guint sizes[] = { 1, 2, 3, 17, 100 };
  guint64 state = 9;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint kind = 0; kind < 3; kind++)
      {
        const guint n = sizes[i];
        g_autofree double *a = g_new0 (double, n *n), *v = NULL, *values = g_new (double, n), *work = g_new (double, n);

        for (guint k = 0; kind < 2 && k < n * n; k++)
          if (k % n <= k / n)
            a[k] = a[k % n * n + k / n] = kernel_normal (&state) * (kind == 1 ? pow (0.8, k % n + k / n) : 1);
        for (guint k = 0; kind == 2 && k < n; k++)
          a[k * n + k] = k % 3;
        v = g_memdup2 (a, n * n * sizeof *a);
        qconv_small_eigen (v, n, values, work);
        for (guint p = 0; p < n; p++)
          for (guint q = 0; q < n; q++)
            {
              double unit = 0, sum = 0;

              for (guint k = 0; k < n; k++)
                {
                  unit += v[p * n + k] * v[q * n + k];
                  sum += v[k * n + p] * values[k] * v[k * n + q];
                }
              g_assert_cmpfloat (fabs (unit - (p == q)), <, 1e-13);
              g_assert_cmpfloat (fabs (sum - a[p * n + q]), <, 1e-13 * n);
            }
        for (guint k = 1; k < n; k++)
          g_assert_cmpfloat (values[k - 1], >=, values[k]);
      }
}

static void
assert_refused (Fixture *f, QconvError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (run_steps (f, 1, TRUE, &error));
  g_assert_error (error, QCONV_ERROR, (gint) code);
}

static void
test_refused (void)
{
  g_auto (Fixture) f = { 0 };
  gpointer memory;

  fixture_init (&f, 8, 8, 4);
  f.matrix[17] = INFINITY;
  assert_refused (&f, QCONV_ERROR_NON_FINITE);
  f.matrix[17] = NAN;
  assert_refused (&f, QCONV_ERROR_NON_FINITE);
  f.matrix[17] = 0;
  memory = g_steal_pointer (&f.matrix);
  assert_refused (&f, QCONV_ERROR_UNSUPPORTED);
  f.matrix = memory;
  f.width = 0;
  assert_refused (&f, QCONV_ERROR_BUG);
  f.width = QCONV_LOW_RANK_MAX_WIDTH + 1;
  assert_refused (&f, QCONV_ERROR_BUG);
  f.width = 4;
  f.missing = 1;
  assert_refused (&f, QCONV_ERROR_BUG);
  f.missing = 0;
  memory = g_steal_pointer (&f.scratch);
  assert_refused (&f, QCONV_ERROR_UNSUPPORTED);
  f.scratch = memory;
  g_assert_true (qconv_low_rank_scratch (G_MAXUINT64, 8, 4) == G_MAXUINT64);
  g_assert_true (qconv_low_rank_scratch (8, G_MAXUINT64 / 16, 4) == G_MAXUINT64);
}

/* ---- Threads ---- */

/* Tests that two and five threads give the bytes of one. The shapes have several tasks in each product and in each Gram
   matrix, and a last one that is smaller */
static void
test_threads (void)
{
  static const guint shapes[][3] = { { 1700, 300, 20 }, { 300, 1700, 20 }, { 1100, 5, 16 }, { 5, 1100, 16 } };

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    {
      g_auto (Fixture) one = { 0 }, more = { 0 };
      const gsize up = (gsize) shapes[i][0] * shapes[i][2] * 4, down = (gsize) shapes[i][1] * shapes[i][2] * 4;

      fixture_init (&one, shapes[i][0], shapes[i][1], shapes[i][2]);
      fixture_init (&more, shapes[i][0], shapes[i][1], shapes[i][2]);
      fill_decaying (&one, 5, 0.5, 1);
      memcpy (more.matrix, one.matrix, (gsize) one.rows * one.cols * 4);
      assert_steps (&one, 2);
      for (guint n_threads = 2; n_threads <= 5; n_threads += 3)
        {
          QconvStream stream = crew_stream (n_threads);

          more.stream = &stream;
          assert_steps (&more, 2);
          g_assert_cmpmem (more.up, up, one.up, up);
          g_assert_cmpmem (more.down, down, one.down, down);
        }
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/low-rank/nearly-best", test_nearly_best);
  g_test_add_func ("/low-rank/warm-start", test_warm_start);
  g_test_add_func ("/low-rank/low-rank", test_low_rank);
  g_test_add_func ("/low-rank/revived", test_revived);
  g_test_add_func ("/low-rank/magnitudes", test_magnitudes);
  g_test_add_func ("/low-rank/eigen", test_eigen);
  g_test_add_func ("/low-rank/refused", test_refused);
  g_test_add_func ("/low-rank/threads", test_threads);
  return g_test_run ();
}
