/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the layer that a source layer becomes in a scheme; NULL if the scheme cannot hold the layer. rules.c calls
   it. */
#include "rules/target-layer.h"

#include "base/dtype.h"
#include "base/names.h"
#include "registry/values.h"

/* Returns whether @s has rows and columns and is quantized or a plain weight of numbers */
static gboolean
is_matrix (const SourceLayer *s)
{
  const QconvLayer *l = &s->layer->pub;

  if (l->rows == 0 || l->cols == 0)
    return FALSE;
  return qconv_source_layer_quantized (s) || (qconv_is_weight_name (s->plain_name) && qconv_dtype_is_number (l->dtype));
}

/* Returns: (transfer full): @s in @scheme; NULL if the quantizer refuses it, with its @error, or if it is no matrix */
static Layer *
make_layer (const SourceLayer *s, const Scheme *scheme, const QconvValues *values, GError **error)
{
  const QconvLayer *from = &s->layer->pub;
  const QconvQuantizer *q = scheme->quantizer;
  g_autoptr (Layer) l = NULL;
  QconvValues *own;

  if (!is_matrix (s))
    return NULL;
  own = qconv_values_copy (values != NULL ? values : scheme->values);
  if (s->layer->quantizer == q)
    qconv_values_follow (own, s->layer->values);
  l = qconv_layer_new (s->name, &(Encoding) { q->id, q, own }, from->dtype, from->rows, from->cols);
  l->pub.shape = from->shape;
  qconv_layer_settle (l);
  return qconv_layer_ask_components (l, error) ? g_steal_pointer (&l) : NULL;
}

Layer *
qconv_target_layer (const SourceLayer *s, const Scheme *scheme, const QconvValues *values, GError **error)
{
  g_autoptr (GError) refused = NULL;
  Layer *l = make_layer (s, scheme, values, &refused);

  if (g_error_matches (refused, QCONV_ERROR, QCONV_ERROR_BUG))
    g_propagate_error (error, g_steal_pointer (&refused));
  return l;
}

gboolean
qconv_target_takes (const SourceLayer *s, const Scheme *scheme, GError **error)
{
  g_autoptr (GError) refused = NULL;
  g_autoptr (Layer) l = make_layer (s, scheme, NULL, &refused);

  if (refused != NULL)
    g_propagate_prefixed_error (error, g_steal_pointer (&refused), "layer \"%s\": ", s->name);
  return l != NULL;
}

guint
qconv_target_layer_bits (const Layer *l)
{
  double bits = 0;

  for (guint i = 0; i < l->pub.n_components; i++)
    {
      guint64 items = 0;

      if (l->pub.components[i]->run.rows > 0 && qconv_shape_items (&l->pub.components[i]->shape, &items))
        bits += (double) items * qconv_dtype_bits (l->pub.components[i]->dtype);
    }
  return (guint) (bits / ((double) l->pub.rows * (double) l->pub.cols));
}
