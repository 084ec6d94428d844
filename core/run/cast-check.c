/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds values that a cast to another float type loses: they become Inf, or a whole layer becomes 0. convert-layers.c
   calls it for every tile of a plain layer. */
#include "run/cast-check.h"

#include "base/dtype.h"
#include "layer/load.h"

/* Returns whether @b holds a value other than 0 and -0 */
static gboolean
has_value (const QconvBuffer *b)
{
  gsize width = qconv_dtype_bits (b->dtype) / 8;
  const guint8 *x = (const guint8 *) b->data;

  for (gsize i = 0; i < b->size; i++)
    if ((x[i] & (i % width == width - 1 ? 0x7f : 0xff)) != 0) /* the last byte of an item begins with the sign */
      return TRUE;
  return FALSE;
}

gboolean
qconv_cast_check (QconvBuffer *from, QconvBuffer *to, CastSeen *seen, GError **error)
{
  guint64 before, after;

  if (!qconv_floats_nonfinite (from, &before, error) || !qconv_floats_nonfinite (to, &after, error))
    return FALSE;
  if (g_atomic_int_get (&seen->after) == 0 && has_value (to))
    g_atomic_int_set (&seen->after, 1);
  if (g_atomic_int_get (&seen->after) == 0 && g_atomic_int_get (&seen->before) == 0 && has_value (from))
    g_atomic_int_set (&seen->before, 1);
  return after <= before
         || qconv_fail (error, QCONV_ERROR_NON_FINITE,
                        "%" G_GUINT64_FORMAT " values are too large for %s: choose a wider type", after - before,
                        qconv_dtype_name (to->dtype));
}

gboolean
qconv_cast_check_layer (CastSeen *seen, QconvDType dtype, GError **error)
{
  return g_atomic_int_get (&seen->after) != 0 || g_atomic_int_get (&seen->before) == 0
         || qconv_fail (error, QCONV_ERROR_NON_FINITE,
                        "all values are too small for %s and would become 0: choose another type",
                        qconv_dtype_name (dtype));
}
