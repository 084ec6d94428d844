/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes every layer of a plan through its phases, tile by tile, on the threads of the scheduler. run.c calls it. */
#include "run/convert-layers.h"

#include <string.h>

#include "base/error.h"
#include "kernels/stream.h"
#include "layer/hooks.h"
#include "layer/load.h"
#include "plan/encoder.h"
#include "rules/input-scale.h"
#include "run/bias.h"
#include "run/cast-check.h"
#include "run/convert-rows.h"
#include "run/copy-tensors.h"
#include "run/long-task.h"
#include "run/resume.h"
#include "schedule/schedule.h"

static void
clear_run (LayerRun *r)
{
  g_clear_pointer (&r->source, qconv_components_free);
  g_clear_pointer (&r->made, qconv_components_free);
  g_clear_pointer (&r->kept.base, g_aligned_free);
}

static guint64
n_pieces (guint64 all, guint64 piece)
{
  return MAX (all / piece + (all % piece != 0), 1);
}

static gboolean
run_begin (LayerRun *r, GError **error)
{
  Rows rows = { .arena = &r->kept };

  r->kept.size = r->plan->tiling.kept_cost;
  r->kept.base = g_aligned_alloc0 (r->kept.size, 1, ARENA_ALIGN);
  r->source = qconv_components_new_source (r->plan->source);
  r->made = qconv_components_new (r->plan->layer);
  return qconv_components_load (r->plan->source, r->source, SCOPE_LAYER, &rows, error)
         && (!r->plan->tiling.holds || qconv_source_hold (r->plan->source, r->source, &rows, error))
         && qconv_components_place (r->made, SCOPE_LAYER, &rows, error)
         && qconv_load_bias (r->plan, r->made, &r->kept, error);
}

/* ---- Phases ---- */

/* Fills the layer components that no encoder computes: moved components, and the input scale of the user */
static void
fill_given (LayerRun *r)
{
  for (guint i = 0; i < r->made->layer->pub.n_components; i++)
    {
      const QconvComponent *c = r->made->layer->pub.components[i];
      gint from = qconv_layer_component_index (&r->source->layer->pub, c->name);

      if (c->run.rows > 0)
        continue;
      if (strcmp (c->name, QCONV_INPUT_SCALE) == 0 && r->plan->has_input_scale)
        memcpy (r->made->buffers[i].data, &r->plan->input_scale, sizeof (float));
      else if (from >= 0 && r->plan->how == HOW_MOVE)
        r->made->buffers[i] = r->source->buffers[from];
    }
}

static guint64
n_chunks (const LayerRun *r)
{
  return n_pieces (r->plan->layer->pub.rows, r->work.chunk_rows);
}

/* Places the partial results of the next pass, all zero */
static void
place_partials (LayerRun *r)
{
  r->kept.used = r->components;
  for (guint64 i = 0; r->work.partial_size > 0 && i < n_chunks (r); i++)
    {
      guint8 *partial = arena_take (&r->kept, r->work.partial_size);

      memset (partial, 0, r->work.partial_size);
      if (i == 0)
        r->partials = partial;
    }
}

/* Moves the partial results together, as finish() gets them */
static void
pack_partials (LayerRun *r)
{
  gsize n = r->work.partial_size;

  r->kept.used = r->components;
  for (guint64 i = 1; n > 0 && i < n_chunks (r); i++)
    memmove (r->partials + i * n, qconv_layer_run_partial (r, i), n);
}

static void
start_encoder (LayerRun *r, guint encoder)
{
  r->encoder = encoder;
  r->pass = 0;
  r->work = qconv_encoder_work (r->plan, encoder);
  place_partials (r);
  r->phase = r->work.n_passes > 0 ? PHASE_PASS : PHASE_LAST;
}

static gboolean
finish_pass (Conversion *c, LayerRun *r, GError **error)
{
  const QconvEncoder *e = qconv_encoder (r->plan, r->encoder);
  const Pass pass = { r->plan->layer->quantizer, e, r->pass };
  Arena none = { 0 };
  gboolean exact = TRUE;
  Tile tile = qconv_layer_run_tile (r, &none, c->cancellable);

  pack_partials (r);
  if (!qconv_call_finish (&pass, &tile, r->partials, (gsize) n_chunks (r), &exact, error))
    return FALSE;
  place_partials (r);
  if (!exact && qconv_encoder (r->plan, r->encoder + 1) == NULL)
    return qconv_hook_broke (&(Hook) { "quantizer", r->plan->layer->quantizer, "finish", NULL }, error,
                             "refused the layer, and there is no further encoder");
  if (!exact)
    start_encoder (r, r->encoder + 1);
  else if (++r->pass == r->work.n_passes)
    r->phase = PHASE_LAST;
  return TRUE;
}

static gboolean
finish_layer (Conversion *c, LayerRun *r, GError **error)
{
  PlannedLayer *l = r->plan;
  Arena arena = { .size = ARENA_ALIGN };
  gboolean ok;

  l->adopted = l->how == HOW_ENCODE && qconv_encoder (l, r->encoder)->from != NULL;

  /* A bias may be that small: biases of attention keys have no effect, so training leaves them near 0 */
  if (qconv_planned_is_weight (l) && !qconv_cast_check_layer (&r->seen, l->layer->pub.dtype, error))
    return FALSE;
  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      if (t->copied == NULL && !qconv_planned_by_rows (t))
        arena.size += arena_cost ((gsize) qconv_planned_tensor (c->file->output, t)->n_bytes);
    }
  arena.base = g_aligned_alloc (arena.size, 1, ARENA_ALIGN);
  ok = qconv_write_tensors (c->file, l, SCOPE_LAYER, r->made, &(Rows) { 0, l->layer->pub.rows, &arena, c->cancellable },
                            error);
  g_aligned_free (arena.base);
  return ok && (c->file->resume == NULL || qconv_resume_note (c->file->resume, c->file, r->number, error));
}

/* ---- Hooks of the scheduler ---- */

static gsize
conversion_kept_cost (gpointer data, guint item)
{
  return ((Conversion *) data)->runs[item].plan->tiling.kept_cost;
}

static gsize
conversion_task_cost (gpointer data, guint item)
{
  return ((Conversion *) data)->runs[item].plan->tiling.task_cost;
}

static guint
conversion_n_tasks (gpointer data, guint item)
{
  const LayerRun *r = &((Conversion *) data)->runs[item];

  if (r->phase == PHASE_BEGIN)
    return 1;
  if (r->plan->copies)
    return (guint) qconv_copy_n_pieces (r->plan);
  if (r->phase == PHASE_PASS)
    return qconv_work_reads (&r->work) ? (guint) n_pieces (r->plan->layer->pub.rows, r->work.chunk_rows) : 1;
  return (guint) n_pieces (r->plan->layer->pub.rows, r->plan->tiling.rows);
}

static gboolean
run_task (Attempt *a, GError **error)
{
  LayerRun *r = a->run;
  const DeviceWork work = { qconv_convert_rows, a, r->plan->tiling.rows, r->plan->tiling.align };

  if (r->phase == PHASE_BEGIN)
    return run_begin (r, error);
  if (r->plan->copies)
    return qconv_copy_piece (a->conversion->file, r->plan, a->number, a->arena, error);
  if (r->phase == PHASE_PASS && !qconv_work_reads (&r->work))
    return TRUE;
  a->first = a->number * r->plan->tiling.rows;
  return qconv_plan_device_run (&a->conversion->plan->device, &work, error);
}

/* Runs one task and puts the layer's name into its error, because hooks and operations do not know the name.
   conversion_advance() does the same */
static gboolean
conversion_run (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error)
{
  Conversion *c = data;
  LayerRun *r = &c->runs[item];
  LongTask t = { .schedule = schedule,
                 .n_threads = r->plan->tiling.n_threads,
                 .progress = c->progress,
                 .layer = r->plan->layer->name,
                 .bytes = r->plan->source->bytes / conversion_n_tasks (c, item) };
  Attempt attempt = { c, r, task, &t, arena, 0 };

  if (!run_task (&attempt, error))
    {
      qconv_error_name_layer (error, r->plan->source->name);
      return FALSE;
    }
  if (r->phase == PHASE_LAST || (r->phase == PHASE_PASS && qconv_work_reads (&r->work)))
    qconv_long_task_end (&t);
  return TRUE;
}

static void
finish_begin (LayerRun *r)
{
  fill_given (r);
  r->components = r->kept.used;
  if (r->plan->how == HOW_ENCODE)
    start_encoder (r, 0);
  else
    r->phase = PHASE_LAST;
}

static gboolean
conversion_advance (gpointer data, guint item, gboolean *more, GError **error)
{
  Conversion *c = data;
  LayerRun *r = &c->runs[item];
  gboolean ok = TRUE;

  *more = r->phase != PHASE_LAST;
  if (r->phase == PHASE_BEGIN)
    finish_begin (r);
  else if (r->phase == PHASE_PASS)
    ok = finish_pass (c, r, error);
  else
    ok = finish_layer (c, r, error);
  if (!ok)
    qconv_error_name_layer (error, r->plan->source->name);
  else if (!*more)
    clear_run (r);
  return ok;
}

static guint8 *
conversion_alloc (gpointer data, gsize n)
{
  return qconv_device_host_alloc (((Conversion *) data)->plan->device.device, n);
}

static void
conversion_free (gpointer data, guint8 *memory)
{
  qconv_device_host_free (((Conversion *) data)->plan->device.device, memory);
}

guint64
qconv_convert_bytes (const QconvPlan *plan)
{
  guint64 bytes = 0;

  for (guint i = 0; i < plan->output.layers->len; i++)
    bytes += qconv_work_bytes (g_ptr_array_index (plan->output.layers, i));
  return bytes;
}

/* Lists the layers to convert in @runs: all but those that an earlier run has done. Returns their number */
static guint
list_runs (Conversion *c)
{
  guint n = 0;

  for (guint i = 0; i < c->plan->output.layers->len; i++)
    {
      PlannedLayer *l = g_ptr_array_index (c->plan->output.layers, i);

      if (c->file->resume != NULL && qconv_resume_is_done (c->file->resume, i))
        qconv_progress_skip (c->progress, qconv_work_bytes (l));
      else
        c->runs[n++] = (LayerRun) { .plan = l, .number = i, .phase = l->how == HOW_COPY ? PHASE_LAST : PHASE_BEGIN };
    }
  return n;
}

gboolean
qconv_convert_layers (QconvPlan *plan, OutputFile *file, Progress *progress, GCancellable *cancellable, GError **error)
{
  ScheduleOps ops
      = { conversion_kept_cost, conversion_task_cost, conversion_n_tasks, conversion_run, conversion_advance };
  Conversion c = { plan, file, progress, cancellable, g_new0 (LayerRun, plan->output.layers->len) };
  guint n = list_runs (&c);
  gboolean ok;

  if (plan->device.device != NULL)
    {
      ops.alloc = conversion_alloc;
      ops.free = conversion_free;
    }
  ok = qconv_schedule_run (&ops, &c, n, &plan->limits, cancellable, error);

  for (guint i = 0; i < n; i++)
    clear_run (&c.runs[i]);
  g_free (c.runs);
  return ok;
}
