/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers questions about a claimed or composed layer without reading it. The plan and the check ask. */
#include "layer/source-layer.h"

#include <string.h>

#include "base/dtype.h"
#include "base/names.h"

void
qconv_source_layer_free (SourceLayer *s)
{
  g_clear_pointer (&s->layer, qconv_layer_free);
  g_clear_pointer (&s->bindings, g_ptr_array_unref);
  g_clear_pointer (&s->sources, g_ptr_array_unref);
  g_clear_pointer (&s->parts, g_array_unref);
  g_clear_pointer (&s->deltas, g_ptr_array_unref);
  g_free (s->name);
  g_free (s->plain_name);
  g_free (s);
}

/* Returns the tensor of a layer that no reader claimed, or NULL */
static const QconvTensor *
unclaimed_tensor (const SourceLayer *s)
{
  const Binding *b;

  if (s->layer->quantizer != NULL || s->bindings->len != 1 || strcmp (s->layer->scheme, QCONV_PLAIN) != 0)
    return NULL;
  b = g_ptr_array_index (s->bindings, 0);
  return g_ptr_array_index (b->tensors, 0);
}

gboolean
qconv_source_layer_plain (const SourceLayer *s)
{
  if (s->parts == NULL)
    return unclaimed_tensor (s) != NULL;
  if (s->deltas != NULL)
    return FALSE;
  for (guint i = 0; i < s->sources->len; i++)
    {
      const SourceLayer *of = g_ptr_array_index (s->sources, i);

      if (unclaimed_tensor (of) == NULL || of->layer->pub.dtype != s->layer->pub.dtype)
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_source_layer_quantized (const SourceLayer *s)
{
  if (s->parts == NULL)
    return unclaimed_tensor (s) == NULL;
  for (guint i = 0; i < s->sources->len; i++)
    if (unclaimed_tensor (g_ptr_array_index (s->sources, i)) == NULL)
      return TRUE;
  return FALSE;
}

gboolean
qconv_source_layer_is_weight (const SourceLayer *s)
{
  return qconv_source_layer_quantized (s) || qconv_is_weight_name (s->plain_name);
}

const QconvTensor *
qconv_source_layer_tensor (const SourceLayer *s)
{
  if (s->parts == NULL)
    return unclaimed_tensor (s);
  return s->deltas == NULL && qconv_composed_whole (s) ? unclaimed_tensor (qconv_composed_source (s, 0)) : NULL;
}

static gboolean
claimed_decodes (const SourceLayer *s)
{
  return unclaimed_tensor (s) != NULL || (s->layer->quantizer != NULL && s->layer->quantizer->decode != NULL);
}

gboolean
qconv_source_layer_decodes (const SourceLayer *s)
{
  if (s->parts == NULL)
    return claimed_decodes (s);
  for (guint i = 0; i < s->sources->len; i++)
    if (!claimed_decodes (g_ptr_array_index (s->sources, i)))
      return FALSE;
  return TRUE;
}

gboolean
qconv_source_layer_plain_floats (const SourceLayer *s)
{
  return qconv_source_layer_plain (s) && qconv_dtype_is_float (s->layer->pub.dtype);
}

gboolean
qconv_source_layer_has_floats (const SourceLayer *s)
{
  return qconv_source_layer_decodes (s)
         && (!qconv_source_layer_plain (s) || qconv_dtype_is_number (s->layer->pub.dtype));
}

const Binding *
qconv_source_layer_binding (const SourceLayer *s, const char *component)
{
  for (guint i = 0; s->bindings != NULL && i < s->bindings->len; i++)
    {
      const Binding *b = g_ptr_array_index (s->bindings, i);

      if (strcmp (b->component, component) == 0)
        return b;
    }
  return NULL;
}

const SourceLayer *
qconv_composed_source (const SourceLayer *s, guint i)
{
  return g_ptr_array_index (s->sources, g_array_index (s->parts, Part, i).source);
}

gboolean
qconv_composed_whole (const SourceLayer *s)
{
  const Part *p = &g_array_index (s->parts, Part, 0);

  return s->parts->len == 1 && p->first == 0 && !p->transposed
         && (p->n == qconv_composed_source (s, 0)->layer->pub.rows && (p->stride == 1 || p->n <= 1));
}
