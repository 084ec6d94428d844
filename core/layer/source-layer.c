/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "layer/compose.h"

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

/* A tensor that nobody claimed */
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

      if (!qconv_source_layer_plain (of) || of->layer->pub.dtype != s->layer->pub.dtype)
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
    if (qconv_source_layer_quantized (g_ptr_array_index (s->sources, i)))
      return TRUE;
  return FALSE;
}

const QconvTensor *
qconv_source_layer_tensor (const SourceLayer *s)
{
  if (s->parts == NULL)
    return unclaimed_tensor (s);
  return s->deltas == NULL && qconv_composed_whole (s) ? qconv_source_layer_tensor (g_ptr_array_index (s->sources, 0))
                                                       : NULL;
}

gboolean
qconv_source_layer_decodes (const SourceLayer *s)
{
  if (s->parts == NULL)
    return unclaimed_tensor (s) != NULL || (s->layer->quantizer != NULL && s->layer->quantizer->decode != NULL);
  for (guint i = 0; i < s->sources->len; i++)
    if (!qconv_source_layer_decodes (g_ptr_array_index (s->sources, i)))
      return FALSE;
  return TRUE;
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
