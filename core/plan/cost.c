/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts planned layers into tiles that fit the memory, and calculates the memory of a task. The plan calls it for every
   layer. */
#include "plan/cost.h"

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
    return arena_round ((gsize) MAX (tensor->n_bytes, 1));
  qconv_planned_share (t, tensor->n_bytes, (rows - 1) / align * align, align, &first_last, &n_last);
  return arena_round ((gsize) MIN (n + n_last, tensor->n_bytes) + 1);
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

      most = MAX (most, cost + work.scratch + work.scratch_per_row * (gsize) n_rows);
    }
  return most;
}

/* Returns the bytes that one tile of @n_rows rows takes in any phase */
static gsize
tile_cost (const QconvOutput *o, const PlannedLayer *l, guint64 n_rows)
{
  gsize cost = TILE_SLACK + pack_cost (o, l, n_rows) + qconv_components_cost (l->layer, SCOPE_ROWS, n_rows);

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

  for (guint i = 0; l->how == HOW_ENCODE && qconv_encoder (l, i) != NULL; i++)
    {
      QconvWork work = qconv_encoder_work (l, i);
      guint64 n = l->layer->pub.rows / work.chunk_rows + 1;

      partials = MAX (partials, (gsize) n * work.partial_size);
    }
  return cost + arena_round (partials + 1);
}

static gboolean
find_alignment (PlannedLayer *l, GError **error)
{
  guint64 align = qconv_layer_alignment (l->source->layer, qconv_layer_alignment (l->layer, 1));

  for (guint i = 0; align != 0 && i < l->tensors->len; i++)
    {
      const PlannedTensor *t = g_ptr_array_index (l->tensors, i);

      if (t->planned.pack != NULL && t->planned.run.rows > 0)
        align = qconv_lcm (align, t->planned.run.rows);
    }
  for (guint i = 0; l->how == HOW_ENCODE && qconv_encoder (l, i) != NULL; i++)
    if (qconv_encoder_work (l, i).whole)
      align = l->layer->pub.rows;
  l->tiling.align = MIN (align, MAX (l->layer->pub.rows, 1));
  return align != 0
         || qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": its runs have no common height", l->layer->name);
}

/* Returns the rows of a tile. Starts with the reader's minimum if such a tile fits @per_thread, else with one
   alignment step; doubles while a tile stays within @target */
static guint64
fitting_rows (const QconvOutput *o, const PlannedLayer *l, gsize target, gsize per_thread)
{
  guint64 worth = l->source->min_rows / l->tiling.align + (l->source->min_rows % l->tiling.align != 0);
  guint64 n = MIN (worth * l->tiling.align, l->layer->pub.rows);

  if (worth <= 1 || tile_cost (o, l, n) > per_thread)
    n = l->tiling.align;
  while (n < l->layer->pub.rows && tile_cost (o, l, 2 * n) <= target)
    n *= 2;
  return MIN (n, MAX (l->layer->pub.rows, 1));
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

/* Returns the least bytes that the check of @l will take: one tile of the source and one of the written layer as
   floats, the packed bytes of the written tile, and the sums of all chunks */
static gsize
verify_cost (const QconvOutput *o, const PlannedLayer *l)
{
  guint64 items = l->tiling.align * l->layer->pub.cols;
  gsize floats = arena_round ((gsize) items * sizeof (float) + 1);
  gsize stored = arena_round ((gsize) items * qconv_dtype_bits (l->layer->pub.dtype) / 8 + 1);
  gsize written = l->layer->quantizer == NULL
                      ? stored + floats
                      : 2 * floats + qconv_components_cost (l->layer, SCOPE_ROWS, l->tiling.align)
                            + pack_cost (o, l, l->tiling.align) + qconv_components_cost (l->layer, SCOPE_LAYER, 0);
  gsize sums = (gsize) (l->layer->pub.rows / CHUNK_ROWS (l->layer->pub.cols) + 1) * 3 * sizeof (double);

  return 2 * TILE_SLACK + qconv_floats_cost (l->source, l->tiling.align, qconv_source_layer_plain_floats (l->source))
         + written + qconv_source_cost (l->source, SCOPE_LAYER, 0) + sums;
}

static gboolean
check_fits (const QconvOutput *o, const PlannedLayer *l, const Limits *limits, gboolean verify, GError **error)
{
  gsize need = l->tiling.kept_cost + l->tiling.task_cost;

  if (verify && !l->copies && (l->layer->quantizer != NULL || l->how == HOW_DECODE))
    need = MAX (need, verify_cost (o, l));
  return qconv_cost_check (l->layer->name, need, limits->memory, error);
}

gboolean
qconv_cost_layer (const QconvOutput *o, PlannedLayer *l, const Limits *limits, gboolean verify, GError **error)
{
  gsize per_thread;

  l->tiling.kept_cost = l->how == HOW_COPY ? 0 : kept_cost (l);
  per_thread = (gsize) ((limits->memory - MIN (l->tiling.kept_cost, limits->memory)) / MAX (limits->n_threads, 1));
  if (l->copies)
    {
      l->tiling.task_cost = MAX (MIN (TILE_TARGET, per_thread), ARENA_ALIGN) & ~(gsize) (ARENA_ALIGN - 1);
      return check_fits (o, l, limits, verify, error);
    }
  if (!find_alignment (l, error))
    return FALSE;
  l->tiling.rows = fitting_rows (o, l, MIN (TILE_TARGET, per_thread), per_thread);
  l->tiling.task_cost = tile_cost (o, l, l->tiling.rows);
  return check_fits (o, l, limits, verify, error);
}
