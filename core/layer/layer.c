/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers and their components: asks the quantizer for them, and finds the items that rows own. All of core calls it. */
#include "layer/layer.h"

#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "layer/component-pool.h"
#include "layer/hooks.h"
#include "registry/values.h"

struct _QconvComponents {
  GPtrArray *list; /* QconvComponent */
};

static void
unpool (gpointer component)
{
  qconv_component_unpool (component);
}

static void
show_components (Layer *l)
{
  l->pub.n_components = l->components->len;
  l->pub.components = (const QconvComponent *const *) l->components->pdata;
}

Layer *
qconv_layer_new (const char *name, const Encoding *encoding, QconvDType dtype, guint64 rows, guint64 cols)
{
  Layer *l = g_new0 (Layer, 1);

  g_atomic_ref_count_init (&l->refs);
  l->quantizer = encoding->quantizer;
  l->values = encoding->values;
  l->components = g_ptr_array_new_with_free_func (unpool);
  l->name = g_strdup (name);
  l->scheme = g_strdup (encoding->scheme);
  l->pub = (QconvLayer) {
    .name = l->name,
    .scheme = l->scheme,
    .values = l->values,
    .dtype = dtype,
    .rows = rows,
    .cols = cols,
    .shape = QCONV_SHAPE2 (rows, cols),
    .n_parts = 1,
  };
  l->pub.part_rows = &l->pub.rows;
  return l;
}

Layer *
qconv_layer_new_plain (const char *name, QconvDType dtype, const QconvShape *shape)
{
  guint64 rows = shape->rank > 0 ? shape->dim[0] : 1, items = 1;
  QconvComponent weight = { .name = "weight", .dtype = dtype, .shape = *shape, .run = QCONV_ROWWISE };
  QconvComponents out;
  Layer *l;

  qconv_shape_items (shape, &items);
  l = qconv_layer_new (name, &(Encoding) { .scheme = QCONV_PLAIN }, dtype, rows, rows > 0 ? items / rows : 0);
  l->pub.shape = *shape;
  out.list = l->components;
  qconv_components_add (&out, &weight);
  show_components (l);
  return l;
}

void
qconv_layer_set_rows (Layer *l, guint64 rows, guint64 cols)
{
  QconvComponent weight = *l->pub.components[0];
  QconvComponents out = { l->components };

  l->pub.rows = rows;
  l->pub.cols = cols;
  weight.shape = QCONV_SHAPE2 (rows, cols);
  qconv_components_add (&out, &weight);
  g_ptr_array_remove_index (l->components, 0);
  show_components (l);
}

Layer *
qconv_layer_ref (Layer *l)
{
  g_atomic_ref_count_inc (&l->refs);
  return l;
}

void
qconv_layer_unref (Layer *l)
{
  if (!g_atomic_ref_count_dec (&l->refs))
    return;
  g_clear_pointer (&l->values, qconv_values_free);
  g_clear_pointer (&l->hints, g_hash_table_unref);
  g_clear_pointer (&l->edited, g_hash_table_unref);
  g_ptr_array_unref (l->components);
  g_free (l->name);
  g_free (l->scheme);
  g_free (l);
}

void
qconv_components_add (QconvComponents *out, const QconvComponent *component)
{
  g_return_if_fail (out != NULL && component != NULL);
  g_ptr_array_add (out->list, (gpointer) qconv_component_pooled (component));
}

gboolean
qconv_run_fits (const QconvRun *run, guint64 rows, guint64 n)
{
  guint64 runs = rows / run->rows + (rows % run->rows != 0), before, all;

  return run->n > 0 && (runs == 0 || (g_uint64_checked_mul (&before, runs - 1, run->n) && before < MAX (n, 1)))
         && (!g_uint64_checked_mul (&all, runs + QCONV_MAX_PADDING, run->n) || n <= all);
}

/* Checks what the quantizer states about component @i of @l */
static gboolean
check_component (const Layer *l, guint i, const Hook *hook, GError **error)
{
  const QconvComponent *c = l->pub.components[i];
  const guint32 flags
      = QCONV_COMPONENT_OPTIONAL | QCONV_COMPONENT_SHARED | QCONV_COMPONENT_GIVEN | QCONV_COMPONENT_ANY_ROWS;
  guint64 bytes;

  if (c->name == NULL || *c->name == '\0')
    return qconv_hook_broke (hook, error, "lists a component without a name");
  if (qconv_layer_component_index (&l->pub, c->name) != (gint) i)
    return qconv_hook_broke (hook, error, "lists component %s twice", c->name);
  if ((c->flags & QCONV_COMPONENT_SHARED) != 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "component %s is shared between layers, which is not done yet",
                       c->name);
  if ((guint) c->dtype >= QCONV_N_DTYPES || c->dtype == QCONV_OPAQUE || c->shape.rank > QCONV_MAX_RANK
      || (c->flags & ~flags) != 0)
    return qconv_hook_broke (hook, error, "gives component %s an unknown type, rank or flag", c->name);
  if (!qconv_shape_bytes (&c->shape, c->dtype, &bytes) || bytes > G_MAXSIZE)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "component %s is too large", c->name);
  return c->run.rows == 0 || (c->shape.rank > 0 && qconv_run_fits (&c->run, l->pub.rows, c->shape.dim[0]))
         || qconv_hook_broke (hook, error, "gives component %s runs that do not fit its shape", c->name);
}

gboolean
qconv_layer_ask_components (Layer *l, GError **error)
{
  const Hook hook = { "quantizer", l->quantizer, "components", l->name };
  QconvComponents out = { l->components };

  if (!qconv_call_components (l->quantizer, &l->pub, &out, error))
    return FALSE;
  show_components (l);
  for (guint i = 0; i < l->components->len; i++)
    if (!check_component (l, i, &hook, error))
      return FALSE;
  return TRUE;
}

void
qconv_layer_set_hint (Layer *l, const char *key, const char *value)
{
  l->hints = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert (l->hints, g_strdup (key), g_strdup (value));
}

void
qconv_layer_add_component (Layer *l, const QconvComponent *component)
{
  QconvComponents out = { l->components };

  qconv_components_add (&out, component);
  show_components (l);
}

void
qconv_layer_drop_component (Layer *l, const char *name)
{
  gint i = qconv_layer_component_index (&l->pub, name);

  if (i >= 0)
    g_ptr_array_remove_index (l->components, (guint) i);
  show_components (l);
}

gint
qconv_layer_component_index (const QconvLayer *l, const char *name)
{
  for (guint i = 0; i < l->n_components; i++)
    if (strcmp (l->components[i]->name, name) == 0)
      return (gint) i;
  return -1;
}

const QconvComponent *
qconv_layer_component (const QconvLayer *l, const char *name)
{
  gint i;

  g_return_val_if_fail (l != NULL && name != NULL, NULL);
  i = qconv_layer_component_index (l, name);
  return i >= 0 ? l->components[i] : NULL;
}

const char *
qconv_layer_hint (const QconvLayer *l, const char *key)
{
  const Layer *self = (const Layer *) l;

  g_return_val_if_fail (l != NULL && key != NULL, NULL);
  return self->hints != NULL ? g_hash_table_lookup (self->hints, key) : NULL;
}

gboolean
qconv_layer_hint_edited (const QconvLayer *l, const char *key)
{
  const Layer *self = (const Layer *) l;

  g_return_val_if_fail (l != NULL && key != NULL, FALSE);
  return self->edited != NULL && g_hash_table_contains (self->edited, key);
}

/* Returns the keys of @table, sorted; none if it is NULL */
static const char **
sorted_keys (GHashTable *table)
{
  guint n = 0;
  const char **keys
      = table != NULL ? (const char **) g_hash_table_get_keys_as_array (table, &n) : g_new0 (const char *, 1);

  qsort (keys, n, sizeof *keys, qconv_compare_strings);
  return keys;
}

const char **
qconv_layer_hint_keys (const QconvLayer *l)
{
  g_return_val_if_fail (l != NULL, NULL);
  return sorted_keys (((const Layer *) l)->hints);
}

const char **
qconv_layer_hints_edited (const QconvLayer *l)
{
  g_return_val_if_fail (l != NULL, NULL);
  return sorted_keys (((const Layer *) l)->edited);
}

void
qconv_layer_settle (Layer *l)
{
  if (l->quantizer != NULL && l->quantizer->settle != NULL)
    l->quantizer->settle (l->quantizer, &l->pub, l->values);
}

void
qconv_component_share (const QconvLayer *l, const QconvComponent *c, guint64 first, guint64 n, guint64 *first_item,
                       guint64 *n_items)
{
  guint64 all = c->shape.rank > 0 ? c->shape.dim[0] : 1;

  if (c->run.rows == 0)
    {
      *first_item = 0;
      *n_items = all;
      return;
    }
  *first_item = first / c->run.rows * c->run.n;
  if (first + n >= l->rows)
    *n_items = all - MIN (all, *first_item);
  else
    *n_items = n / c->run.rows * c->run.n;
}

gsize
qconv_component_stride (const QconvComponent *c)
{
  QconvShape item = { 0, { 0 } };
  guint64 bytes = 0;

  for (guint i = 1; i < c->shape.rank; i++)
    item.dim[item.rank++] = c->shape.dim[i];
  qconv_shape_bytes (&item, c->dtype, &bytes);
  return (gsize) bytes;
}

gsize
qconv_component_share_bytes (const QconvLayer *l, const QconvComponent *c, guint64 n_rows)
{
  guint64 all = c->shape.rank > 0 ? c->shape.dim[0] : 1, items = all;

  if (c->run.rows > 0 && n_rows < l->rows)
    {
      guint64 runs = l->rows / c->run.rows + (l->rows % c->run.rows != 0);
      guint64 last = all - (runs - 1) * c->run.n; /* the last run may be the largest, because of padding */

      items = (n_rows / c->run.rows + (n_rows % c->run.rows != 0)) * c->run.n;
      items = MIN (all, items + (last > c->run.n ? last - c->run.n : 0));
    }
  return (gsize) items * qconv_component_stride (c);
}

guint64
qconv_lcm (guint64 a, guint64 b)
{
  guint64 x = a, y = b, lcm;

  while (y != 0)
    {
      guint64 rest = x % y;

      x = y;
      y = rest;
    }
  return x == 0 || __builtin_mul_overflow (a / x, b, &lcm) ? 0 : lcm;
}

guint64
qconv_layer_alignment (const Layer *l, guint64 align)
{
  for (guint i = 0; align != 0 && i < l->pub.n_components; i++)
    if (l->pub.components[i]->run.rows > 0)
      align = qconv_lcm (align, l->pub.components[i]->run.rows);
  return align;
}
