/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/load-composed.h"

#include <string.h>

#include "layer/compose.h"
#include "layer/delta.h"

/**
 * Slice: what one part gives to some rows of the stack.
 *
 * @at: the row of the stack where it starts
 * @from, @n: rows of the source: from, from + stride, …
 * @first, @load: the stretch to be read, which starts where runs of the source do
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

/* Rows of the source that have to be in memory for @n rows of a part, at most */
static guint64
rows_to_load (const SourceLayer *of, const Part *p, guint64 n)
{
  guint64 rows = of->layer->pub.rows, align = source_alignment (of), all;

  n = MIN (n, p->n);
  if (p->transposed || !g_uint64_checked_mul (&all, n, p->stride) || !g_uint64_checked_add (&all, all, 2 * align))
    return rows;
  return MIN (all, rows);
}

/* The slice of part @i in rows [first, first + n). @start: the part's first row in the stack. Returns: whether there
   is one */
static gboolean
cut_slice (const SourceLayer *s, guint i, guint64 start, guint64 first, guint64 n, Slice *slice)
{
  const Part *p = &g_array_index (s->parts, Part, i);
  guint64 low = MAX (first, start), high = MIN (first + n, start + p->n), align, end;

  if (low >= high)
    return FALSE;
  *slice = (Slice) {
    .part = p,
    .of = g_ptr_array_index (s->sources, p->source),
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

gsize
qconv_composed_whole_cost (const SourceLayer *s)
{
  gsize cost = 0;

  for (guint i = 0; i < s->sources->len; i++)
    cost += qconv_source_cost (g_ptr_array_index (s->sources, i), PARTS_WHOLE, 0);
  return cost + (s->deltas != NULL ? qconv_deltas_kept_cost (s->deltas) : 0);
}

static gsize
view_cost (const SourceLayer *of)
{
  return arena_round (sizeof (Components)) + arena_round (sizeof (QconvBuffer) * MAX (of->layer->pub.n_components, 1));
}

gsize
qconv_composed_rows_cost (const SourceLayer *s, guint64 n_rows)
{
  gsize most = 0;

  for (guint i = 0; i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      const SourceLayer *of = g_ptr_array_index (s->sources, p->source);

      most = MAX (most, view_cost (of) + qconv_source_cost (of, PARTS_ROWS, rows_to_load (of, p, n_rows)));
    }
  return qconv_parts_cost (s->layer, PARTS_ROWS, n_rows) + most;
}

gsize
qconv_composed_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is)
{
  gsize most = 0;

  for (guint i = 0; i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      const SourceLayer *of = g_ptr_array_index (s->sources, p->source);

      most = MAX (most, view_cost (of) + qconv_floats_cost (of, rows_to_load (of, p, n_rows), as_is));
    }
  if (s->deltas != NULL)
    most = MAX (most, qconv_deltas_rows_cost (s->deltas, n_rows));
  return arena_round (MAX ((gsize) (n_rows * s->layer->pub.cols) * sizeof (float), 1)) + most;
}

/* ---- Loading ---- */

gboolean
qconv_composed_load_whole (const SourceLayer *s, Components *c, Arena *arena, GError **error)
{
  for (guint i = 0; i < s->sources->len; i++)
    if (!qconv_parts_load (g_ptr_array_index (s->sources, i), c->sources[i], PARTS_WHOLE, 0, 0, arena, error))
      return FALSE;
  for (guint i = 0; i < s->layer->pub.n_components && s->layer->quantizer != NULL; i++)
    {
      const QconvComponent *component = s->layer->pub.components[i];
      gint from = qconv_layer_component_index (&c->sources[0]->layer->pub, component->name);

      if (component->run.rows == 0)
        c->buffers[i] = c->sources[0]->buffers[from];
    }
  return s->deltas == NULL || qconv_deltas_keep (s->deltas, c->kept, arena, error);
}

/* The items of component @i that the rows of @slice own; @first: the row of the stack at which the buffer of @c
   starts */
static gboolean
copy_items (const Components *c, guint i, guint64 first, const Slice *slice, const Components *part, GError **error)
{
  const QconvLayer *l = &c->layer->pub, *of = &part->layer->pub;
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
        return qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": component %s cannot be stacked", l->name,
                           l->components[i]->name);
      memcpy ((guint8 *) c->buffers[i].data + (at - start) * bytes,
              (guint8 *) part->buffers[j].data + (item - loaded) * bytes, n * bytes);
    }
  return TRUE;
}

gboolean
qconv_composed_load_rows (const SourceLayer *s, Components *c, guint64 first, guint64 n, Arena *arena, GError **error)
{
  const QconvLayer *l = &s->layer->pub;
  guint64 start = 0;

  if (!qconv_parts_place (c, PARTS_ROWS, first, n, arena, error))
    return FALSE;
  for (guint i = 0; i < s->parts->len; start += g_array_index (s->parts, Part, i).n, i++)
    {
      gsize mark = arena->used;
      Slice slice;
      Components *part;

      if (!cut_slice (s, i, start, first, n, &slice))
        continue;
      part = qconv_components_view (c->sources[slice.part->source], arena);
      if (!qconv_parts_load (slice.of, part, PARTS_ROWS, slice.first, slice.load, arena, error))
        return FALSE;
      for (guint j = 0; j < l->n_components; j++)
        if (l->components[j]->run.rows > 0 && !copy_items (c, j, first, &slice, part, error))
          return FALSE;
      arena->used = mark;
    }
  return TRUE;
}

/* @raw: the rows that @slice wanted loaded; @to: where its first row goes */
static void
copy_floats (const SourceLayer *s, const Slice *slice, const QconvBuffer *raw, guint8 *to)
{
  gsize item = qconv_dtype_bits (raw->dtype) / 8, cols = (gsize) s->layer->pub.cols, row_bytes = cols * item;
  const Part *p = slice->part;
  gsize source_cols = (gsize) slice->of->layer->pub.cols;

  for (guint64 row = 0; row < slice->n; row++)
    {
      guint64 from = slice->from + row * p->stride;

      if (!p->transposed)
        memcpy (to + row * row_bytes, (guint8 *) raw->data + (from - slice->first) * row_bytes, row_bytes);
      for (gsize col = 0; p->transposed && col < cols; col++)
        memcpy (to + row * row_bytes + col * item, (guint8 *) raw->data + (col * source_cols + from) * item, item);
    }
}

gboolean
qconv_composed_load_floats (const SourceLayer *s, Components *c, guint64 first, guint64 n, gboolean as_is, Arena *arena,
                            GCancellable *cancellable, QconvBuffer *floats, GError **error)
{
  QconvDType dtype = as_is ? s->layer->pub.dtype : QCONV_F32;
  gsize row_bytes = (gsize) s->layer->pub.cols * qconv_dtype_bits (dtype) / 8;
  guint64 start = 0;

  *floats = QCONV_BUFFER (arena_take (arena, (gsize) n * row_bytes), (gsize) n * row_bytes, dtype);
  if (floats->data == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\" takes more memory than was planned", s->name);
  for (guint i = 0; i < s->parts->len; start += g_array_index (s->parts, Part, i).n, i++)
    {
      gsize mark = arena->used;
      Components *part;
      QconvBuffer raw;
      Slice slice;

      if (!cut_slice (s, i, start, first, n, &slice))
        continue;
      part = qconv_components_view (c->sources[slice.part->source], arena);
      if (!qconv_floats_load (slice.of, part, slice.first, slice.load, as_is, arena, cancellable, &raw, error))
        return FALSE;
      copy_floats (s, &slice, &raw, (guint8 *) floats->data + (slice.at - first) * row_bytes);
      arena->used = mark;
    }
  return s->deltas == NULL || qconv_deltas_add (s->deltas, c->kept, first, n, floats, arena, error);
}
