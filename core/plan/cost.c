/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How large the tiles of a layer are, and what one takes. */
#include <string.h>

#include "layer/tile.h"
#include "plan/plan.h"

gboolean
qconv_takes_floats (const QconvQuantizer *q, QconvDType dtype)
{
  return dtype == QCONV_F32 || (q->float_dtypes & (1u << dtype)) != 0;
}

const QconvEncoder *
qconv_encoder (const PlannedLayer *l, guint i)
{
  const QconvEncoder *const *e = l->layer->quantizer->encoders;

  for (; *e != NULL; e++)
    if ((*e)->from == NULL || strcmp ((*e)->from, l->source->layer->scheme) == 0)
      if (i-- == 0)
        return *e;
  return NULL;
}

QconvWork
qconv_encoder_work (const PlannedLayer *l, guint i)
{
  const QconvEncoder *e = qconv_encoder (l, i);
  QconvWork work = { 0 };

  if (e->work != NULL)
    e->work (l->layer->quantizer, &l->layer->pub, &work);
  if (e->accumulate == NULL)
    work.partial_size = 0;
  if (work.chunk_rows == 0)
    work.chunk_rows = CHUNK_ROWS (l->layer->pub.cols);
  return work;
}

/* Bytes of @t that @n rows own at most: the last run may be the largest */
static gsize
packed_bytes (const QconvOutput *o, const PlannedTensor *t, guint64 n_rows)
{
  const QconvTensor *tensor = qconv_planned_tensor (o, t);
  guint64 rows = t->layer->layer->pub.rows, first, n, first_last, n_last;
  guint64 align = t->layer->align;

  qconv_planned_share (t, tensor, 0, n_rows, &first, &n);
  if (!qconv_planned_by_rows (t) || n_rows >= rows)
    return arena_round ((gsize) MAX (tensor->n_bytes, 1));
  qconv_planned_share (t, tensor, (rows - 1) / align * align, align, &first_last, &n_last);
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

gboolean
qconv_casts_directly (const PlannedLayer *l)
{
  QconvDType from = l->source->layer->pub.dtype;

  return l->how == HOW_CAST && (qconv_dtype_is_float (from) || from == l->layer->pub.dtype);
}

static gboolean
floats_as_is (const PlannedLayer *l)
{
  return qconv_source_layer_plain (l->source) && qconv_takes_floats (l->layer->quantizer, l->source->layer->pub.dtype);
}

static gsize
encode_cost (const PlannedLayer *l, guint64 n_rows)
{
  gsize most = 0;

  for (guint i = 0; qconv_encoder (l, i) != NULL; i++)
    {
      QconvWork work = qconv_encoder_work (l, i);
      gsize cost = qconv_encoder (l, i)->from != NULL ? qconv_source_cost (l->source, PARTS_ROWS, n_rows)
                                                      : qconv_floats_cost (l->source, n_rows, floats_as_is (l));

      most = MAX (most, cost + work.scratch + work.scratch_per_row * (gsize) n_rows);
    }
  return most;
}

/* Bytes that one tile of @n_rows rows takes, whatever phase */
static gsize
tile_cost (const QconvOutput *o, const PlannedLayer *l, guint64 n_rows)
{
  gsize cost = TILE_SLACK + pack_cost (o, l, n_rows) + qconv_parts_cost (l->layer, PARTS_ROWS, n_rows);

  switch (l->how)
    {
    case HOW_COPY:
      return cost;
    case HOW_CAST:
    case HOW_DECODE:
      return cost + qconv_floats_cost (l->source, n_rows, qconv_casts_directly (l));
    case HOW_MOVE:
      return cost + qconv_source_cost (l->source, PARTS_ROWS, n_rows);
    case HOW_ENCODE:
      return cost + encode_cost (l, n_rows);
    }
  return cost;
}

/* Bytes kept from the first phase to the last */
static gsize
kept_cost (const PlannedLayer *l)
{
  gsize cost = qconv_source_cost (l->source, PARTS_WHOLE, 0) + qconv_parts_cost (l->layer, PARTS_WHOLE, 0) + TILE_SLACK;
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
  l->align = MIN (align, MAX (l->layer->pub.rows, 1));
  return align != 0
         || qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": its runs have no common height", l->layer->name);
}

/* The most rows, in steps of the alignment, that keep a tile within @target; what the reader thinks worth loading where
   that fits @share */
static guint64
fitting_rows (const QconvOutput *o, const PlannedLayer *l, gsize target, gsize share)
{
  guint64 worth = l->source->min_rows / l->align + (l->source->min_rows % l->align != 0);
  guint64 n = MIN (worth * l->align, l->layer->pub.rows);

  if (worth <= 1 || tile_cost (o, l, n) > share)
    n = l->align;
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

/* What comparing one tile of what was written with the source will take, at least: both as floats, the written one
   unpacked by its reader, and the sums of all chunks */
static gsize
verify_cost (const QconvOutput *o, const PlannedLayer *l)
{
  gsize floats = arena_round ((gsize) (l->align * l->layer->pub.cols) * sizeof (float) + 1);
  gsize sums = (gsize) (l->layer->pub.rows / CHUNK_ROWS (l->layer->pub.cols) + 1) * 3 * sizeof (double);

  return 2 * TILE_SLACK + qconv_floats_cost (l->source, l->align, floats_as_is (l)) + 2 * floats
         + qconv_parts_cost (l->layer, PARTS_ROWS, l->align) + pack_cost (o, l, l->align)
         + qconv_source_cost (l->source, PARTS_WHOLE, 0) + qconv_parts_cost (l->layer, PARTS_WHOLE, 0) + sums;
}

static gboolean
check_fits (const QconvOutput *o, const PlannedLayer *l, guint64 memory, gboolean verify, GError **error)
{
  gsize need = l->kept_cost + l->task_cost;

  if (verify && !l->copies && l->layer->quantizer != NULL)
    need = MAX (need, verify_cost (o, l));
  return qconv_cost_check (l->layer->name, need, memory, error);
}

gboolean
qconv_cost_layer (const QconvOutput *o, PlannedLayer *l, guint64 memory, guint n_threads, gboolean verify,
                  GError **error)
{
  gsize share;

  l->kept_cost = l->how == HOW_COPY ? 0 : kept_cost (l);
  share = (gsize) ((memory - MIN (l->kept_cost, memory)) / MAX (n_threads, 1));
  if (l->copies)
    {
      l->task_cost = MAX (MIN (TILE_TARGET, share), ARENA_ALIGN) & ~(gsize) (ARENA_ALIGN - 1);
      return check_fits (o, l, memory, verify, error);
    }
  if (!find_alignment (l, error))
    return FALSE;
  l->tile_rows = fitting_rows (o, l, MIN (TILE_TARGET, share), share);
  l->pass_rows = l->tile_rows;
  l->task_cost = tile_cost (o, l, l->tile_rows);
  return check_fits (o, l, memory, verify, error);
}
