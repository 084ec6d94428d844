/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Planned layers and tensors, and the bytes of a tensor that a run of rows owns. The plan, the run and the check call
   it. */
#include "plan/planned.h"

#include "base/names.h"

PlannedLayer *
qconv_planned_layer_new (Layer *layer, SourceLayer *source, How how, const char *rule)
{
  PlannedLayer *l = g_new0 (PlannedLayer, 1);

  l->layer = layer;
  l->source = source;
  l->how = how;
  l->rule = g_intern_string (rule);
  l->tensors = g_ptr_array_new ();
  return l;
}

void
qconv_planned_layer_free (PlannedLayer *l)
{
  g_clear_pointer (&l->layer, qconv_layer_unref);
  g_ptr_array_unref (l->tensors);
  g_free (l->options);
  g_free (l);
}

gboolean
qconv_planned_is_weight (const PlannedLayer *l)
{
  return l->layer->quantizer != NULL || l->how == HOW_DECODE || qconv_is_weight_name (l->source->plain_name);
}

/* Returns the way in which the bytes of @t follow rows: as the writer stated, or as the component does */
static QconvRun
byte_run (const PlannedTensor *t)
{
  const QconvComponent *c;

  if (t->pack != NULL)
    return t->run;
  if (t->component < 0)
    return QCONV_WHOLE;
  c = t->layer->layer->pub.components[t->component];
  if (t->dtype != c->dtype && t->dtype != QCONV_OPAQUE)
    {
      guint64 items = qconv_component_stride (c) * 8 / qconv_dtype_bits (c->dtype);

      return (QconvRun) { c->run.rows, c->run.n * items * qconv_dtype_bits (t->dtype) / 8 };
    }
  return (QconvRun) { c->run.rows, c->run.n * qconv_component_stride (c) };
}

gboolean
qconv_planned_by_rows (const PlannedTensor *t)
{
  return byte_run (t).rows > 0;
}

void
qconv_planned_share (const PlannedTensor *t, guint64 n_bytes, guint64 first_row, guint64 n_rows, guint64 *first,
                     guint64 *n)
{
  QconvRun run = byte_run (t);

  if (run.rows == 0)
    {
      *first = 0;
      *n = n_bytes;
      return;
    }
  *first = MIN (first_row / run.rows * run.n, n_bytes);
  *n = n_rows / run.rows * run.n;
  if (first_row + n_rows >= t->layer->layer->pub.rows || *n > n_bytes - *first)
    *n = n_bytes - *first;
}
