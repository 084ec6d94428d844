/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/convert-layers.h"

#include <string.h>

#include "layer/tile.h"
#include "rules/input-scale.h"
#include "run/copy-tensors.h"
#include "run/write-tensors.h"
#include "schedule/schedule.h"

/* @PHASE_BEGIN: whole-layer components of the source are loaded; @PHASE_PASS: one reading of an encoder's passes;
   @PHASE_LAST: what makes the output's bytes */
typedef enum { PHASE_BEGIN, PHASE_PASS, PHASE_LAST } Phase;

/**
 * LayerRun: one layer while it is worked on.
 * @source, @made: with the whole-layer components, in @kept
 * @encoder, @pass: where PHASE_PASS is
 * @partials: results of the chunks of this pass, in order
 */
typedef struct {
  PlannedLayer *plan;
  Phase phase;
  Arena kept;
  Components *source, *made;
  guint encoder, pass;
  QconvWork work;
  guint8 *partials;
} LayerRun;

typedef struct {
  const QconvPlan *plan;
  Save *save;
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

static Tile
make_tile (const LayerRun *r, const Components *made, const Components *source, guint64 first, guint64 n,
           QconvBuffer *floats, Arena *arena, GCancellable *cancellable)
{
  return (Tile) {
    .pub = {
      .layer = &r->plan->layer->pub,
      .source = source != NULL ? &r->plan->source->layer->pub : NULL,
      .first_row = first,
      .n_rows = n,
      .floats = floats,
      .stream = qconv_stream_cpu (),
      .n_threads = 1,
    },
    .components = made,
    .source = source,
    .arena = arena,
    .cancellable = cancellable,
  };
}

/* Rows [first, first + n) as encoder @e wants them: the components of its scheme, or floats. The first
   reading checks */
static gboolean
load_rows (const LayerRun *r, const QconvEncoder *e, guint64 first, guint64 n, gboolean check, Components *source,
           QconvBuffer *floats, Arena *arena, GCancellable *cancellable, GError **error)
{
  const SourceLayer *s = r->plan->source;
  gboolean as_is = qconv_source_layer_plain (s) && qconv_takes_floats (r->plan->layer->quantizer, s->layer->pub.dtype);

  if (e->from != NULL)
    return qconv_parts_load (s, source, PARTS_ROWS, first, n, arena, error);
  return qconv_floats_load (s, source, first, n, as_is, arena, cancellable, floats, error)
         && (!check || qconv_floats_check (s, floats, error));
}

/* ---- Tasks ---- */

static gboolean
run_begin (LayerRun *r, GError **error)
{
  r->kept.size = r->plan->kept_cost;
  r->kept.base = g_aligned_alloc0 (r->kept.size, 1, ARENA_ALIGN);
  r->source = qconv_components_new_source (r->plan->source);
  r->made = qconv_components_new (r->plan->layer);
  return qconv_parts_load (r->plan->source, r->source, PARTS_WHOLE, 0, 0, &r->kept, error)
         && qconv_parts_place (r->made, PARTS_WHOLE, 0, 0, &r->kept, error);
}

/* A quantizer does not say whose weights it cannot encode; errors of plugins get their name in conversion_run() */
static gboolean
name_layer (const LayerRun *r, gboolean ok, GError **error)
{
  if (!ok && !g_error_matches (*error, QCONV_ERROR, QCONV_ERROR_BUG))
    g_prefix_error (error, "layer \"%s\": ", r->plan->layer->name);
  return ok;
}

/* The part of @floats that starts @lead rows further down and has @n rows */
static void
cut_rows (QconvBuffer *floats, guint64 cols, guint64 lead, guint64 n)
{
  gsize row_bytes = (gsize) cols * qconv_dtype_bits (floats->dtype) / 8;

  floats->data = (guint8 *) floats->data + lead * row_bytes;
  floats->size = n * row_bytes;
}

/* Chunks are cut without regard to the runs of the source, which is loaded from where a run starts */
static gboolean
run_chunk (Conversion *c, LayerRun *r, guint chunk, Arena *arena, GError **error)
{
  const QconvQuantizer *q = r->plan->layer->quantizer;
  const QconvEncoder *e = qconv_encoder (r->plan, r->encoder);
  QconvBuffer partial = QCONV_BUFFER (r->partials + chunk * r->work.partial_size, r->work.partial_size, QCONV_F32);
  guint64 first = chunk * r->work.chunk_rows;
  guint64 rows = r->plan->layer->pub.rows, end = MIN (first + r->work.chunk_rows, rows);
  guint64 align = e->from == NULL ? qconv_layer_alignment (r->plan->source->layer, 1) : 1;

  for (guint64 n; first < end; first += n)
    {
      guint64 lead = first % align, load = r->plan->pass_rows;
      QconvBuffer floats;
      Components *source;
      Tile tile;

      arena->used = 0;
      load = MIN (load, (lead + end - first + align - 1) / align * align);
      load = MIN (load, rows - (first - lead));
      n = MIN (load - lead, end - first);
      source = qconv_components_view (r->source, arena);
      if (!load_rows (r, e, first - lead, load, r->pass == 0, source, &floats, arena, c->cancellable, error))
        return FALSE;
      if (e->from == NULL)
        cut_rows (&floats, r->plan->source->layer->pub.cols, lead, n);
      tile = make_tile (r, r->made, e->from != NULL ? source : NULL, first, n, e->from != NULL ? NULL : &floats, arena,
                        c->cancellable);
      if (!name_layer (r, e->accumulate (q, &tile.pub, r->pass, &partial, error), error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
encode_tile (Conversion *c, LayerRun *r, Components *made, guint64 first, guint64 n, Arena *arena, GError **error)
{
  const QconvEncoder *e = qconv_encoder (r->plan, r->encoder);
  Components *source = qconv_components_view (r->source, arena);
  QconvBuffer floats;
  Tile tile;

  if (!load_rows (r, e, first, n, !QCONV_WORK_READS (&r->work), source, &floats, arena, c->cancellable, error)
      || !qconv_parts_place (made, PARTS_ROWS, first, n, arena, error))
    return FALSE;
  tile = make_tile (r, made, e->from != NULL ? source : NULL, first, n, e->from != NULL ? NULL : &floats, arena,
                    c->cancellable);
  return name_layer (r, e->encode (r->plan->layer->quantizer, &tile.pub, error), error);
}

/* The planned components are the source's, by name */
static gboolean
move_tile (Conversion *c, LayerRun *r, Components *made, guint64 first, guint64 n, Arena *arena, GError **error)
{
  const QconvQuantizer *q = r->plan->layer->quantizer;
  Components *source = qconv_components_view (r->source, arena);
  Tile tile;

  if (!qconv_parts_load (r->plan->source, source, PARTS_ROWS, first, n, arena, error))
    return FALSE;
  for (guint i = 0; i < made->layer->pub.n_components; i++)
    {
      gint from = qconv_layer_component_index (&source->layer->pub, made->layer->pub.components[i]->name);

      if (from >= 0 && made->layer->pub.components[i]->run.rows > 0)
        made->buffers[i] = source->buffers[from];
    }
  if (q->validate == NULL)
    return TRUE;
  tile = make_tile (r, made, NULL, first, n, NULL, arena, c->cancellable);
  if (q->validate (q, &tile.pub, error))
    return TRUE;
  g_prefix_error (error, "layer \"%s\": ", r->plan->source->name);
  return FALSE;
}

/* A finite value must stay one */
static gboolean
check_cast (const SourceLayer *s, QconvBuffer *from, QconvBuffer *to, GError **error)
{
  guint64 before = 0, after = 0;
  QconvBuffer n_before = QCONV_BUFFER (&before, sizeof before, QCONV_U64);
  QconvBuffer n_after = QCONV_BUFFER (&after, sizeof after, QCONV_U64);
  QconvStream *cpu = qconv_stream_cpu ();

  if (!qconv_stream_run (cpu, "nonfinite", 1, (QconvArg[]) { QCONV_BUF (from), QCONV_BUF (&n_before) }, 2, error)
      || !qconv_stream_run (cpu, "nonfinite", 1, (QconvArg[]) { QCONV_BUF (to), QCONV_BUF (&n_after) }, 2, error))
    return FALSE;
  return after <= before
         || qconv_fail (error, QCONV_ERROR_NON_FINITE,
                        "layer \"%s\": %" G_GUINT64_FORMAT " values are too large for %s: choose a wider type", s->name,
                        after - before, qconv_dtype_name (to->dtype));
}

/* CAST and DECODE: the only component is the plain weight */
static gboolean
plain_tile (Conversion *c, LayerRun *r, Components *made, guint64 first, guint64 n, Arena *arena, GError **error)
{
  const SourceLayer *s = r->plan->source;
  gboolean decode = r->plan->how == HOW_DECODE;
  QconvBuffer floats;

  if (!qconv_floats_load (s, qconv_components_view (r->source, arena), first, n, qconv_casts_directly (r->plan), arena,
                          c->cancellable, &floats, error)
      || (decode && !c->plan->allow_nonfinite && !qconv_floats_check (s, &floats, error)))
    return FALSE;
  if (floats.dtype == made->layer->pub.dtype)
    {
      made->buffers[0] = floats;
      return TRUE;
    }
  return qconv_parts_place (made, PARTS_ROWS, first, n, arena, error)
         && qconv_stream_run (qconv_stream_cpu (), "convert", 1,
                              (QconvArg[]) { QCONV_BUF (&floats), QCONV_BUF (&made->buffers[0]) }, 2, error)
         && (c->plan->allow_nonfinite || check_cast (s, &floats, &made->buffers[0], error));
}

static gboolean
run_tile (Conversion *c, LayerRun *r, guint task, Arena *arena, GError **error)
{
  const PlannedLayer *l = r->plan;
  guint64 first = task * l->tile_rows, n = MIN (l->tile_rows, l->layer->pub.rows - MIN (first, l->layer->pub.rows));
  Components *made = qconv_components_view (r->made, arena);
  gboolean ok;

  if (l->how == HOW_ENCODE)
    ok = encode_tile (c, r, made, first, n, arena, error);
  else if (l->how == HOW_MOVE)
    ok = move_tile (c, r, made, first, n, arena, error);
  else
    ok = plain_tile (c, r, made, first, n, arena, error);
  return ok && qconv_pack_tensors (&c->plan->output, l, PARTS_ROWS, made, first, n, arena, c->save, error);
}

/* ---- Phases ---- */

/* Whole-layer components that nobody computes: moved ones, and an input scale that the user gave */
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

static void
start_encoder (LayerRun *r, guint encoder)
{
  guint64 n_chunks;

  r->encoder = encoder;
  r->pass = 0;
  r->work = qconv_encoder_work (r->plan, encoder);
  n_chunks = n_pieces (r->plan->layer->pub.rows, r->work.chunk_rows);
  r->kept.used = r->kept.size - arena_round ((gsize) n_chunks * r->work.partial_size);
  r->partials = r->kept.base + r->kept.used;
  memset (r->partials, 0, (gsize) n_chunks * r->work.partial_size);
  r->phase = r->work.n_passes > 0 ? PHASE_PASS : PHASE_LAST;
}

static gboolean
finish_pass (Conversion *c, LayerRun *r, GError **error)
{
  const QconvEncoder *e = qconv_encoder (r->plan, r->encoder);
  gsize n = (gsize) n_pieces (r->plan->layer->pub.rows, r->work.chunk_rows);
  Arena none = { 0 };
  gboolean exact = TRUE;
  Tile tile = make_tile (r, r->made, e->from != NULL ? r->source : NULL, 0, r->plan->layer->pub.rows, NULL, &none,
                         c->cancellable);

  if (!name_layer (r, e->finish (r->plan->layer->quantizer, &tile.pub, r->pass, r->partials, n, &exact, error), error))
    return FALSE;
  memset (r->partials, 0, n * r->work.partial_size);
  if (!exact && qconv_encoder (r->plan, r->encoder + 1) == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": the last encoder of scheme %s refused it",
                       r->plan->layer->name, r->plan->layer->scheme);
  if (!exact)
    start_encoder (r, r->encoder + 1);
  else if (++r->pass == r->work.n_passes)
    r->phase = PHASE_LAST;
  return TRUE;
}

static gboolean
finish_layer (Conversion *c, LayerRun *r, GError **error)
{
  const PlannedLayer *l = r->plan;
  Arena arena = { .size = ARENA_ALIGN };
  gboolean ok;

  for (guint i = 0; i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      if (t->copied == NULL && !qconv_planned_by_rows (t))
        arena.size += arena_round ((gsize) MAX (qconv_planned_tensor (&c->plan->output, t)->n_bytes, 1));
    }
  arena.base = g_aligned_alloc (arena.size, 1, ARENA_ALIGN);
  ok = qconv_pack_tensors (&c->plan->output, l, PARTS_WHOLE, r->made, 0, l->layer->pub.rows, &arena, c->save, error);
  g_aligned_free (arena.base);
  return ok;
}

/* ---- What the scheduler asks ---- */

static gsize
conversion_kept_cost (gpointer data, guint item)
{
  return ((Conversion *) data)->runs[item].plan->kept_cost;
}

static gsize
conversion_task_cost (gpointer data, guint item)
{
  return ((Conversion *) data)->runs[item].plan->task_cost;
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
    return QCONV_WORK_READS (&r->work) ? (guint) n_pieces (r->plan->layer->pub.rows, r->work.chunk_rows) : 1;
  return (guint) n_pieces (r->plan->layer->pub.rows, r->plan->tile_rows);
}

static gboolean
conversion_run (gpointer data, guint item, guint task, Arena *arena, GError **error)
{
  Conversion *c = data;
  LayerRun *r = &c->runs[item];
  gboolean ok;

  if (r->phase == PHASE_BEGIN)
    return run_begin (r, error);
  if (r->phase == PHASE_PASS && !QCONV_WORK_READS (&r->work))
    return TRUE;
  if (r->plan->copies)
    ok = qconv_copy_piece (&c->plan->output, r->plan, task, arena, c->save, error);
  else
    ok = r->phase == PHASE_PASS ? run_chunk (c, r, task, arena, error) : run_tile (c, r, task, arena, error);
  /* Operations do not know whose numbers they get */
  if (!ok && g_error_matches (*error, QCONV_ERROR, QCONV_ERROR_BUG))
    g_prefix_error (error, "layer \"%s\": ", r->plan->layer->name);
  if (ok)
    qconv_progress_add (c->progress, r->plan->source->bytes / conversion_n_tasks (c, item), r->plan->layer->name);
  return ok;
}

static gboolean
conversion_advance (gpointer data, guint item, gboolean *more, GError **error)
{
  Conversion *c = data;
  LayerRun *r = &c->runs[item];

  *more = TRUE;
  if (r->phase == PHASE_BEGIN)
    {
      fill_given (r);
      if (r->plan->how == HOW_ENCODE)
        start_encoder (r, 0);
      else
        r->phase = PHASE_LAST;
      return TRUE;
    }
  if (r->phase == PHASE_PASS)
    return finish_pass (c, r, error);
  *more = FALSE;
  if (!finish_layer (c, r, error))
    return FALSE;
  clear_run (r);
  return TRUE;
}

guint64
qconv_convert_bytes (const QconvPlan *plan)
{
  guint64 bytes = 0;

  for (guint i = 0; i < plan->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (plan->output.layers, i);
      QconvWork work = { 0 };

      if (l->how == HOW_ENCODE)
        work = qconv_encoder_work (l, 0);
      bytes += l->source->bytes * (QCONV_WORK_READS (&work) ? 1 + work.n_passes : 1);
    }
  return bytes;
}

gboolean
qconv_convert_layers (const QconvPlan *plan, Save *save, Progress *progress, GCancellable *cancellable, GError **error)
{
  static const ScheduleOps ops
      = { conversion_kept_cost, conversion_task_cost, conversion_n_tasks, conversion_run, conversion_advance };
  guint n = plan->output.layers->len;
  Conversion c = { plan, save, progress, cancellable, g_new0 (LayerRun, n) };
  gboolean ok;

  for (guint i = 0; i < n; i++)
    {
      c.runs[i].plan = g_ptr_array_index (plan->output.layers, i);
      c.runs[i].phase = c.runs[i].plan->how == HOW_COPY ? PHASE_LAST : PHASE_BEGIN;
    }
  ok = qconv_schedule_run (&ops, &c, n, plan->n_threads, plan->memory, cancellable, error);
  for (guint i = 0; i < n; i++)
    clear_run (&c.runs[i]);
  g_free (c.runs);
  return ok;
}
