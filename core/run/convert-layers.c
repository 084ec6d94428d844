/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes every layer of a plan through its phases, tile by tile, on the threads of the scheduler. run.c calls it. */
#include "run/convert-layers.h"

#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "kernels/stream.h"
#include "layer/hooks.h"
#include "layer/load.h"
#include "plan/encoder.h"
#include "rules/input-scale.h"
#include "run/bias.h"
#include "run/cast-check.h"
#include "run/copy-tensors.h"
#include "run/long-task.h"
#include "run/resume.h"
#include "schedule/schedule.h"

/* @PHASE_BEGIN: loads the layer components of the source, and its row components if they are held; @PHASE_PASS: runs
   one pass of an encoder; @PHASE_LAST: makes and writes tiles */
typedef enum { PHASE_BEGIN, PHASE_PASS, PHASE_LAST } Phase;

/**
 * LayerRun: one layer while it is worked on.
 * @number: of the layer in the plan
 * @kept: holds the layer components, in its first @components bytes, and the partial results of one pass
 * @source, @made: components of the source and of the planned layer
 * @encoder, @pass: the pass that PHASE_PASS runs
 * @partials: results of the chunks of this pass, in order, arena_cost() of one result apart
 * @seen: what the casts of a plain layer have found
 */
typedef struct {
  PlannedLayer *plan;
  guint number;
  Phase phase;
  Arena kept;
  gsize components;
  Components *source, *made;
  guint encoder, pass;
  QconvWork work;
  guint8 *partials;
  CastSeen seen;
} LayerRun;

typedef struct {
  const QconvPlan *plan;
  OutputFile *file;
  Progress *progress;
  GCancellable *cancellable;
  LayerRun *runs;
} Conversion;

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

/* Input: the rows for an encoder: components of the source if the encoder adopts them, else floats */
typedef struct {
  Components *source;
  QconvBuffer floats;
} Input;

/* Loads @rows in the form that encoder @e takes. @check: refuses Inf and NaN; TRUE only for the first reading */
static gboolean
load_input (const LayerRun *r, const QconvEncoder *e, const Rows *rows, gboolean check, Input *in, GError **error)
{
  const SourceLayer *s = r->plan->source;

  in->source = qconv_components_view (r->source, rows->arena);
  if (e->from != NULL)
    return qconv_components_load (s, in->source, SCOPE_ROWS, rows, error);
  return qconv_floats_load (s, in->source, rows, qconv_floats_as_is (r->plan), &in->floats, error)
         && (!check || qconv_floats_check (&in->floats, error));
}

/* Returns the tile for a hook of encoder @e. @in: (nullable): NULL for finish(), which gets no floats */
static Tile
encoder_tile (const LayerRun *r, const QconvEncoder *e, const Components *made, const Rows *rows, Input *in)
{
  Tile tile = qconv_tile (r->plan->layer, made, rows);

  tile.kept = &r->kept;
  if (e->from != NULL)
    {
      tile.source = in != NULL ? in->source : r->source;
      tile.pub.source = &r->plan->source->layer->pub;
    }
  else
    tile.pub.floats = in != NULL ? &in->floats : NULL;
  return tile;
}

/* ---- Tasks ---- */

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

/* Narrows @floats to @n rows after the first @lead rows */
static void
cut_rows (QconvBuffer *floats, guint64 cols, guint64 lead, guint64 n)
{
  gsize row_bytes = (gsize) cols * qconv_dtype_bits (floats->dtype) / 8;

  floats->data = (guint8 *) floats->data + lead * row_bytes;
  floats->size = n * row_bytes;
}

static guint8 *
partial_of (const LayerRun *r, guint64 chunk)
{
  return r->partials + chunk * arena_cost (r->work.partial_size);
}

/* Accumulates one chunk of rows. A chunk may begin inside a run of the source; loading begins at the start of that
   run */
static gboolean
run_chunk (Conversion *c, LayerRun *r, guint chunk, Arena *arena, GError **error)
{
  const QconvEncoder *e = qconv_encoder (r->plan, r->encoder);
  const Pass pass = { r->plan->layer->quantizer, e, r->pass };
  QconvBuffer partial = QCONV_BUFFER (partial_of (r, chunk), r->work.partial_size, QCONV_F32);
  guint64 first = chunk * r->work.chunk_rows;
  guint64 rows = r->plan->layer->pub.rows, end = MIN (first + r->work.chunk_rows, rows);
  guint64 align = e->from == NULL ? qconv_layer_alignment (r->plan->source->layer, 1) : 1;

  for (guint64 n; first < end; first += n)
    {
      guint64 lead = first % align, load = r->plan->tiling.rows;
      Input in;
      Tile tile;

      arena->used = 0;
      load = MIN (load, (lead + end - first + align - 1) / align * align);
      load = MIN (load, rows - (first - lead));
      n = MIN (load - lead, end - first);
      if (!load_input (r, e, &(Rows) { first - lead, load, arena, c->cancellable }, r->pass == 0, &in, error))
        return FALSE;
      if (e->from == NULL)
        cut_rows (&in.floats, r->plan->source->layer->pub.cols, lead, n);
      tile = encoder_tile (r, e, r->made, &(Rows) { first, n, arena, c->cancellable }, &in);
      if (!qconv_call_accumulate (&pass, &tile, &partial, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
encode_tile (LayerRun *r, LongTask *task, Components *made, const Rows *rows, GError **error)
{
  const QconvEncoder *e = qconv_encoder (r->plan, r->encoder);
  Input in;
  Tile tile;

  if (!load_input (r, e, rows, !qconv_work_reads (&r->work), &in, error)
      || !qconv_components_place (made, SCOPE_ROWS, rows, error))
    return FALSE;
  tile = encoder_tile (r, e, made, rows, &in);
  qconv_long_task_serve (task, &tile);
  return qconv_call_encode (r->plan->layer->quantizer, e, &tile, error);
}

/* Takes the row components of the source, by name, as row components of the planned layer */
static gboolean
move_tile (LayerRun *r, Components *made, const Rows *rows, GError **error)
{
  Components *source = qconv_components_view (r->source, rows->arena);
  Tile tile;

  if (!qconv_components_load (r->plan->source, source, SCOPE_ROWS, rows, error))
    return FALSE;
  for (guint i = 0; i < made->layer->pub.n_components; i++)
    {
      gint from = qconv_layer_component_index (&source->layer->pub, made->layer->pub.components[i]->name);

      if (from >= 0 && made->layer->pub.components[i]->run.rows > 0)
        made->buffers[i] = source->buffers[from];
    }
  tile = qconv_tile (r->plan->layer, made, rows);
  return qconv_call_validate (r->plan->layer->quantizer, &tile, error);
}

/* Makes the plain weight, which is the only component of layers that are cast or decoded */
static gboolean
plain_tile (Conversion *c, LayerRun *r, Components *made, const Rows *rows, GError **error)
{
  QconvBuffer floats;

  if (!qconv_floats_load (r->plan->source, qconv_components_view (r->source, rows->arena), rows,
                          qconv_casts_directly (r->plan), &floats, error)
      || (r->plan->finite && qconv_dtype_is_number (floats.dtype) && !qconv_floats_check (&floats, error)))
    return FALSE;
  if (floats.dtype == made->layer->pub.dtype)
    {
      made->buffers[0] = floats;
      return TRUE;
    }
  return qconv_components_place (made, SCOPE_ROWS, rows, error)
         && qconv_stream_run (qconv_stream_cpu (), "convert", 1,
                              (QconvArg[]) { QCONV_BUF (&floats), QCONV_BUF (&made->buffers[0]) }, 2, error)
         && (c->plan->allow_nonfinite || qconv_cast_check (&floats, &made->buffers[0], &r->seen, error));
}

static gboolean
run_tile (Conversion *c, LayerRun *r, guint number, LongTask *task, Arena *arena, GError **error)
{
  const PlannedLayer *l = r->plan;
  guint64 first = number * l->tiling.rows;
  Rows rows
      = { first, MIN (l->tiling.rows, l->layer->pub.rows - MIN (first, l->layer->pub.rows)), arena, c->cancellable };
  Components *made = qconv_components_view (r->made, arena);
  gboolean ok;

  if (l->how == HOW_ENCODE)
    ok = encode_tile (r, task, made, &rows, error);
  else if (l->how == HOW_MOVE)
    ok = move_tile (r, made, &rows, error);
  else
    ok = plain_tile (c, r, made, &rows, error);
  return ok && qconv_write_tensors (c->file, l, SCOPE_ROWS, made, &rows, error);
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
    memmove (r->partials + i * n, partial_of (r, i), n);
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
  Tile tile = encoder_tile (r, e, r->made, &(Rows) { 0, r->plan->layer->pub.rows, &none, c->cancellable }, NULL);

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
run_task (Conversion *c, LayerRun *r, guint number, LongTask *task, Arena *arena, GError **error)
{
  if (r->phase == PHASE_BEGIN)
    return run_begin (r, error);
  if (r->plan->copies)
    return qconv_copy_piece (c->file, r->plan, number, arena, error);
  if (r->phase == PHASE_LAST)
    return run_tile (c, r, number, task, arena, error);
  return !qconv_work_reads (&r->work) || run_chunk (c, r, number, arena, error);
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

  if (!run_task (c, r, task, &t, arena, error))
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
qconv_convert_layers (const QconvPlan *plan, OutputFile *file, Progress *progress, GCancellable *cancellable,
                      GError **error)
{
  static const ScheduleOps ops
      = { conversion_kept_cost, conversion_task_cost, conversion_n_tasks, conversion_run, conversion_advance };
  Conversion c = { plan, file, progress, cancellable, g_new0 (LayerRun, plan->output.layers->len) };
  guint n = list_runs (&c);
  gboolean ok = qconv_schedule_run (&ops, &c, n, &plan->limits, cancellable, error);

  for (guint i = 0; i < n; i++)
    clear_run (&c.runs[i]);
  g_free (c.runs);
  return ok;
}
