/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests adding thin products and matrices: the definition, item by item, against every level. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

/* @left: [rows, rank]; @right: [rank, cols] */
typedef struct {
  gsize rows, cols, rank;
  double scale;
  const float *left, *right;
} Product;

static void
add_product (const QconvKernelLevel *level, float *w, const Product *p)
{
  QconvBuffer sums = QCONV_BUFFER (w, p->rows * p->cols * sizeof *w, QCONV_F32);
  QconvBuffer a = QCONV_BUFFER (p->left, p->rows * p->rank * sizeof *p->left, QCONV_F32);
  QconvBuffer b = QCONV_BUFFER (p->right, p->rank * p->cols * sizeof *p->right, QCONV_F32);

  KERNEL_RUN (level, "add-product", QCONV_BUF (&sums), QCONV_BUF (&a), QCONV_BUF (&b), QCONV_I (p->rows),
              QCONV_I (p->cols), QCONV_I (p->rank), QCONV_F (p->scale));
}

/* Compares the operation with its definition. @p: without matrices, which this function fills */
static void
assert_product (const QconvKernelLevel *level, KernelKind kind, Product p, guint64 *state)
{
  const gsize rows = p.rows, cols = p.cols, rank = p.rank;
  g_autofree float *left = g_new (float, rows *rank + 1), *right = g_new (float, rank *cols + 1);
  g_autofree float *got = g_new (float, rows *cols + 1), *want = g_new (float, rows *cols + 1);

  kernel_fill (kind, left, rows * rank, state);
  kernel_fill (kind, right, rank * cols, state);
  kernel_fill (kind, want, rows * cols, state);
  memcpy (got, want, rows * cols * sizeof *got);
  got[rows * cols] = 1;
  p.left = left;
  p.right = right;
  add_product (level, got, &p);
  for (gsize i = 0; i < rows * cols; i++)
    {
      float sum = want[i];

      for (gsize k = 0; k < rank; k++)
        {
          volatile float factor = (float) p.scale * left[i / cols * rank + k];
          volatile float product = factor * right[k * cols + i % cols];

          sum += product;
        }
      g_assert_true (isnan (sum) ? isnan (got[i]) : bits_of_f32 (sum) == bits_of_f32 (got[i]));
    }
  g_assert_cmpfloat (got[rows * cols], ==, 1);
}

/* Tests every short number of columns and rows, ranks on both sides of a panel, all kinds of numbers */
static void
test_definition (const QconvKernelLevel *level)
{
  static const gsize ranks[] = { 0, 1, 2, 31, 64, 65, 130 };
  guint64 state = 31;

  for (gsize cols = 0; cols < 140; cols += cols < 70 ? 1 : 23)
    for (gsize rows = 0; rows < 10; rows++)
      assert_product (level, KERNEL_NORMAL, (Product) { rows, cols, 3, 0.7, NULL, NULL }, &state);
  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    for (guint i = 0; i < G_N_ELEMENTS (ranks); i++)
      {
        assert_product (level, kind, (Product) { 7, 150, ranks[i], 1, NULL, NULL }, &state);
        assert_product (level, kind, (Product) { 5, 64, ranks[i], -1.0 / 3, NULL, NULL }, &state);
      }
}

/* Tests that rows and ranks in pieces give the same bytes as all at once */
static void
test_pieces (const QconvKernelLevel *level)
{
  enum { ROWS = 13, COLS = 200, RANK = 70, CUT = 5 };
  g_autofree float *left = g_new (float, ROWS *RANK), *right = g_new (float, RANK *COLS);
  g_autofree float *whole = g_new (float, ROWS *COLS), *pieces = g_new (float, ROWS *COLS);
  guint64 state = 37;

  kernel_fill (KERNEL_NORMAL, left, ROWS * RANK, &state);
  kernel_fill (KERNEL_NORMAL, right, RANK * COLS, &state);
  kernel_fill (KERNEL_NORMAL, whole, ROWS * COLS, &state);
  memcpy (pieces, whole, ROWS * COLS * sizeof *whole);
  add_product (level, whole, &(Product) { ROWS, COLS, RANK, 2.5, left, right });
  add_product (level, pieces, &(Product) { CUT, COLS, RANK, 2.5, left, right });
  add_product (level, pieces + CUT * COLS, &(Product) { ROWS - CUT, COLS, RANK, 2.5, left + CUT * RANK, right });
  g_assert_cmpmem (pieces, ROWS * COLS * sizeof *pieces, whole, ROWS * COLS * sizeof *whole);
}

static void
test_refused (const QconvKernelLevel *level)
{
  float x[16] = { 0 };
  QconvBuffer b = QCONV_BUFFER (x, sizeof x, QCONV_F32), small = QCONV_BUFFER (x, 12, QCONV_F32);
  QconvBuffer half = QCONV_BUFFER (x, sizeof x, QCONV_F16);
  const QconvArg bad[][7] = {
    { QCONV_BUF (&small), QCONV_BUF (&b), QCONV_BUF (&b), QCONV_I (4), QCONV_I (4), QCONV_I (1), QCONV_F (1) },
    { QCONV_BUF (&b), QCONV_BUF (&small), QCONV_BUF (&b), QCONV_I (4), QCONV_I (4), QCONV_I (1), QCONV_F (1) },
    { QCONV_BUF (&b), QCONV_BUF (&b), QCONV_BUF (&small), QCONV_I (4), QCONV_I (4), QCONV_I (1), QCONV_F (1) },
    { QCONV_BUF (&b), QCONV_BUF (&b), QCONV_BUF (&b), QCONV_I (-4), QCONV_I (4), QCONV_I (1), QCONV_F (1) },
    { QCONV_BUF (&b), QCONV_BUF (&b), QCONV_BUF (&b), QCONV_I (4), QCONV_I (G_MAXINT64), QCONV_I (1), QCONV_F (1) },
    { QCONV_BUF (&b), QCONV_BUF (&half), QCONV_BUF (&b), QCONV_I (4), QCONV_I (4), QCONV_I (1), QCONV_F (1) },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (kernel_try (level, "add-product", bad[i], &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

/* Tests "add-scaled" with all kinds of numbers, whose ends lie beside whole vectors, too */
static void
test_scaled (const QconvKernelLevel *level)
{
  static const double scales[] = { 1, -1, 1.0 / 3, 0, 1e30 };
  float x[70], got[71], want[70];
  guint64 state = 41;

  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    for (gsize n = 0; n <= G_N_ELEMENTS (x); n++)
      {
        const double scale = scales[n % G_N_ELEMENTS (scales)];
        QconvBuffer sums = QCONV_BUFFER (got, n * sizeof *got, QCONV_F32),
                    other = QCONV_BUFFER (x, n * sizeof *x, QCONV_F32);

        kernel_fill (kind, x, n, &state);
        kernel_fill (kind, want, n, &state);
        memcpy (got, want, n * sizeof *got);
        got[n] = 1;
        KERNEL_RUN (level, "add-scaled", QCONV_BUF (&sums), QCONV_BUF (&other), QCONV_F (scale));
        for (gsize i = 0; i < n; i++)
          {
            volatile float product = (float) scale * x[i];
            float sum = want[i] + product;

            g_assert_true (isnan (sum) ? isnan (got[i]) : bits_of_f32 (sum) == bits_of_f32 (got[i]));
          }
        g_assert_cmpfloat (got[n], ==, 1);
      }
}

static void
test_scaled_refused (const QconvKernelLevel *level)
{
  float x[4] = { 0 };
  QconvBuffer b = QCONV_BUFFER (x, sizeof x, QCONV_F32), small = QCONV_BUFFER (x, 12, QCONV_F32);
  QconvBuffer half = QCONV_BUFFER (x, sizeof x, QCONV_F16), nibbles = QCONV_BUFFER (x, sizeof x, QCONV_U4);
  const QconvArg bad[][3] = { { QCONV_BUF (&b), QCONV_BUF (&small), QCONV_F (1) },
                              { QCONV_BUF (&nibbles), QCONV_BUF (&nibbles), QCONV_F (1) },
                              { QCONV_BUF (&half), QCONV_BUF (&half), QCONV_F (1) },
                              { QCONV_BUF (&b), QCONV_BUF (&half), QCONV_F (1) } };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (kernel_try (level, "add-scaled", bad[i], &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (product)
{
  kernel_add_tests ("/product/scaled", test_scaled);
  kernel_add_tests ("/product/scaled-refused", test_scaled_refused);
  kernel_add_tests ("/product/definition", test_definition);
  kernel_add_tests ("/product/pieces", test_pieces);
  kernel_add_tests ("/product/refused", test_refused);
}
