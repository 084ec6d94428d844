/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names, widths and sizes of item types and shapes. All of core and every plugin call it. */
#include "base/dtype.h"

#include <string.h>

/* Names and widths are those of safetensors */
static const struct {
  const char *name;
  guint bits;
} dtypes[QCONV_N_DTYPES] = {
  [QCONV_OPAQUE] = { "OPAQUE", 8 },
  [QCONV_F64] = { "F64", 64 },
  [QCONV_F32] = { "F32", 32 },
  [QCONV_F16] = { "F16", 16 },
  [QCONV_BF16] = { "BF16", 16 },
  [QCONV_F8_E4M3] = { "F8_E4M3", 8 },
  [QCONV_F8_E5M2] = { "F8_E5M2", 8 },
  [QCONV_F8_E8M0] = { "F8_E8M0", 8 },
  [QCONV_I64] = { "I64", 64 },
  [QCONV_I32] = { "I32", 32 },
  [QCONV_I16] = { "I16", 16 },
  [QCONV_I8] = { "I8", 8 },
  [QCONV_U64] = { "U64", 64 },
  [QCONV_U32] = { "U32", 32 },
  [QCONV_U16] = { "U16", 16 },
  [QCONV_U8] = { "U8", 8 },
  [QCONV_BOOL] = { "BOOL", 8 },
  [QCONV_C64] = { "C64", 64 },
  [QCONV_U4] = { "U4", 4 },
  [QCONV_F4] = { "F4", 4 },
  [QCONV_F6_E2M3] = { "F6_E2M3", 6 },
  [QCONV_F6_E3M2] = { "F6_E3M2", 6 },
  [QCONV_F8_E4M3FNUZ] = { "F8_E4M3FNUZ", 8 },
  [QCONV_F8_E5M2FNUZ] = { "F8_E5M2FNUZ", 8 },
};

guint
qconv_dtype_bits (QconvDType dtype)
{
  g_return_val_if_fail ((guint) dtype < QCONV_N_DTYPES, 8);
  return dtypes[dtype].bits;
}

const char *
qconv_dtype_name (QconvDType dtype)
{
  g_return_val_if_fail ((guint) dtype < QCONV_N_DTYPES, "?");
  return dtypes[dtype].name;
}

gboolean
qconv_dtype_from_name (const char *name, QconvDType *dtype)
{
  for (guint i = 0; i < QCONV_N_DTYPES; i++)
    if (strcmp (dtypes[i].name, name) == 0)
      {
        *dtype = (QconvDType) i;
        return TRUE;
      }
  return FALSE;
}

gboolean
qconv_dtype_is_float (QconvDType dtype)
{
  return dtype == QCONV_F64 || dtype == QCONV_F32 || dtype == QCONV_F16 || dtype == QCONV_BF16;
}

gboolean
qconv_dtype_is_number (QconvDType dtype)
{
  return qconv_dtype_is_float (dtype) || dtype == QCONV_F8_E4M3 || dtype == QCONV_F8_E5M2;
}

void
qconv_swap_items (guint8 *data, gsize n, QconvDType dtype)
{
  gsize width = dtype == QCONV_C64 ? 4 : qconv_dtype_bits (dtype) / 8;

  for (gsize i = 0; width > 1 && i + width <= n; i += width)
    for (gsize j = 0; j < width / 2; j++)
      {
        guint8 byte = data[i + j];

        data[i + j] = data[i + width - 1 - j];
        data[i + width - 1 - j] = byte;
      }
}

gboolean
qconv_shape_items (const QconvShape *shape, guint64 *n_items)
{
  guint64 n = 1;

  if (shape->rank > QCONV_MAX_RANK)
    return FALSE;
  for (guint i = 0; i < shape->rank; i++)
    if (__builtin_mul_overflow (n, shape->dim[i], &n) || n > G_MAXINT64)
      return FALSE;
  *n_items = n;
  return TRUE;
}

gboolean
qconv_shape_bytes (const QconvShape *shape, QconvDType dtype, guint64 *n_bytes)
{
  guint bits = qconv_dtype_bits (dtype);
  QconvShape padded = *shape;
  guint64 n;

  if (dtype == QCONV_U4 && shape->rank > 0 && shape->rank <= QCONV_MAX_RANK)
    {
      guint64 *last = &padded.dim[shape->rank - 1];
      *last += *last & 1;
    }
  if (!qconv_shape_items (&padded, &n) || __builtin_mul_overflow (n, bits, &n) || n > G_MAXINT64)
    return FALSE;
  *n_bytes = n / 8 + (n % 8 != 0);
  return TRUE;
}

gboolean
qconv_shape_equal (const QconvShape *a, const QconvShape *b)
{
  return a->rank == b->rank && memcmp (a->dim, b->dim, a->rank * sizeof a->dim[0]) == 0;
}

char *
qconv_shape_to_string (const QconvShape *shape)
{
  GString *s = g_string_new ("[");

  for (guint i = 0; i < shape->rank; i++)
    g_string_append_printf (s, "%s%" G_GUINT64_FORMAT, i > 0 ? ", " : "", shape->dim[i]);
  g_string_append_c (s, ']');
  return g_string_free (s, FALSE);
}
