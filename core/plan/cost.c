/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts planned layers into tiles that fit the memory, and calculates the memory of a task. The plan calls it for every
   layer. */
#include "plan/cost.h"

#include "layer/hooks.h"
#include "layer/load.h"
#include "layer/tile.h"
#include "plan/encoder.h"

/* Returns the most bytes of @t that @n_rows rows own. Adds the bytes of the last run, because the last run may be
   the largest */
static gsize
packed_bytes (const QconvOutput *o, const PlannedTensor *t, guint64 n_rows)
{
  const QconvTensor *tensor = qconv_planned_tensor (o, t);
  guint64 rows = t->layer->layer->pub.rows, first, n, first_last, n_last;
  guint64 align = t->layer->tiling.align;

  qconv_planned_share (t, tensor->n_bytes, 0, n_rows, &first, &n);
  if (!qconv_planned_by_rows (t) || n_rows >= rows)
    return arena_cost ((gsize) tensor->n_bytes);
  qconv_planned_share (t, tensor->n_bytes, (rows - 1) / align * align, align, &first_last, &n_last);
  return arena_cost ((gsize) MIN (n + n_last, tensor->n_bytes) + 1);
}

static gsize
pack_cost (const QconvOutput *o, const PlannedLayer *l, guint64 n_rows)
{
  gsize cost = 0;

  for (guint i = 0; i < l->tensors->len; i++)
    cost += packed_bytes (o, g_ptr_array_index (l->tensors, i), n_rows);
  return cost;
}

static gsize
encode_cost (const PlannedLayer *l, guint64 n_rows)
{
  gsize most = 0;

  for (guint i = 0; qconv_encoder (l, i) != NULL; i++)
    {
      QconvWork work = qconv_encoder_work (l, i);
      gsize cost = qconv_encoder (l, i)->from != NULL ? qconv_source_cost (l->source, SCOPE_ROWS, n_rows)
                                                      : qconv_floats_cost (l->source, n_rows, qconv_floats_as_is (l));

      most = MAX (most, cost + work.scratch + work.scratch_per_row * (gsize) n_rows
                            + work.scratch_per_thread * l->tiling.n_threads);
    }
  return most;
}

/* Returns the bytes that one tile of @n_rows rows takes in any phase */
static gsize
tile_cost (const QconvOutput *o, const PlannedLayer *l, guint64 n_rows)
{
  gsize cost = TILE_SLACK * l->tiling.n_threads + pack_cost (o, l, n_rows)
               + qconv_components_cost (l->layer, SCOPE_ROWS, n_rows);

  switch (l->how)
    {
    case HOW_COPY:
      return cost;
    case HOW_CAST:
    case HOW_DECODE:
      return cost + qconv_floats_cost (l->source, n_rows, qconv_casts_directly (l));
    case HOW_MOVE:
      return cost + qconv_source_cost (l->source, SCOPE_ROWS, n_rows);
    case HOW_ENCODE:
      return cost + encode_cost (l, n_rows);
    }
  return cost;
}

/* Returns the bytes that the layer keeps from its first phase to its last */
static gsize
kept_cost (const PlannedLayer *l)
{
  gsize cost
      = qconv_source_cost (l->source, SCOPE_LAYER, 0) + qconv_components_cost (l->layer, SCOPE_LAYER, 0) + TILE_SLACK;
  gsize partials = 0;

  if (l->bias != NULL)
    cost += qconv_source_cost (l->bias, SCOPE_LAYER, 0) + qconv_floats_cost (l->bias, l->bias->layer->pub.rows, FALSE);
  for (guint i = 0; l->how == HOW_ENCODE && qconv_encoder (l, i) != NULL; i++)
    {
      QconvWork work = qconv_encoder_work (l, i);
      guint64 n = l->layer->pub.rows / work.chunk_rows + 1;

      partials = MAX (partials, work.partial_size > 0 ? (gsize) n * arena_cost (work.partial_size) : 0);
    }
  return cost + partials;
}

/* Returns whether an encoder of @l takes the whole layer as one tile */
static gboolean
encodes_whole (const PlannedLayer *l)
{
  for (guint i = 0; l->how == HOW_ENCODE && qconv_encoder (l, i) != NULL; i++)
    if (qconv_encoder_work (l, i).whole)
      return TRUE;
  return FALSE;
}

static gboolean
find_alignment (PlannedLayer *l, GError **error)
{
  guint64 align = qconv_layer_alignment (l->source->layer, qconv_layer_alignment (l->layer, 1));

  for (guint i = 0; align != 0 && i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      if (t->pack != NULL && t->run.rows > 0)
        align = qconv_lcm (align, t->run.rows);
    }
  if (encodes_whole (l))
    align = l->layer->pub.rows;
  l->tiling.align = MIN (align, MAX (l->layer->pub.rows, 1));
  return align != 0
         || qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": its runs have no common height", l->layer->name);
}

/* Returns whether an encoder of @l has passes that read rows, so that rows are loaded more than once */
static gboolean
reads_again (const PlannedLayer *l)
{
  for (guint i = 0; l->how == HOW_ENCODE && qconv_encoder (l, i) != NULL; i++)
    {
      QconvWork work = qconv_encoder_work (l, i);

      if (qconv_work_reads (&work))
        return TRUE;
    }
  return FALSE;
}

gboolean
qconv_cost_holds (const SourceLayer *s, gboolean again, gsize whole, gsize least, guint64 memory)
{
  gboolean in_pieces = whole > TILE_TARGET && qconv_source_layer_by_columns (s);
  gsize cost = again || in_pieces ? qconv_hold_cost (s) : 0;

  return cost > 0 && cost <= memory / 2 && least <= memory - cost;
}

/* Decides whether the row components of the source are held, and adds them to what the layer keeps */
static void
hold_source (const QconvOutput *o, PlannedLayer *l, const Limits *limits)
{
  gsize least = l->tiling.kept_cost + tile_cost (o, l, l->tiling.align), whole = tile_cost (o, l, l->layer->pub.rows);

  l->tiling.holds = qconv_cost_holds (l->source, reads_again (l), whole, least, limits->memory);
  if (l->tiling.holds)
    l->tiling.kept_cost += qconv_hold_cost (l->source);
}

/* Returns the rows of a tile. Starts with the reader's minimum, or with one step if rows are held, and halves it until
   such a tile fits @per_thread; doubles while a tile stays within @target */
static guint64
fitting_rows (const QconvOutput *o, const PlannedLayer *l, gsize target, gsize per_thread)
{
  guint64 min_rows = l->tiling.holds ? 1 : l->source->min_rows;
  guint64 worth = min_rows / l->tiling.align + (min_rows % l->tiling.align != 0);
  guint64 n = MIN (worth, l->layer->pub.rows / l->tiling.align + 1) * l->tiling.align;

  while (n > l->tiling.align && tile_cost (o, l, n) > per_thread)
    n = MAX (n / 2 / l->tiling.align, 1) * l->tiling.align;
  while (n < l->layer->pub.rows && tile_cost (o, l, 2 * n) <= target)
    n *= 2;
  return MIN (n, MAX (l->layer->pub.rows, 1));
}

/* Returns the threads that encode() may use on a layer of one tile: as many as can help without displacing another
   such layer from the memory. At any time only threads that have no layer of their own take part */
static guint
helping_threads (const QconvOutput *o, PlannedLayer *l, const Limits *limits)
{
  guint most = CLAMP (limits->n_threads, 1, MAX_THREADS);
  guint64 at_once, rows = l->layer->pub.rows;

  l->tiling.n_threads = 1;
  at_once = CLAMP (limits->memory / (l->tiling.kept_cost + tile_cost (o, l, rows)), 1, most);
  for (l->tiling.n_threads = most; l->tiling.n_threads > 1; l->tiling.n_threads /= 2)
    if (l->tiling.kept_cost + tile_cost (o, l, rows) <= limits->memory / at_once)
      break;
  return l->tiling.n_threads;
}

gboolean
qconv_cost_check (const char *layer, gsize need, guint64 memory, GError **error)
{
  gsize mib = (need >> 20) + 1;

  if (need <= memory)
    return TRUE;
  return qconv_fail (error, QCONV_ERROR_LIMIT,
                     "layer \"%s\" needs %" G_GSIZE_FORMAT " MiB of memory at once: give --memory %" G_GSIZE_FORMAT "M",
                     layer, mib, mib);
}

/* Returns the bytes that the check takes for @n_rows rows: a tile of the source and one of the written layer as floats,
   and the packed bytes of the written tile */
static gsize
check_rows_cost (const QconvOutput *o, const PlannedLayer *l, guint64 n_rows)
{
  gsize items = (gsize) (n_rows * l->layer->pub.cols), floats = arena_cost (items * sizeof (float));
  gsize written = l->layer->quantizer == NULL
                      ? arena_cost (items * qconv_dtype_bits (l->layer->pub.dtype) / 8) + floats
                      : 2 * floats + qconv_components_cost (l->layer, SCOPE_ROWS, n_rows) + pack_cost (o, l, n_rows);

  return TILE_SLACK + qconv_floats_cost (l->source, n_rows, qconv_source_layer_plain_floats (l->source)) + written;
}

/* Returns the bytes that the check keeps for the layer: the layer components of both, and the sums and counts of all
   chunks */
static gsize
check_kept_cost (const PlannedLayer *l)
{
  gsize chunk = 3 * sizeof (double) + qconv_n_findings (l->layer->quantizer) * sizeof (guint64);

  return TILE_SLACK + qconv_source_cost (l->source, SCOPE_LAYER, 0) + qconv_components_cost (l->layer, SCOPE_LAYER, 0)
         + (gsize) (l->layer->pub.rows / CHUNK_ROWS (l->layer->pub.cols) + 1) * chunk;
}

/* Fills the part of the tiling that the check takes. Its tiles grow as those of the conversion do */
static void
cost_check (const QconvOutput *o, PlannedLayer *l, gsize target, guint64 memory)
{
  gsize least = check_rows_cost (o, l, l->tiling.align), all = check_rows_cost (o, l, l->layer->pub.rows);

  l->tiling.check_kept_cost = check_kept_cost (l);
  if (qconv_cost_holds (l->source, FALSE, all, l->tiling.check_kept_cost + least, memory))
    l->tiling.check_kept_cost += qconv_hold_cost (l->source);
  l->tiling.check_task_cost = MAX (least, MIN (all, target));
  l->tiling.check_least = l->tiling.check_kept_cost + least;
}

gboolean
qconv_cost_layer (const QconvOutput *o, PlannedLayer *l, const Limits *limits, gboolean verify, GError **error)
{
  gsize per_thread, target;

  l->tiling.n_threads = 1;
  if (l->how == HOW_ENCODE && !qconv_encoder_check (l, error))
    return FALSE;
  if (!l->copies && !find_alignment (l, error))
    return FALSE;
  l->tiling.kept_cost = l->how == HOW_COPY ? 0 : kept_cost (l);
  if (!l->copies)
    hold_source (o, l, limits);
  per_thread = (gsize) ((limits->memory - MIN (l->tiling.kept_cost, limits->memory)) / MAX (limits->n_threads, 1));
  target = MIN (limits->tile > 0 ? limits->tile : TILE_TARGET, per_thread);
  if (l->copies)
    {
      l->tiling.task_cost = MAX (target, ARENA_ALIGN) & ~(gsize) (ARENA_ALIGN - 1);
      return qconv_cost_check (l->layer->name, l->tiling.kept_cost + l->tiling.task_cost, limits->memory, error);
    }
  l->tiling.rows = fitting_rows (o, l, target, per_thread);
  if (encodes_whole (l))
    l->tiling.n_threads = helping_threads (o, l, limits);
  l->tiling.task_cost = tile_cost (o, l, l->tiling.rows);
  if (verify && qconv_planned_is_weight (l) && qconv_source_layer_has_floats (l->source))
    cost_check (o, l, MIN (TILE_TARGET, per_thread), limits->memory); /* which the processor does */
  return qconv_cost_check (l->layer->name, MAX (l->tiling.kept_cost + l->tiling.task_cost, l->tiling.check_least),
                           limits->memory, error);
}
