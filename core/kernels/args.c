/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the arguments of operations. Every operation calls it before it touches memory. */
#include "kernels/args.h"

gboolean
qconv_kernel_count (const QconvArg *arg, const char *what, gsize *value, GError **error)
{
  if (arg->i < 0 || (guint64) arg->i > G_MAXSIZE / 8)
    return qconv_fail (error, QCONV_ERROR_BUG, "%s is %" G_GINT64_FORMAT, what, arg->i);
  *value = (gsize) arg->i;
  return TRUE;
}

gboolean
qconv_kernel_fits (const QconvArg *arg, const char *what, guint32 dtypes, gsize rows, gsize per_row, GError **error)
{
  QconvDType dtype = qconv_buffer_dtype (arg->buffer);
  gsize bytes;

  if ((guint) dtype >= 32 || (dtypes & QCONV_MASK (dtype)) == 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "%s has type %s, which this operation does not take", what,
                       qconv_dtype_name (dtype));
  if (dtype == QCONV_U4)
    bytes = per_row / 2 + per_row % 2;
  else if (!g_size_checked_mul (&bytes, per_row, qconv_dtype_bits (dtype) / 8))
    bytes = G_MAXSIZE;
  if (!g_size_checked_mul (&bytes, bytes, rows) || bytes > qconv_buffer_size (arg->buffer))
    return qconv_fail (error, QCONV_ERROR_BUG,
                       "%s has %" G_GSIZE_FORMAT " bytes, too few for %" G_GSIZE_FORMAT " rows of %" G_GSIZE_FORMAT,
                       what, qconv_buffer_size (arg->buffer), rows, per_row);
  return TRUE;
}

gsize
qconv_kernel_items (const QconvArg *arg)
{
  return qconv_buffer_size (arg->buffer) / (qconv_dtype_bits (qconv_buffer_dtype (arg->buffer)) / 8);
}
