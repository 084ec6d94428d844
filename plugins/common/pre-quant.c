/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists and applies the factors for quantizers. */
#include "pre-quant.h"

void
qconv_pre_quant_add (const QconvLayer *layer, QconvComponents *out)
{
  qconv_components_add (
      out, &(QconvComponent) { .name = QCONV_PRE_QUANT,
                               .dtype = QCONV_F32,
                               .shape = QCONV_SHAPE1 (layer->cols),
                               .flags = QCONV_COMPONENT_OPTIONAL | QCONV_COMPONENT_GIVEN | QCONV_COMPONENT_ANY_ROWS });
}

gboolean
qconv_pre_quant_apply (const QconvTile *t, GError **error)
{
  QconvBuffer *vector = qconv_tile_component (t, QCONV_PRE_QUANT);
  const float *by = vector != NULL ? qconv_buffer_data (vector) : NULL;
  float *floats = qconv_buffer_data (t->floats);

  if (vector == NULL)
    return TRUE;
  if (by == NULL || floats == NULL)
    return qconv_fail (error, QCONV_ERROR_DEVICE, "pre_quant_scale can be applied only in host memory");
  for (guint64 row = 0; row < t->n_rows; row++)
    for (guint64 col = 0; col < t->layer->cols; col++)
      floats[row * t->layer->cols + col] *= by[col];
  return TRUE;
}
