/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Converts arrays for plugins, by the operations of the CPU backend. qconv-numbers.h declares it. */
#include "base/buffer.h"
#include "kernels/kernels.h"
#include "kernels/stream.h"
#include "qconv-numbers.h"

static gsize
array_size (QconvDType dtype, gsize n)
{
  return n * (qconv_dtype_bits (dtype) / 8);
}

/* Returns FALSE if the operation does not take these types; it fails for no other reason */
static gboolean
convert (QconvDType from, gconstpointer src, QconvDType to, gpointer dst, gsize n)
{
  QconvBuffer in = QCONV_BUFFER (src, array_size (from, n), from), out = QCONV_BUFFER (dst, array_size (to, n), to);

  return qconv_stream_run (qconv_stream_cpu (), "convert", 1, (QconvArg[]) { QCONV_BUF (&in), QCONV_BUF (&out) }, 2,
                           NULL);
}

gboolean
qconv_floats_from (QconvDType dtype, gconstpointer src, gsize n, float *dst)
{
  g_return_val_if_fail ((src != NULL && dst != NULL) || n == 0, FALSE);
  return dtype < QCONV_N_DTYPES && convert (dtype, src, QCONV_F32, dst, n);
}

gboolean
qconv_floats_to (QconvDType dtype, const float *src, gsize n, gpointer dst)
{
  float one = 1.0f;
  QconvBuffer in = QCONV_BUFFER (src, array_size (QCONV_F32, n), QCONV_F32), out, scale;
  QconvArg args[] = { QCONV_BUF (&in), QCONV_BUF (&out), QCONV_BUF (&scale), QCONV_I (1), QCONV_I (n) };

  g_return_val_if_fail ((src != NULL && dst != NULL) || n == 0, FALSE);
  if (dtype != QCONV_F8_E4M3 && dtype != QCONV_F8_E5M2)
    return dtype < QCONV_N_DTYPES && convert (QCONV_F32, src, dtype, dst, n);
  out = QCONV_BUFFER (dst, n, dtype);
  scale = QCONV_BUFFER (&one, sizeof one, QCONV_F32);
  return qconv_stream_run (qconv_stream_cpu (), "fp8-encode", 1, args, G_N_ELEMENTS (args), NULL);
}
