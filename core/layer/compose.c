/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/compose.h"

#include <string.h>

#include "layer/tile.h"
#include "registry/values.h"

/* Bytes of small components that are compared while planning: scales and code books */
#define LARGEST_WHOLE ((gsize) 64 << 10)

static const SourceLayer *
source_of (const SourceLayer *s, const Part *p)
{
  return g_ptr_array_index (s->sources, p->source);
}

gboolean
qconv_composed_whole (const SourceLayer *s)
{
  const Part *p = &g_array_index (s->parts, Part, 0);

  return s->parts->len == 1 && p->first == 0 && !p->transposed
         && (p->n == source_of (s, p)->layer->pub.rows && (p->stride == 1 || p->n <= 1));
}

/* Whether the rows are in their layer; *rows: how many there are in all */
static gboolean
check_parts (const SourceLayer *s, guint64 *rows, guint64 *cols, GError **error)
{
  *rows = 0;
  for (guint i = 0; i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      const QconvLayer *l = &source_of (s, p)->layer->pub;
      guint64 have = p->transposed ? l->cols : l->rows, width = p->transposed ? l->rows : l->cols, last;

      if (i > 0 && width != *cols)
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                           "layer \"%s\": \"%s\" has rows of %" G_GUINT64_FORMAT " items, others of %" G_GUINT64_FORMAT,
                           s->name, l->name, width, *cols);
      *cols = width;
      if (p->n > 0
          && (!g_uint64_checked_mul (&last, p->n - 1, p->stride) || !g_uint64_checked_add (&last, last, p->first)
              || last >= have))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                           "layer \"%s\": \"%s\" has %" G_GUINT64_FORMAT " rows, which is not enough", s->name, l->name,
                           have);
      if (!g_uint64_checked_add (rows, *rows, p->n))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "layer \"%s\" is too large", s->name);
    }
  return TRUE;
}

/* The narrowest type that holds what all sources hold */
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

/* Returns: (transfer full) (nullable): the bytes of a whole-layer component of @of; NULL where it is not worth
   reading */
static GBytes *
read_whole (const SourceLayer *of, const char *name)
{
  gint i = qconv_layer_component_index (&of->layer->pub, name);
  Arena arena = { .size = qconv_parts_cost (of->layer, PARTS_WHOLE, 0) };
  g_autoptr (Components) c = qconv_components_new (of->layer);
  g_autofree guint8 *memory = NULL;

  if (i < 0 || of->layer->pub.components[i]->run.rows > 0 || arena.size > LARGEST_WHOLE)
    return NULL;
  arena.base = memory = g_malloc (arena.size);
  return qconv_parts_load (of, c, PARTS_WHOLE, 0, 0, &arena, NULL)
             ? g_bytes_new (c->buffers[i].data, c->buffers[i].size)
             : NULL;
}

/* Whether all sources have the same numbers in a component of the whole layer, which says nothing of single rows */
static gboolean
same_in_all (const SourceLayer *s, const QconvComponent *c)
{
  g_autoptr (GBytes) first = NULL;

  for (guint i = 0; i < s->sources->len; i++)
    {
      const SourceLayer *of = g_ptr_array_index (s->sources, i);
      const QconvComponent *have = qconv_layer_component (&of->layer->pub, c->name);
      g_autoptr (GBytes) bytes = qconv_shape_equal (&have->shape, &c->shape) ? read_whole (of, c->name) : NULL;

      if (bytes == NULL || (first != NULL && !g_bytes_equal (first, bytes)))
        return FALSE;
      if (first == NULL)
        first = g_bytes_ref (bytes);
    }
  return TRUE;
}

/* Runs of rows are stacked only where no part cuts one; what is for the whole layer only where the layer is one other,
   whole, where it is one number of one other, or where it is the same in all */
static gboolean
component_stacks (const SourceLayer *s, const QconvComponent *c)
{
  guint64 items = 0;

  if (c->run.rows == 0)
    return qconv_composed_whole (s) || (s->sources->len == 1 && qconv_shape_items (&c->shape, &items) && items == 1)
           || same_in_all (s, c);
  for (guint i = 0; i < s->parts->len; i++)
    {
      const Part *p = &g_array_index (s->parts, Part, i);
      gboolean last = i + 1 == s->parts->len && p->first + p->n == source_of (s, p)->layer->pub.rows;

      if (p->transposed
          || (c->run.rows > 1 && (p->stride != 1 || p->first % c->run.rows != 0 || (p->n % c->run.rows != 0 && !last))))
        return FALSE;
    }
  return TRUE;
}

/* Returns: (nullable): the layer with the components that its sources have; NULL where these cannot be stacked */
static Layer *
stack_components (const SourceLayer *s, guint64 rows, guint64 cols)
{
  const Layer *from = ((const SourceLayer *) g_ptr_array_index (s->sources, 0))->layer;
  g_autoptr (Layer) l = NULL;

  if (qconv_composed_whole (s) ? strcmp (from->scheme, QCONV_PLAIN) == 0 : !same_scheme (s))
    return NULL;
  l = qconv_layer_new (s->name, from->scheme, from->quantizer,
                       from->values != NULL ? qconv_values_copy (from->values) : NULL, from->pub.dtype, rows, cols);
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
      else if (have < s->sources->len || !component_stacks (s, c))
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
      const SourceLayer *of = source_of (s, p);
      guint64 rows = MAX (p->transposed ? of->layer->pub.cols : of->layer->pub.rows, 1);

      s->bytes += (guint64) ((double) of->bytes * (double) p->n / (double) rows);
      s->min_rows = MAX (s->min_rows, of->min_rows);
      s->scratch = MAX (s->scratch, of->scratch);
    }
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
  s->name = g_strdup (plain_name);
  if (g_str_has_suffix (plain_name, ".weight"))
    s->name[strlen (plain_name) - strlen (".weight")] = '\0';
  s->sources = g_ptr_array_ref (sources);
  s->parts = parts;
  s->layer = qconv_layer_new_plain (plain_name, common_dtype (s), shape);
  s->reader = source_of (s, &g_array_index (parts, Part, 0))->reader;
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
          qconv_layer_free (s->layer);
          s->layer = stacked;
        }
    }
  return g_steal_pointer (&s);
}

/* Codes of eight bits cannot hold sums of their kind */
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
  Part all = { .stride = 1, .n = l->rows };

  sum->plain_name = g_strdup (s->plain_name);
  sum->name = g_strdup (s->name);
  sum->sources = s->parts != NULL ? g_ptr_array_ref (s->sources) : g_ptr_array_new ();
  sum->parts = s->parts != NULL ? g_array_ref (s->parts) : g_array_new (FALSE, FALSE, sizeof (Part));
  sum->deltas = deltas;
  if (s->parts == NULL)
    {
      g_ptr_array_add (sum->sources, (gpointer) s);
      g_array_append_val (sum->parts, all);
    }
  sum->reader = s->reader;
  sum->layer = qconv_layer_new_plain (s->plain_name, sum_dtype (s), &l->shape);
  qconv_layer_set_rows (sum->layer, l->rows, l->cols);
  add_up (sum);
  return sum;
}
