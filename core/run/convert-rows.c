/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Works on rows of a layer: loads them, runs the hooks of its quantizer on them, and writes tiles. convert-layers.c
   calls it from the threads of the scheduler. */
#include "run/convert-rows.h"

#include <string.h>

#include "base/dtype.h"
#include "kernels/stream.h"
#include "layer/hooks.h"
#include "layer/load.h"
#include "plan/encoder.h"
#include "run/write-tensors.h"

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
         && (!check || qconv_floats_check (&in->floats, rows->device, error));
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

Tile
qconv_layer_run_tile (const LayerRun *r, Arena *arena, GCancellable *cancellable)
{
  const Rows rows = { 0, r->plan->layer->pub.rows, arena, cancellable, NULL };

  return encoder_tile (r, qconv_encoder (r->plan, r->encoder), r->made, &rows, NULL);
}

/* Narrows @floats to @n rows after the first @lead rows */
static void
cut_rows (QconvBuffer *floats, guint64 cols, guint64 lead, guint64 n)
{
  gsize row_bytes = (gsize) cols * qconv_dtype_bits (floats->dtype) / 8;

  floats->data = (guint8 *) floats->data + lead * row_bytes;
  floats->size = n * row_bytes;
}

guint8 *
qconv_layer_run_partial (const LayerRun *r, guint64 chunk)
{
  return r->partials + chunk * arena_cost (r->work.partial_size);
}

/* Gives up what the tile before has left in memory */
static void
start_tile (Arena *arena, DeviceTask *device)
{
  arena->used = 0;
  if (device != NULL)
    qconv_device_forget (device, NULL);
}

/* Accumulates one chunk of rows, in tiles of at most @most rows. A chunk may begin inside a run of the source; loading
   begins at the start of that run */
static gboolean
run_chunk (const Attempt *a, guint64 most, DeviceTask *device, GError **error)
{
  Conversion *c = a->conversion;
  LayerRun *r = a->run;
  const QconvEncoder *e = qconv_encoder (r->plan, r->encoder);
  const Pass pass = { r->plan->layer->quantizer, e, r->pass };
  QconvBuffer partial = QCONV_BUFFER (qconv_layer_run_partial (r, a->number), r->work.partial_size, QCONV_F32);
  guint64 first = a->number * r->work.chunk_rows;
  guint64 rows = r->plan->layer->pub.rows, end = MIN (first + r->work.chunk_rows, rows);
  guint64 align = e->from == NULL ? qconv_layer_alignment (r->plan->source->layer, 1) : 1;

  memset (partial.data, 0, partial.size);
  for (guint64 n; first < end; first += n)
    {
      guint64 lead = first % align, load = most;
      Input in;
      Tile tile;

      start_tile (a->arena, device);
      load = MIN (load, (lead + end - first + align - 1) / align * align);
      load = MIN (load, rows - (first - lead));
      n = MIN (load - lead, end - first);
      if (!load_input (r, e, &(Rows) { first - lead, load, a->arena, c->cancellable, device }, r->pass == 0, &in,
                       error))
        return FALSE;
      if (e->from == NULL)
        cut_rows (&in.floats, r->plan->source->layer->pub.cols, lead, n);
      tile = encoder_tile (r, e, r->made, &(Rows) { first, n, a->arena, c->cancellable, device }, &in);
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
      || !qconv_device_bring (rows->device, &floats, error)
      || (r->plan->finite && qconv_dtype_is_number (floats.dtype) && !qconv_floats_check (&floats, NULL, error)))
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

/* Makes and writes the rows of one tile that are not done yet, in tiles of at most @most rows */
static gboolean
run_tile (Attempt *a, guint64 most, DeviceTask *device, GError **error)
{
  Conversion *c = a->conversion;
  const PlannedLayer *l = a->run->plan;
  guint64 all = l->layer->pub.rows, end = MIN (a->first / l->tiling.rows * l->tiling.rows + l->tiling.rows, all);
  gboolean ok = TRUE;

  do
    {
      Rows rows = { a->first, MIN (most, end - MIN (a->first, end)), a->arena, c->cancellable, device };
      Components *made;

      start_tile (a->arena, device);
      made = qconv_components_view (a->run->made, a->arena);
      if (l->how == HOW_ENCODE)
        ok = encode_tile (a->run, a->task, made, &rows, error);
      else if (l->how == HOW_MOVE)
        ok = move_tile (a->run, made, &rows, error);
      else
        ok = plain_tile (c, a->run, made, &rows, error);
      ok = ok && qconv_write_tensors (c->file, l, SCOPE_ROWS, made, &rows, error);
      if (ok)
        a->first += rows.n;
  } while (ok && a->first < end);
  return ok;
}

gboolean
qconv_convert_rows (gpointer data, guint64 most, DeviceTask *device, GError **error)
{
  Attempt *a = data;

  return a->run->phase == PHASE_LAST ? run_tile (a, most, device, error) : run_chunk (a, most, device, error);
}
