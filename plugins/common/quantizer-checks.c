/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of shapes and of components that many quantizers share. */
#include "quantizer-checks.h"

#include <math.h>

gboolean
qconv_effort_is_rtn (const QconvLayer *layer)
{
  return g_str_equal (qconv_values_string (layer->values, QCONV_EFFORT), QCONV_EFFORT_RTN);
}

gboolean
qconv_check_matrix (const QconvLayer *layer, GError **error)
{
  if (layer->shape.rank != 2)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s needs a matrix, but this weight has %u dimensions",
                       layer->scheme, layer->shape.rank);
  if (layer->rows == 0 || layer->cols == 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s cannot hold an empty weight", layer->scheme);
  return TRUE;
}

static gboolean
is_good (float x, QconvSign sign)
{
  return isfinite (x) && (sign == QCONV_SIGN_ANY || x > 0.0f || (sign == QCONV_SIGN_NOT_NEGATIVE && x == 0.0f));
}

gboolean
qconv_check_numbers (const QconvTile *t, const char *component, QconvSign sign, GError **error)
{
  static const char *const wrongs[] = { "Inf or NaN", "Inf, NaN or negative", "not positive" };
  QconvBuffer *buffer = qconv_tile_component (t, component);
  const float *values = buffer != NULL ? qconv_buffer_data (buffer) : NULL;
  gsize n = values != NULL ? qconv_buffer_size (buffer) / sizeof *values : 0, wrong = 0;

  for (gsize i = 0; i < n; i++)
    wrong += !is_good (values[i], sign);
  return wrong == 0
         || qconv_fail (error, QCONV_ERROR_NON_FINITE, "%s: %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " numbers are %s",
                        component, wrong, n, wrongs[sign]);
}
