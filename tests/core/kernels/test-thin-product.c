/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the products of a matrix and a thin one: the definition, item by item, against every level. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

/* @matrix: [rows, cols]; @factor: [rows, width] if @transposed, else [cols, width]; @stride: of a transposed matrix; 0:
   @cols */
typedef struct {
  gsize rows, cols, width;
  gboolean transposed;
  const float *matrix, *factor;
  gsize stride;
} Product;

static gsize
depth_of (const Product *p)
{
  return p->transposed ? p->rows : p->cols;
}

static gsize
height_of (const Product *p)
{
  return p->transposed ? p->cols : p->rows;
}

static void
multiply (const QconvKernelLevel *level, float *result, const Product *p)
{
  gsize stride = p->stride > 0 ? p->stride : p->cols, items = p->rows > 0 ? (p->rows - 1) * stride + p->cols : 0;
  QconvBuffer a = QCONV_BUFFER (p->matrix, items * sizeof *p->matrix, QCONV_F32);
  QconvBuffer b = QCONV_BUFFER (p->factor, depth_of (p) * p->width * sizeof *p->factor, QCONV_F32);
  QconvBuffer c = QCONV_BUFFER (result, height_of (p) * p->width * sizeof *result, QCONV_F32);

  if (p->transposed)
    KERNEL_RUN (level, "thin-product-transposed", QCONV_BUF (&a), QCONV_BUF (&b), QCONV_BUF (&c), QCONV_I (p->rows),
                QCONV_I (p->cols), QCONV_I (p->width), QCONV_I (stride));
  else
    KERNEL_RUN (level, "thin-product", QCONV_BUF (&a), QCONV_BUF (&b), QCONV_BUF (&c), QCONV_I (p->rows),
                QCONV_I (p->cols), QCONV_I (p->width));
}

/* Compares the operation with its definition. @p: without matrices, which this function fills */
static void
assert_product (const QconvKernelLevel *level, KernelKind kind, Product p, guint64 *state)
{
  const gsize depth = depth_of (&p), height = height_of (&p);
  g_autofree float *matrix = g_new (float, p.rows *p.cols + 1), *factor = g_new (float, depth *p.width + 1);
  g_autofree float *got = g_new (float, height *p.width + 1);

  kernel_fill (kind, matrix, p.rows * p.cols, state);
  kernel_fill (kind, factor, depth * p.width, state);
  for (gsize i = 0; i <= height * p.width; i++)
    got[i] = 7;
  p.matrix = matrix;
  p.factor = factor;
  multiply (level, got, &p);
  for (gsize i = 0; i < height; i++)
    for (gsize j = 0; j < p.width; j++)
      {
        float sum = 0;

        for (gsize k = 0; k < depth; k++)
          sum = fmaf (matrix[p.transposed ? k * p.cols + i : i * p.cols + k], factor[k * p.width + j], sum);
        g_assert_true (isnan (sum) ? isnan (got[i * p.width + j])
                                   : bits_of_f32 (sum) == bits_of_f32 (got[i * p.width + j]));
      }
  g_assert_cmpfloat (got[height * p.width], ==, 7);
}

/* Tests every short shape, lengths of sums and widths on both sides of what is copied at a time, all kinds of
   numbers */
static void
test_definition (const QconvKernelLevel *level)
{
  static const gsize depths[] = { 0, 1, 2, 383, 384, 385, 800 }, widths[] = { 16, 42, 143, 144, 145, 300 };
  guint64 state = 41;

  for (guint transposed = 0; transposed < 2; transposed++)
    {
      for (gsize width = 0; width < 100; width += width < 50 ? 1 : 7)
        for (gsize height = 0; height < 14; height++)
          assert_product (level, KERNEL_NORMAL,
                          (Product) { transposed ? 3 : height, transposed ? height : 3, width, transposed, NULL, NULL },
                          &state);
      for (guint i = 0; i < G_N_ELEMENTS (depths); i++)
        for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
          assert_product (
              level, kind,
              (Product) { transposed ? depths[i] : 9, transposed ? 9 : depths[i], 21, transposed, NULL, NULL }, &state);
      for (gsize height = 94; height < 260; height += 17)
        assert_product (level, KERNEL_NORMAL,
                        (Product) { transposed ? 5 : height, transposed ? height : 5, 33, transposed, NULL, NULL },
                        &state);
      for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
        assert_product (level, KERNEL_NORMAL,
                        (Product) { transposed ? 130 : 9, transposed ? 9 : 130, widths[i], transposed, NULL, NULL },
                        &state);
    }
}

/* Tests that rows of the product in pieces give the same bytes as all at once */
static void
test_pieces (const QconvKernelLevel *level)
{
  enum { ROWS = 61, COLS = 150, WIDTH = 37, CUT = 5 };
  g_autofree float *matrix = g_new (float, ROWS *COLS), *factor = g_new (float, COLS *WIDTH);
  g_autofree float *whole = g_new (float, ROWS *WIDTH), *pieces = g_new (float, ROWS *WIDTH);
  guint64 state = 43;

  kernel_fill (KERNEL_NORMAL, matrix, ROWS * COLS, &state);
  kernel_fill (KERNEL_NORMAL, factor, COLS * WIDTH, &state);
  multiply (level, whole, &(Product) { ROWS, COLS, WIDTH, FALSE, matrix, factor });
  multiply (level, pieces, &(Product) { CUT, COLS, WIDTH, FALSE, matrix, factor });
  multiply (level, pieces + CUT * WIDTH, &(Product) { ROWS - CUT, COLS, WIDTH, FALSE, matrix + CUT * COLS, factor });
  g_assert_cmpmem (pieces, ROWS * WIDTH * sizeof *pieces, whole, ROWS * WIDTH * sizeof *whole);
}

/* Tests the same of a transposed matrix, whose columns are cut */
static void
test_columns (const QconvKernelLevel *level)
{
  enum { ROWS = 150, COLS = 61, WIDTH = 37, CUT = 5 };
  g_autofree float *matrix = g_new (float, ROWS *COLS), *factor = g_new (float, ROWS *WIDTH);
  g_autofree float *whole = g_new (float, COLS *WIDTH), *pieces = g_new (float, COLS *WIDTH);
  guint64 state = 43;

  kernel_fill (KERNEL_NORMAL, matrix, ROWS * COLS, &state);
  kernel_fill (KERNEL_NORMAL, factor, ROWS * WIDTH, &state);
  multiply (level, whole, &(Product) { ROWS, COLS, WIDTH, TRUE, matrix, factor });
  multiply (level, pieces, &(Product) { ROWS, CUT, WIDTH, TRUE, matrix, factor, COLS });
  multiply (level, pieces + CUT * WIDTH, &(Product) { ROWS, COLS - CUT, WIDTH, TRUE, matrix + CUT, factor, COLS });
  g_assert_cmpmem (pieces, COLS * WIDTH * sizeof *pieces, whole, COLS * WIDTH * sizeof *whole);
}

static void
assert_gram (const QconvKernelLevel *level, KernelKind kind, gsize rows, gsize width, guint64 *state)
{
  g_autofree float *matrix = g_new (float, rows *width + 1);
  g_autofree double *got = g_new (double, width *width + 1);
  QconvBuffer a = QCONV_BUFFER (matrix, rows * width * sizeof *matrix, QCONV_F32);
  QconvBuffer b = QCONV_BUFFER (got, width * width * sizeof *got, QCONV_F64);

  kernel_fill (kind, matrix, rows * width, state);
  got[width * width] = 7;
  KERNEL_RUN (level, "gram", QCONV_BUF (&a), QCONV_BUF (&b), QCONV_I (rows), QCONV_I (width));
  for (gsize i = 0; i < width; i++)
    for (gsize j = 0; j < width; j++)
      {
        double sum = 0;

        for (gsize k = 0; k < rows; k++)
          sum += (double) matrix[k * width + i] * matrix[k * width + j];
        g_assert_true (memcmp (&sum, got + i * width + j, sizeof sum) == 0);
      }
  g_assert_cmpfloat (got[width * width], ==, 7);
}

static void
test_gram (const QconvKernelLevel *level)
{
  guint64 state = 47;

  for (gsize width = 0; width < 36; width++)
    assert_gram (level, KERNEL_NORMAL, 5, width, &state);
  for (gsize rows = 0; rows < 100; rows += 11)
    assert_gram (level, KERNEL_NORMAL, rows, 67, &state);
  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    assert_gram (level, kind, 70, 130, &state);
}

static void
assert_refused (const QconvKernelLevel *level, const char *op, const QconvArg *args)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (kernel_try (level, op, args, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
}

static void
test_refused (const QconvKernelLevel *level)
{
  float x[16] = { 0 };
  QconvBuffer b = QCONV_BUFFER (x, sizeof x, QCONV_F32), small = QCONV_BUFFER (x, 12, QCONV_F32);
  QconvBuffer half = QCONV_BUFFER (x, sizeof x, QCONV_F16);
  const QconvArg good = QCONV_BUF (&b), few = QCONV_BUF (&small), other = QCONV_BUF (&half), four = QCONV_I (4);
  const QconvArg bad[][7] = {
    { few, good, good, four, four, four, four },          { good, few, good, four, four, four, four },
    { good, good, few, four, four, four, four },          { other, good, good, four, four, four, four },
    { good, other, good, four, four, four, four },        { good, good, other, four, four, four, four },
    { good, good, good, QCONV_I (-4), four, four, four }, { good, good, good, four, QCONV_I (G_MAXINT64), four, four },
    { good, good, good, four, four, QCONV_I (5), four },
  };
  const QconvArg strides[] = { QCONV_I (3), QCONV_I (5), QCONV_I (-4), QCONV_I (G_MAXINT64 / 2) };
  const QconvArg bad_grams[][4]
      = { { good, good, four, four }, { few, good, four, QCONV_I (1) }, { good, good, four, QCONV_I (-1) } };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      assert_refused (level, "thin-product", bad[i]);
      assert_refused (level, "thin-product-transposed", bad[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (strides); i++)
    assert_refused (level, "thin-product-transposed",
                    (const QconvArg[]) { good, good, good, four, four, four, strides[i] });
  for (guint i = 0; i < G_N_ELEMENTS (bad_grams); i++)
    assert_refused (level, "gram", bad_grams[i]);
}

KERNEL_TESTS (thin_product)
{
  kernel_add_tests ("/thin-product/definition", test_definition);
  kernel_add_tests ("/thin-product/pieces", test_pieces);
  kernel_add_tests ("/thin-product/columns", test_columns);
  kernel_add_tests ("/thin-product/gram", test_gram);
  kernel_add_tests ("/thin-product/refused", test_refused);
}
