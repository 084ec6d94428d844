/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads composed layers: reads the rows of each part from its claimed layer, stacks the rows and adds deltas.
   load.c calls it. */
#include "layer/load-composed.h"

#include <string.h>

#include "layer/delta.h"
#include "layer/hooks.h"
#include "layer/load-claimed.h"

/**
 * Slice: the rows of one part that some rows of the stack need.
 *
 * @at: the first row of the slice in the stack
 * @from, @n: rows (if transposed: columns) of the source: from, from + stride, …
 * @first, @load: rows [first, first + load) of the source are read; @first begins a run
 */
typedef struct {
  const Part *part;
  const SourceLayer *of;
  guint64 at, from, n, first, load;
} Slice;

static guint64
source_alignment (const SourceLayer *of)
{
  guint64 rows = MAX (of->layer->pub.rows, 1), align = qconv_layer_alignment (of->layer, 1);

  return align == 0 ? rows : MIN (align, rows);
}

/* Returns the most rows of the source that @n rows of a part need in memory */
static guint64
rows_to_load (const SourceLayer *of, const Part *p, guint64 n)
{
  guint64 rows = of->layer->pub.rows, align = source_alignment (of), all;

  n = MIN (n, p->n);
  if (p->transposed || !g_uint64_checked_mul (&all, n, p->stride) || !g_uint64_checked_add (&all, all, 2 * align))
    return rows;
  return MIN (all, rows);
}

/* Sets @slice to the rows of part @i in @rows. Returns FALSE if @rows has none. @start: the first row of the part
   in the stack */
static gboolean
cut_slice (const SourceLayer *s, guint i, guint64 start, const Rows *rows, Slice *slice)
{
  const Part *p = &g_array_index (s->parts, Part, i);
  guint64 low = MAX (rows->first, start), high = MIN (rows->first + rows->n, start + p->n), align, end;

  if (low >= high)
    return FALSE;
  *slice = (Slice) {
    .part = p,
    .of = qconv_composed_source (s, i),
    .at = low,
    .from = p->first + (low - start) * p->stride,
    .n = high - low,
  };
  slice->load = slice->of->layer->pub.rows;
  if (p->transposed)
    return TRUE;
  align = source_alignment (slice->of);
  end = slice->from + (slice->n - 1) * p->stride + 1;
  slice->first = slice->from / align * align;
  slice->load = MIN ((end - slice->first + align - 1) / align * align, slice->load - slice->first);
  return TRUE;
}

/* ---- Costs ---- */

static gsize
layer_cost (const SourceLayer *s)
{
  gsize cost = 0;

  for (guint i = 0; i < s->sources->len; i++)
    cost += qconv_claimed_cost (g_ptr_array_index (s->sources, i), SCOPE_LAYER, 0);
  if (qconv_source_layer_stacked (s))
    cost += qconv_components_cost (s->layer, SCOPE_LAYER, 0);
  return cost + (s->deltas != NULL ? qconv_deltas_kept_cost (s->deltas) : 0);
}

gsize
qconv_composed_cost (const SourceLayer *s, Scope scope, guint64 n_rows)
{
  gsize most = 0;

  if (scope == SCOPE_LAYER)
    return layer_cost (s);
  for (guint i = 0; i < s->parts->len; i++)
    {
      const SourceLayer *of = qconv_composed_source (s, i);
      guint64 n = rows_to_load (of, &g_array_index (s->parts, Part, i), n_rows);

      most = MAX (most, qconv_components_view_cost (of->layer) + qconv_claimed_cost (of, SCOPE_ROWS, n));
    }
  return qconv_components_cost (s->layer, SCOPE_ROWS, n_rows) + most;
}

gsize
qconv_composed_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is)
{
  gsize most = 0, item = qconv_dtype_bits (as_is ? s->layer->pub.dtype : QCONV_F32) / 8;

  for (guint i = 0; i < s->parts->len; i++)
    {
      const SourceLayer *of = qconv_composed_source (s, i);
      guint64 n = rows_to_load (of, &g_array_index (s->parts, Part, i), n_rows);

      most = MAX (most, qconv_components_view_cost (of->layer) + qconv_claimed_floats_cost (of, n, as_is));
    }
  if (s->deltas != NULL)
    most = MAX (most, qconv_deltas_rows_cost (s->deltas, n_rows, s->layer->pub.cols));
  return arena_cost ((gsize) (n_rows * s->layer->pub.cols) * item) + most;
}

/* ---- Components ---- */

/* Lets the quantizer make the layer components that depend on the order of rows */
static gboolean
stack_layer (const SourceLayer *s, const Components *c, const Rows *rows, GError **error)
{
  Rows all = { 0, s->layer->pub.rows, rows->arena, rows->cancellable };
  Tile tile = qconv_tile (s->layer, c, &all);
  g_autofree Tile *sources = g_new (Tile, s->sources->len);
  g_autofree QconvStackPart *parts = g_new (QconvStackPart, s->parts->len);

  for (guint i = 0; i < s->sources->len; i++)
    {
      all.n = c->sources[i]->layer->pub.rows;
      sources[i] = qconv_tile (c->sources[i]->layer, c->sources[i], &all);
    }
  for (guint i = 0; i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);

      parts[i] = (QconvStackPart) { &sources[p->source].pub, p->first, p->stride, p->n };
    }
  return qconv_call_stack (s->layer->quantizer, &tile, parts, s->parts->len, error);
}

/* Loads the layer components of each source and the kept buffers of deltas. Layer components of the composed layer are
   those of the first source, unless stack() makes them; component_stacks() in compose.c has checked this */
static gboolean
load_layer (const SourceLayer *s, Components *c, const Rows *rows, GError **error)
{
  const QconvQuantizer *q = s->layer->quantizer;
  gboolean stacked = qconv_source_layer_stacked (s);

  for (guint i = 0; i < s->sources->len; i++)
    if (!qconv_claimed_load (g_ptr_array_index (s->sources, i), c->sources[i], SCOPE_LAYER, rows, error))
      return FALSE;
  if (stacked && !qconv_components_place (c, SCOPE_LAYER, rows, error))
    return FALSE;
  for (guint i = 0; i < s->layer->pub.n_components && q != NULL; i++)
    {
      const QconvComponent *component = s->layer->pub.components[i];
      gint from = qconv_layer_component_index (&c->sources[0]->layer->pub, component->name);

      if (component->run.rows == 0 && !qconv_composed_makes (s, q, component))
        c->buffers[i] = c->sources[0]->buffers[from];
    }
  if (stacked && !stack_layer (s, c, rows, error))
    return FALSE;
  return s->deltas == NULL || qconv_deltas_keep (s->deltas, c->kept, rows->arena, error);
}

/* Copies the items of component @i that the rows of @slice own. @first: the row of the stack at which the buffer of @c
   starts; @from: the loaded components of the slice's source */
static gboolean
copy_items (const Components *c, guint i, guint64 first, const Slice *slice, const Components *from, GError **error)
{
  const QconvLayer *l = &c->layer->pub, *of = &from->layer->pub;
  gint j = qconv_layer_component_index (of, l->components[i]->name);
  guint64 step = slice->part->stride == 1 ? slice->n : 1;
  gsize bytes = qconv_component_stride (l->components[i]);
  guint64 start, loaded, at, n_at, item, n;

  qconv_component_share (l, l->components[i], first, 1, &start, &n);
  qconv_component_share (of, of->components[j], slice->first, 1, &loaded, &n);
  for (guint64 row = 0; row < slice->n; row += step)
    {
      qconv_component_share (l, l->components[i], slice->at + row, step, &at, &n_at);
      qconv_component_share (of, of->components[j], slice->from + row * slice->part->stride, step, &item, &n);
      if (n != n_at)
        return qconv_fail (error, QCONV_ERROR_BUG, "component %s cannot be stacked", l->components[i]->name);
      memcpy ((guint8 *) c->buffers[i].data + (at - start) * bytes,
              (guint8 *) from->buffers[j].data + (item - loaded) * bytes, n * bytes);
    }
  return TRUE;
}

static gboolean
load_rows (const SourceLayer *s, Components *c, const Rows *rows, GError **error)
{
  const QconvLayer *l = &s->layer->pub;
  guint64 start = 0;

  if (!qconv_components_place (c, SCOPE_ROWS, rows, error))
    return FALSE;
  for (guint i = 0; i < s->parts->len; start += qconv_composed_step (s, i), i++)
    {
      gsize mark = rows->arena->used;
      Slice slice;
      Components *from;

      if (!cut_slice (s, i, start, rows, &slice))
        continue;
      from = qconv_components_view (c->sources[slice.part->source], rows->arena);
      if (!qconv_claimed_load (slice.of, from, SCOPE_ROWS,
                               &(Rows) { slice.first, slice.load, rows->arena, rows->cancellable }, error))
        return FALSE;
      for (guint j = 0; j < l->n_components; j++)
        if (l->components[j]->run.rows > 0 && !copy_items (c, j, rows->first, &slice, from, error))
          return FALSE;
      rows->arena->used = mark;
    }
  return TRUE;
}

gboolean
qconv_composed_load (const SourceLayer *s, Components *c, Scope scope, const Rows *rows, GError **error)
{
  return scope == SCOPE_LAYER ? load_layer (s, c, rows, error) : load_rows (s, c, rows, error);
}

/* ---- Holding ---- */

/* Sets @needed to the rows of source @of that any part takes */
static void
needed_rows (const SourceLayer *s, const SourceLayer *of, Rows *needed)
{
  const Rows all = { .n = s->layer->pub.rows };
  guint64 start = 0, end = 0, first = of->layer->pub.rows;

  for (guint i = 0; i < s->parts->len; start += qconv_composed_step (s, i), i++)
    {
      Slice slice;

      if (qconv_composed_source (s, i) != of || !cut_slice (s, i, start, &all, &slice))
        continue;
      first = MIN (first, slice.first);
      end = MAX (end, slice.first + slice.load);
    }
  needed->first = first;
  needed->n = end - MIN (first, end);
}

gsize
qconv_composed_hold_cost (const SourceLayer *s)
{
  gsize cost = 0;

  for (guint i = 0; i < s->sources->len; i++)
    {
      const SourceLayer *of = g_ptr_array_index (s->sources, i);
      Rows needed;

      needed_rows (s, of, &needed);
      cost += qconv_claimed_cost (of, SCOPE_ROWS, needed.n);
    }
  return cost;
}

gboolean
qconv_composed_hold (const SourceLayer *s, Components *c, const Rows *rows, GError **error)
{
  for (guint i = 0; i < s->sources->len; i++)
    {
      const SourceLayer *of = g_ptr_array_index (s->sources, i);
      Rows needed = { .arena = rows->arena, .cancellable = rows->cancellable };

      needed_rows (s, of, &needed);
      if (!qconv_claimed_hold (of, c->sources[i], &needed, error))
        return FALSE;
    }
  return TRUE;
}

/* ---- Floats ---- */

/* Copies the rows of @slice from @raw to their columns of @to. @raw: rows [first, first + load) of the source */
static void
copy_floats (const SourceLayer *s, const Slice *slice, const QconvBuffer *raw, guint8 *to)
{
  gsize item = qconv_dtype_bits (raw->dtype) / 8, cols = (gsize) s->layer->pub.cols, row_bytes = cols * item;
  const Part *p = slice->part;
  gsize source_cols = (gsize) slice->of->layer->pub.cols, width = p->width > 0 ? (gsize) p->width : source_cols;

  for (guint64 row = 0; row < slice->n; row++)
    {
      guint64 from = slice->from + row * p->stride;

      if (!p->transposed)
        memcpy (to + row * row_bytes + (gsize) p->column * item,
                (guint8 *) raw->data + ((from - slice->first) * source_cols + p->skip) * item, width * item);
      for (gsize col = 0; p->transposed && col < cols; col++)
        memcpy (to + row * row_bytes + col * item, (guint8 *) raw->data + (col * source_cols + from) * item, item);
    }
}

gboolean
qconv_composed_floats_load (const SourceLayer *s, Components *c, const Rows *rows, gboolean as_is, QconvBuffer *floats,
                            GError **error)
{
  QconvDType dtype = as_is ? s->layer->pub.dtype : QCONV_F32;
  gsize row_bytes = (gsize) s->layer->pub.cols * qconv_dtype_bits (dtype) / 8, size = (gsize) rows->n * row_bytes;
  guint64 start = 0;

  *floats = QCONV_BUFFER (arena_take (rows->arena, size), size, dtype);
  if (floats->data == NULL)
    return qconv_components_exhausted (s->layer, error);
  for (guint i = 0; i < s->parts->len; start += qconv_composed_step (s, i), i++)
    {
      gsize mark = rows->arena->used;
      Components *from;
      QconvBuffer raw;
      Slice slice;

      if (!cut_slice (s, i, start, rows, &slice))
        continue;
      from = qconv_components_view (c->sources[slice.part->source], rows->arena);
      if (!qconv_claimed_floats_load (slice.of, from,
                                      &(Rows) { slice.first, slice.load, rows->arena, rows->cancellable, rows->device },
                                      as_is, &raw, error)
          || !qconv_device_bring (rows->device, &raw, error))
        return FALSE;
      copy_floats (s, &slice, &raw, (guint8 *) floats->data + (slice.at - rows->first) * row_bytes);
      rows->arena->used = mark;
    }
  return s->deltas == NULL || qconv_deltas_add (s->deltas, c->kept, rows, floats, error);
}
