/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Composes layers. Finds out whether components can be stacked without decoding. mapping.c and lora.c call it. */
#include "layer/compose.h"

#include <string.h>

#include "base/names.h"
#include "layer/delta.h"
#include "layer/load-claimed.h"
#include "registry/values.h"

/* Limits the bytes of layer components that planning reads and compares: scales and code books */
#define LARGEST_WHOLE ((gsize) 64 << 10)

/* Checks that the source of part @i has its rows and their items */
static gboolean
check_part (const SourceLayer *s, guint i, GError **error)
{
  const Part *p = &g_array_index (s->parts, Part, i);
  const QconvLayer *l = &qconv_composed_source (s, i)->layer->pub;
  guint64 have = p->transposed ? l->cols : l->rows, last, end;

  if (p->n > 0
      && (!g_uint64_checked_mul (&last, p->n - 1, p->stride) || !g_uint64_checked_add (&last, last, p->first)
          || last >= have))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "layer \"%s\": \"%s\" has %" G_GUINT64_FORMAT " rows, which is not enough", s->name, l->name,
                       have);
  return p->width == 0 || (!p->transposed && g_uint64_checked_add (&end, p->skip, p->width) && end <= l->cols)
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                        "layer \"%s\": \"%s\" has %" G_GUINT64_FORMAT " columns, which is not enough", s->name, l->name,
                        l->cols);
}

/* Adds part @i and those to the right of it. @width: set to the length of their rows; @next: to the part below them */
static gboolean
check_band (const SourceLayer *s, guint i, guint64 *width, guint *next, GError **error)
{
  guint64 n = g_array_index (s->parts, Part, i).n;

  *width = 0;
  for (*next = i; *next < s->parts->len && (*next == i || g_array_index (s->parts, Part, *next).column > 0); (*next)++)
    {
      const Part *p = &g_array_index (s->parts, Part, *next);

      if (!check_part (s, *next, error))
        return FALSE;
      if (p->column != *width || p->n != n || !g_uint64_checked_add (width, *width, qconv_composed_width (s, *next)))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                           "layer \"%s\": \"%s\" does not fit beside the part before it", s->name,
                           qconv_composed_source (s, *next)->name);
    }
  return TRUE;
}

/* Checks that all parts have rows of one length and that each source has the rows of its parts. @rows: set to the
   number of all rows */
static gboolean
check_parts (const SourceLayer *s, guint64 *rows, guint64 *cols, GError **error)
{
  *rows = 0;
  for (guint i = 0, next; i < s->parts->len; i = next)
    {
      guint64 width;

      if (!check_band (s, i, &width, &next, error))
        return FALSE;
      if (i > 0 && width != *cols)
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                           "layer \"%s\": \"%s\" has rows of %" G_GUINT64_FORMAT " items, others of %" G_GUINT64_FORMAT,
                           s->name, qconv_composed_source (s, i)->layer->pub.name, width, *cols);
      *cols = width;
      if (!g_uint64_checked_add (rows, *rows, g_array_index (s->parts, Part, i).n))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\" is too large", s->name);
    }
  return TRUE;
}

/* Returns the type of the sources, or F32 if the types differ */
static QconvDType
common_dtype (const SourceLayer *s)
{
  QconvDType dtype = ((const SourceLayer *) g_ptr_array_index (s->sources, 0))->layer->pub.dtype;

  for (guint i = 1; i < s->sources->len; i++)
    if (((const SourceLayer *) g_ptr_array_index (s->sources, i))->layer->pub.dtype != dtype)
      return QCONV_F32;
  return dtype;
}

static gboolean
same_scheme (const SourceLayer *s)
{
  const Layer *first = ((const SourceLayer *) g_ptr_array_index (s->sources, 0))->layer;

  for (guint i = 0; i < s->sources->len; i++)
    {
      const Layer *l = ((const SourceLayer *) g_ptr_array_index (s->sources, i))->layer;

      if (l->quantizer == NULL || l->quantizer != first->quantizer || l->pub.dtype != first->pub.dtype
          || !qconv_values_same_parameters (l->values, first->values))
        return FALSE;
    }
  return TRUE;
}

/* Returns: (transfer full): the bytes of component @c, which belongs to the whole layer @of; NULL if it is too large to
   be read while planning */
static GBytes *
read_whole (const SourceLayer *of, const QconvComponent *c)
{
  return qconv_component_share_bytes (&of->layer->pub, c, 0) <= LARGEST_WHOLE ? qconv_claimed_component (of, c) : NULL;
}

/* Returns whether component @c is equal in all sources. @c belongs to the whole layer */
static gboolean
same_in_all (const SourceLayer *s, const QconvComponent *c)
{
  g_autoptr (GBytes) first = NULL;

  for (guint i = 0; i < s->sources->len; i++)
    {
      const SourceLayer *of = g_ptr_array_index (s->sources, i);
      const QconvComponent *have = qconv_layer_component (&of->layer->pub, c->name);
      g_autoptr (GBytes) bytes = NULL;

      if (have->run.rows > 0 || !qconv_shape_equal (&have->shape, &c->shape))
        return FALSE;
      if (s->sources->len == 1)
        return TRUE;
      bytes = read_whole (of, have);
      if (bytes == NULL || (first != NULL && !g_bytes_equal (first, bytes)))
        return FALSE;
      if (first == NULL)
        first = g_bytes_ref (bytes);
    }
  return TRUE;
}

/* Returns whether the items of row component @c can be stacked: no part cuts a run in two */
static gboolean
runs_stack (const SourceLayer *s, const QconvComponent *c)
{
  for (guint i = 0; i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      gboolean last = i + 1 == s->parts->len && p->first + p->n == qconv_composed_source (s, i)->layer->pub.rows;

      if (p->transposed
          || (c->run.rows > 1 && (p->stride != 1 || p->first % c->run.rows != 0 || (p->n % c->run.rows != 0 && !last))))
        return FALSE;
    }
  return TRUE;
}

/* Returns whether component @c of a layer in scheme @q can be made from the components of the sources. A layer
   component can, if the composed layer equals one source, if stack() makes @c, or if @c holds for any rows and is equal
   in all sources. Any other layer component belongs to the rows in their old order */
static gboolean
component_stacks (const SourceLayer *s, const QconvQuantizer *q, const QconvComponent *c)
{
  guint64 items = 0;
  gboolean any_rows;

  if (c->run.rows > 0)
    return runs_stack (s, c);
  any_rows = (c->flags & QCONV_COMPONENT_ANY_ROWS) != 0 || (qconv_shape_items (&c->shape, &items) && items == 1);
  return qconv_composed_whole (s) || qconv_composed_makes (s, q, c) || (any_rows && same_in_all (s, c));
}

/* Returns: (transfer full): the layer in the scheme of its sources; NULL if the components cannot be stacked */
static Layer *
stack_components (const SourceLayer *s, guint64 rows, guint64 cols)
{
  const Layer *from = ((const SourceLayer *) g_ptr_array_index (s->sources, 0))->layer;
  g_autoptr (Layer) l = NULL;

  if (!qconv_composed_has_rows (s)
      || (qconv_composed_whole (s) ? strcmp (from->scheme, QCONV_PLAIN) == 0 : !same_scheme (s)))
    return NULL;
  l = qconv_layer_new (
      s->name,
      &(Encoding) { from->scheme, from->quantizer, from->values != NULL ? qconv_values_copy (from->values) : NULL },
      from->pub.dtype, rows, cols);
  if (qconv_composed_whole (s) && from->hints != NULL)
    l->hints = g_hash_table_ref (from->hints);
  if (from->quantizer == NULL)
    return g_steal_pointer (&l);
  if (!qconv_layer_ask_components (l, NULL))
    return NULL;
  for (guint i = l->components->len; i-- > 0;)
    {
      const QconvComponent *c = g_ptr_array_index (l->components, i);
      guint have = 0;

      for (guint j = 0; j < s->sources->len; j++)
        have += qconv_layer_component (&((const SourceLayer *) g_ptr_array_index (s->sources, j))->layer->pub, c->name)
                != NULL;
      if (have == 0)
        qconv_layer_drop_component (l, c->name);
      else if (have < s->sources->len || !component_stacks (s, l->quantizer, c))
        return NULL;
    }
  return g_steal_pointer (&l);
}

static void
add_up (SourceLayer *s)
{
  for (guint i = 0; i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      const SourceLayer *of = qconv_composed_source (s, i);
      guint64 rows = MAX (p->transposed ? of->layer->pub.cols : of->layer->pub.rows, 1);

      s->bytes += (guint64) ((double) of->bytes * (double) p->n / (double) rows
                             * (p->width > 0 ? (double) p->width / (double) of->layer->pub.cols : 1.0));
      s->min_rows = MAX (s->min_rows, of->min_rows);
      s->scratch = MAX (s->scratch, of->scratch);
    }
}

void
qconv_part_set_source (Part *part, guint source, const SourceLayer *s)
{
  const QconvLayer *l = &s->layer->pub;
  guint64 items = l->shape.rank > 0 ? l->shape.dim[0] : 1;

  part->source = source;
  if (part->transposed || items == 0 || l->rows <= items)
    return;
  part->first *= l->rows / items;
  part->n *= l->rows / items;
}

SourceLayer *
qconv_compose (const char *plain_name, const QconvShape *shape, GPtrArray *sources, GArray *parts, GError **error)
{
  g_autoptr (SourceLayer) s = g_new0 (SourceLayer, 1);
  guint64 rows = 0, cols = 1, items = 0;

  if (parts->len == 0)
    {
      g_array_unref (parts);
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "tensor \"%s\" would be made of nothing", plain_name);
      return NULL;
    }
  s->plain_name = g_strdup (plain_name);
  s->name = qconv_weight_stem (plain_name);
  s->sources = g_ptr_array_ref (sources);
  s->parts = parts;
  s->layer = qconv_layer_new_plain (plain_name, common_dtype (s), shape);
  s->reader = qconv_composed_source (s, 0)->reader;
  if (!check_parts (s, &rows, &cols, error))
    return NULL;
  if (!qconv_shape_items (shape, &items) || items != rows * cols)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\" would have another shape than its rows make",
                       s->name),
           NULL;
  qconv_layer_set_rows (s->layer, rows, cols);
  add_up (s);
  if (rows > 0 && cols > 0)
    {
      Layer *stacked = stack_components (s, rows, cols);

      if (stacked != NULL)
        {
          stacked->pub.shape = *shape;
          qconv_layer_unref (s->layer);
          s->layer = stacked;
        }
    }
  return g_steal_pointer (&s);
}

static GArray *
all_rows (const SourceLayer *s)
{
  GArray *parts = g_array_new (FALSE, FALSE, sizeof (Part));
  Part all = { .stride = 1, .n = s->layer->pub.rows };

  g_array_append_val (parts, all);
  return parts;
}

/* Returns: (transfer full): the sources of @s, or @s itself if @s is claimed */
static GPtrArray *
claimed_sources (const SourceLayer *s)
{
  GPtrArray *sources;

  if (s->parts != NULL)
    return g_ptr_array_ref (s->sources);
  sources = g_ptr_array_new ();
  g_ptr_array_add (sources, (gpointer) s);
  return sources;
}

SourceLayer *
qconv_compose_renamed (const SourceLayer *s, const char *plain_name, const QconvShape *shape, GError **error)
{
  g_autoptr (GPtrArray) sources = claimed_sources (s);

  return qconv_compose (plain_name, shape, sources, s->parts != NULL ? g_array_ref (s->parts) : all_rows (s), error);
}

/* Returns the type of a sum: BF16 for F8, because F8 cannot hold sums; else the type of @s */
static QconvDType
sum_dtype (const SourceLayer *s)
{
  QconvDType dtype = s->layer->pub.dtype;

  return dtype == QCONV_F8_E4M3 || dtype == QCONV_F8_E5M2 ? QCONV_BF16 : dtype;
}

SourceLayer *
qconv_compose_sum (const SourceLayer *s, GPtrArray *deltas)
{
  SourceLayer *sum = g_new0 (SourceLayer, 1);
  const QconvLayer *l = &s->layer->pub;

  for (guint i = 0; s->deltas != NULL && i < s->deltas->len; i++)
    g_ptr_array_insert (deltas, (gint) i, qconv_delta_copy (g_ptr_array_index (s->deltas, i)));
  sum->plain_name = g_strdup (s->plain_name);
  sum->name = g_strdup (s->name);
  sum->sources = claimed_sources (s);
  sum->parts = s->parts != NULL ? g_array_ref (s->parts) : all_rows (s);
  sum->deltas = deltas;
  sum->reader = s->reader;
  sum->layer = qconv_layer_new_plain (s->plain_name, sum_dtype (s), &l->shape);
  qconv_layer_set_rows (sum->layer, l->rows, l->cols);
  add_up (sum);
  return sum;
}

SourceLayer *
qconv_compose_plus (SourceLayer *s, float number)
{
  g_autoptr (SourceLayer) bare = s;
  GPtrArray *deltas = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_delta_free);

  g_ptr_array_add (deltas, qconv_delta_constant (number, s->layer->pub.rows, s->layer->pub.cols));
  return qconv_compose_sum (bare, deltas);
}
