/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers questions about a claimed or composed layer without reading it. The plan and the check ask. */
#include "layer/source-layer.h"

#include <string.h>

#include "base/dtype.h"
#include "base/names.h"

void
qconv_source_layer_free (SourceLayer *s)
{
  g_clear_pointer (&s->layer, qconv_layer_unref);
  g_clear_pointer (&s->bindings, g_ptr_array_unref);
  g_clear_pointer (&s->sources, g_ptr_array_unref);
  g_clear_pointer (&s->parts, g_array_unref);
  g_clear_pointer (&s->deltas, g_ptr_array_unref);
  g_free (s->name);
  g_free (s->plain_name);
  g_free (s->stored_name);
  g_free (s);
}

/* Returns whether @s, which is not composed, is plain: a tensor that no reader claimed, or that a load function
   reads */
static gboolean
is_plain (const SourceLayer *s)
{
  return s->layer->quantizer == NULL && strcmp (s->layer->scheme, QCONV_PLAIN) == 0;
}

/* Returns the tensor that holds the items of the plain layer @s row by row, or NULL */
static const QconvTensor *
stored_tensor (const SourceLayer *s)
{
  const Binding *b = is_plain (s) ? g_ptr_array_index (s->bindings, 0) : NULL;

  return b != NULL && b->load == NULL ? g_ptr_array_index (b->tensors, 0) : NULL;
}

gboolean
qconv_source_layer_plain (const SourceLayer *s)
{
  if (s->parts == NULL)
    return is_plain (s);
  if (s->deltas != NULL)
    return FALSE;
  for (guint i = 0; i < s->sources->len; i++)
    {
      const SourceLayer *of = g_ptr_array_index (s->sources, i);

      if (!is_plain (of) || of->layer->pub.dtype != s->layer->pub.dtype)
        return FALSE;
    }
  return TRUE;
}

gboolean
qconv_source_layer_quantized (const SourceLayer *s)
{
  if (s->parts == NULL)
    return !is_plain (s);
  for (guint i = 0; i < s->sources->len; i++)
    if (!is_plain (g_ptr_array_index (s->sources, i)))
      return TRUE;
  return FALSE;
}

gboolean
qconv_source_layer_is_weight (const SourceLayer *s)
{
  return qconv_source_layer_quantized (s) || qconv_is_weight_name (s->plain_name);
}

static gboolean
claimed_by_columns (const SourceLayer *s)
{
  return s->min_rows > 1 && s->min_rows >= s->layer->pub.rows;
}

gboolean
qconv_source_layer_by_columns (const SourceLayer *s)
{
  if (s->parts == NULL)
    return claimed_by_columns (s);
  for (guint i = 0; i < s->sources->len; i++)
    if (claimed_by_columns (g_ptr_array_index (s->sources, i)))
      return TRUE;
  return FALSE;
}

const QconvTensor *
qconv_source_layer_tensor (const SourceLayer *s)
{
  if (s->parts == NULL)
    return stored_tensor (s);
  return s->deltas == NULL && qconv_composed_whole (s) ? stored_tensor (qconv_composed_source (s, 0)) : NULL;
}

static gboolean
claimed_decodes (const SourceLayer *s)
{
  return is_plain (s) || (s->layer->quantizer != NULL && s->layer->quantizer->decode != NULL);
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

guint64
qconv_composed_step (const SourceLayer *s, guint i)
{
  gboolean beside = i + 1 < s->parts->len && g_array_index (s->parts, Part, i + 1).column > 0;

  return beside ? 0 : g_array_index (s->parts, Part, i).n;
}

guint64
qconv_composed_width (const SourceLayer *s, guint i)
{
  const Part *p = &g_array_index (s->parts, Part, i);
  const QconvLayer *of = &qconv_composed_source (s, i)->layer->pub;

  return p->transposed ? of->rows : p->width > 0 ? p->width : of->cols;
}

gboolean
qconv_composed_has_rows (const SourceLayer *s)
{
  for (guint i = 0; i < s->parts->len; i++)
    if (g_array_index (s->parts, Part, i).column > 0 || g_array_index (s->parts, Part, i).width > 0)
      return FALSE;
  return TRUE;
}

gboolean
qconv_composed_whole (const SourceLayer *s)
{
  const Part *p = &g_array_index (s->parts, Part, 0);

  return s->parts->len == 1 && p->first == 0 && !p->transposed && p->width == 0
         && (p->n == qconv_composed_source (s, 0)->layer->pub.rows && (p->stride == 1 || p->n <= 1));
}

gboolean
qconv_composed_makes (const SourceLayer *s, const QconvQuantizer *q, const QconvComponent *c)
{
  return q->stack != NULL && c->run.rows == 0 && (c->flags & QCONV_COMPONENT_ANY_ROWS) == 0
         && !qconv_composed_whole (s);
}

gboolean
qconv_source_layer_stacked (const SourceLayer *s)
{
  const Layer *l = s->layer;

  for (guint i = 0; s->parts != NULL && l->quantizer != NULL && i < l->pub.n_components; i++)
    if (qconv_composed_makes (s, l->quantizer, l->pub.components[i]))
      return TRUE;
  return FALSE;
}
