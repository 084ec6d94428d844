/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a plan tells. */
#include "graph/identify.h"
#include "lora/lora.h"
#include "plan/edit.h"

void
qconv_plan_free (QconvPlan *p)
{
  if (p->output.directory != NULL)
    qconv_output_clear (&p->output);
  g_clear_pointer (&p->mapping, qconv_mapping_free);
  g_clear_pointer (&p->loras, qconv_loras_free);
  g_clear_pointer (&p->verbatim, g_ptr_array_unref);
  g_clear_pointer (&p->header, g_byte_array_unref);
  g_clear_pointer (&p->edit, qconv_edit_free);
  g_free (p->path);
  g_free (p);
}

const char *
qconv_plan_output (const QconvPlan *p)
{
  return p->path;
}

const char *
qconv_plan_target (const QconvPlan *p)
{
  return p->target->name;
}

guint64
qconv_plan_output_bytes (const QconvPlan *p)
{
  return p->file_size;
}

guint64
qconv_plan_peak_memory (const QconvPlan *p)
{
  guint64 peak = 0;

  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      peak = MAX (peak, l->kept_cost + (guint64) l->task_cost * p->n_threads);
    }
  return MIN (peak, p->memory);
}

gboolean
qconv_planned_is_weight (const PlannedLayer *l)
{
  return l->layer->quantizer != NULL || l->how == HOW_DECODE || g_str_has_suffix (l->source->plain_name, ".weight");
}

GArray *
qconv_plan_weights (const QconvPlan *p)
{
  static const char *const hows[] = { "copy", "cast", "decode", "move", "encode" };
  GArray *weights = g_array_new (FALSE, FALSE, sizeof (QconvPlannedInfo));

  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);
      gboolean adopts = l->how == HOW_ENCODE && qconv_encoder (l, 0)->from != NULL;
      QconvPlannedInfo w = {
        .name = l->source->name,
        .scheme = l->layer->scheme,
        .rule = l->rule,
        .how = adopts ? "adopt" : hows[l->how],
        .short_name = qconv_strip_prefix (l->source->name),
        .options = l->options,
        .packable = l->packable,
        .shape = l->layer->pub.shape,
        .bytes = l->bytes,
      };

      if (qconv_planned_is_weight (l))
        g_array_append_val (weights, w);
    }
  return weights;
}
