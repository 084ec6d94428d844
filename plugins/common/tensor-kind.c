/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at types and shapes; tensor-kind.h says for what. */
#include "tensor-kind.h"

gboolean
qconv_tensor_is_fp8 (const QconvTensor *t)
{
  return t->dtype == QCONV_F8_E4M3 || t->dtype == QCONV_F8_E5M2;
}

gboolean
qconv_tensor_is_factors (const QconvTensor *t)
{
  return t->dtype == QCONV_F32 || t->dtype == QCONV_F16 || t->dtype == QCONV_BF16;
}

gboolean
qconv_tensor_is_matrix (const QconvTensor *t, guint64 rows, guint64 cols)
{
  return t->shape.rank == 2 && t->shape.dim[0] == rows && t->shape.dim[1] == cols;
}

guint64
qconv_tensor_items (const QconvTensor *t)
{
  guint64 n = 0;

  return qconv_shape_items (&t->shape, &n) ? n : 0;
}

guint64
qconv_divide_up (guint64 n, guint64 by)
{
  return n / by + (n % by != 0);
}
