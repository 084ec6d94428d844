/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers questions about a plan. The program and other users of libqconv call it. */
#include "families/layer-name.h"
#include "plan/encoder.h"
#include "plan/error-lora.h"
#include "plan/plan.h"

GPtrArray *
qconv_plan_changes (const QconvPlan *p)
{
  return p->changes;
}

const char *
qconv_plan_output (const QconvPlan *p)
{
  return p->files != NULL ? qconv_plan_file (p, 0)->path : p->path;
}

const char *
qconv_plan_target (const QconvPlan *p)
{
  return p->target->name;
}

guint64
qconv_plan_output_bytes (const QconvPlan *p)
{
  return qconv_files_bytes (p->files);
}

GArray *
qconv_plan_outputs (const QconvPlan *p)
{
  GArray *outputs = g_array_sized_new (FALSE, TRUE, sizeof (QconvOutputFile), p->files->len);

  for (guint i = 0; i < p->files->len; i++)
    {
      const PlannedFile *f = qconv_plan_file (p, i);
      QconvOutputFile o = { .path = f->path, .bytes = f->layout.file_size };

      g_array_append_val (outputs, o);
    }
  return outputs;
}

gboolean
qconv_plan_is_folder (const QconvPlan *p)
{
  return p->output.files->len > 0;
}

guint64
qconv_plan_peak_memory (const QconvPlan *p)
{
  guint64 peak = p->verify ? (guint64) READ_BACK_PIECE * p->limits.n_threads : 0;

  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const Tiling *t = &((const PlannedLayer *) g_ptr_array_index (p->output.layers, i))->tiling;

      peak = MAX (peak, t->kept_cost + (guint64) t->task_cost * p->limits.n_threads);
      peak = MAX (peak, t->check_kept_cost + (guint64) t->check_task_cost * p->limits.n_threads);
    }
  if (p->error_lora != NULL)
    peak = MAX (peak, qconv_error_lora_peak (p->error_lora, &p->limits));
  return MIN (peak, p->limits.memory);
}

GArray *
qconv_plan_weights (const QconvPlan *p)
{
  GArray *weights = g_array_sized_new (FALSE, FALSE, sizeof (QconvPlannedInfo), p->output.layers->len);

  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);
      QconvPlannedInfo w = {
        .name = l->source->name,
        .scheme = l->layer->scheme,
        .rule = l->rule,
        .how = qconv_how_name (l),
        .short_name = qconv_strip_prefix (l->source->name),
        .options = l->options,
        .packable = l->packable,
        .shape = l->layer->pub.shape,
        .bytes = l->bytes,
        .input_bytes = l->source->bytes,
      };

      if (qconv_planned_is_weight (l))
        g_array_append_val (weights, w);
    }
  return weights;
}
