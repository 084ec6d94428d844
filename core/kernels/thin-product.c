/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "thin-product", "thin-product-transposed" and "gram": products of a matrix and a thin one. Every item
   is one sum in the order of the long side. low-rank.c runs them. */
#include "kernels/ops.h"

#include <math.h>

typedef struct {
  const float *matrix, *right;
  float *product;
  gsize rows, cols, width;
} Thin;

static gboolean
read_args (Thin *x, const QconvArg *args, gboolean transposed, GError **error)
{
  if (!qconv_kernel_count (&args[3], "rows", &x->rows, error) || !qconv_kernel_count (&args[4], "cols", &x->cols, error)
      || !qconv_kernel_count (&args[5], "width", &x->width, error))
    return FALSE;
  x->matrix = qconv_kernel_in (&args[0]);
  x->right = qconv_kernel_in (&args[1]);
  x->product = qconv_kernel_out (&args[2]);
  return qconv_kernel_fits (&args[0], "matrix", QCONV_MASK (QCONV_F32), x->rows, x->cols, error)
         && qconv_kernel_fits (&args[1], "factor", QCONV_MASK (QCONV_F32), transposed ? x->rows : x->cols, x->width,
                               error)
         && qconv_kernel_fits (&args[2], "product", QCONV_MASK (QCONV_F32), transposed ? x->cols : x->rows, x->width,
                               error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_thin_product) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  Thin x;

  if (!read_args (&x, args, FALSE, error))
    return FALSE;
  for (gsize i = 0; i < x.rows; i++)
    for (gsize j = 0; j < x.width; j++)
      {
        float sum = 0;

        for (gsize k = 0; k < x.cols; k++)
          sum = fmaf (x.matrix[i * x.cols + k], x.right[k * x.width + j], sum);
        x.product[i * x.width + j] = sum;
      }
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_thin_product_transposed) (gpointer device, gpointer stream, const QconvArg *args,
                                                     GError **error)
{
  Thin x;

  if (!read_args (&x, args, TRUE, error))
    return FALSE;
  for (gsize i = 0; i < x.cols; i++)
    for (gsize j = 0; j < x.width; j++)
      {
        float sum = 0;

        for (gsize k = 0; k < x.rows; k++)
          sum = fmaf (x.matrix[k * x.cols + i], x.right[k * x.width + j], sum);
        x.product[i * x.width + j] = sum;
      }
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_gram) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  const float *x = qconv_kernel_in (&args[0]);
  double *g = qconv_kernel_out (&args[1]);
  gsize rows, width;

  if (!qconv_kernel_count (&args[2], "rows", &rows, error) || !qconv_kernel_count (&args[3], "width", &width, error)
      || !qconv_kernel_fits (&args[0], "matrix", QCONV_MASK (QCONV_F32), rows, width, error)
      || !qconv_kernel_fits (&args[1], "gram", QCONV_MASK (QCONV_F64), width, width, error))
    return FALSE;
  memset (g, 0, width * width * sizeof *g);
  for (gsize k = 0; k < rows; k++)
    for (gsize i = 0; i < width; i++)
      for (gsize j = 0; j < width; j++)
        g[i * width + j] += (double) x[k * width + i] * x[k * width + j];
  return TRUE;
}
