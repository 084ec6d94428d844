/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at the bits of stored floats. */
#include "finite.h"

#include <string.h>

/* Returns whether the float with these @bits is valid. @exponent, @minus: masks of the exponent and of the sign */
static gboolean
is_good (guint64 bits, guint64 exponent, guint64 minus, QconvSign sign)
{
  if ((bits & exponent) == exponent)
    return FALSE;
  if (sign == QCONV_SIGN_POSITIVE)
    return (bits & minus) == 0 && bits != 0;
  return sign == QCONV_SIGN_ANY || (bits & minus) == 0 || bits == minus;
}

gboolean
qconv_tensor_is_finite (const QconvTensor *t, QconvSign sign)
{
  static const guint64 exponents[QCONV_N_DTYPES]
      = { [QCONV_F64] = 0x7ff0000000000000, [QCONV_F32] = 0x7f800000, [QCONV_F16] = 0x7c00, [QCONV_BF16] = 0x7f80 };
  guint8 bytes[4096];
  gsize width = qconv_dtype_bits (t->dtype) / 8;
  guint64 minus = (guint64) 1 << (width * 8 - 1);

  g_return_val_if_fail (exponents[t->dtype] != 0, FALSE);
  for (guint64 at = 0; at < t->n_bytes; at += sizeof bytes)
    {
      gsize n = MIN (t->n_bytes - at, sizeof bytes);

      if (!qconv_tensor_read (t, at, n, bytes, NULL))
        return FALSE;
      for (gsize i = 0; i + width <= n; i += width)
        {
          guint64 bits = 0;

          memcpy (&bits, bytes + i, width);
          if (!is_good (GUINT64_FROM_LE (bits), exponents[t->dtype], minus, sign))
            return FALSE;
        }
    }
  return TRUE;
}
