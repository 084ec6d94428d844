/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expands the templates of a family into tensors, and finds the template of a name. */
#include "families/expand.h"

#include <string.h>

#include "families/template.h"

static void
free_tensor (gpointer data)
{
  GraphTensor *t = data;

  g_free (t->name);
  g_free (t->group);
  g_free (t->part_rows);
  g_free (t);
}

static gboolean
evaluate_size (const Dims *dims, const FamilyExpression *expression, guint64 *size, GError **error)
{
  gint64 value;

  if (!qconv_dims_evaluate (dims, expression, &value, error))
    return FALSE;
  if (value < 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "a size is below 0");
  *size = (guint64) value;
  return TRUE;
}

static gboolean
evaluate_shape (const Dims *dims, const FamilyExpressions *sizes, QconvShape *shape, GError **error)
{
  guint64 n = 1;

  shape->rank = sizes->n;
  for (guint i = 0; i < shape->rank; i++)
    {
      if (!evaluate_size (dims, &sizes->at[i], &shape->dim[i], error))
        return FALSE;
      if (!g_uint64_checked_mul (&n, n, shape->dim[i]) || n > G_MAXINT64)
        return qconv_fail (error, QCONV_ERROR_INPUT, "the shape has too many items");
    }
  return TRUE;
}

/* Sets the rows of the parts of @t. Fails unless they add up to all rows. */
static gboolean
evaluate_parts (const Dims *dims, const FamilyParts *split, GraphTensor *t, GError **error)
{
  guint64 sum = 0;

  if (split->at == NULL)
    return TRUE;
  t->n_parts = split->n;
  t->part_rows = g_new0 (guint64, t->n_parts);
  for (guint i = 0; i < t->n_parts; i++)
    {
      if (!evaluate_size (dims, &split->at[i].rows, &t->part_rows[i], error))
        return FALSE;
      if (!g_uint64_checked_add (&sum, sum, t->part_rows[i]))
        return qconv_fail (error, QCONV_ERROR_INPUT, "the parts of \"split\" have too many rows");
    }
  return (t->shape.rank > 0 && sum == t->shape.dim[0])
         || qconv_fail (error, QCONV_ERROR_INPUT,
                        "the parts of \"split\" have %" G_GUINT64_FORMAT " rows, the tensor has %" G_GUINT64_FORMAT,
                        sum, t->shape.rank > 0 ? t->shape.dim[0] : 0);
}

static gboolean
expand_layer (const Dims *dims, const FamilyLayer *layer, GPtrArray *tensors, GError **error)
{
  const char *templates[] = { layer->name, layer->group, NULL };
  g_autoptr (GPtrArray) names = qconv_dims_fill (dims, &layer->index, templates, error);
  QconvShape shape = QCONV_SHAPE0;

  if (names == NULL)
    return FALSE;
  if (names->len > QCONV_GRAPH_MAX_TENSORS - tensors->len)
    return qconv_fail (error, QCONV_ERROR_INPUT, "the family has more than %d tensors", QCONV_GRAPH_MAX_TENSORS);
  if (names->len > 0 && !evaluate_shape (dims, &layer->shape, &shape, error))
    return FALSE;
  for (guint i = 0; i < names->len; i++)
    {
      char **filled = g_ptr_array_index (names, i);
      GraphTensor *t = g_new0 (GraphTensor, 1);

      g_ptr_array_add (tensors, t);
      t->name = g_steal_pointer (&filled[0]);
      t->group = layer->group != NULL ? g_steal_pointer (&filled[1]) : NULL;
      t->shape = shape;
      t->op = layer->op;
      t->role = layer->role;
      t->class_ = layer->class_;
      t->stream = layer->stream;
      t->layer = layer;
      if (!evaluate_parts (dims, &layer->split, t, error))
        return FALSE;
    }
  return TRUE;
}

GPtrArray *
qconv_family_expand (const Family *f, const Dims *dims, GError **error)
{
  g_autoptr (GPtrArray) tensors = g_ptr_array_new_with_free_func (free_tensor);
  const FamilyLayers *layers = &qconv_family_data (f)->layers;

  for (guint i = 0; i < layers->n; i++)
    {
      const FamilyLayer *layer = &layers->at[i];

      if (qconv_dims_hold (dims, layer->when) && !expand_layer (dims, layer, tensors, error))
        {
          g_prefix_error (error, "%s: %s: ", qconv_family_path (f), layer->name);
          return NULL;
        }
    }
  return g_steal_pointer (&tensors);
}

const FamilyVariant *
qconv_family_variant (const Family *f, const char *name)
{
  const FamilyVariants *variants = &qconv_family_data (f)->variants;

  for (guint i = 0; i < variants->n; i++)
    if (strcmp (variants->at[i].name, name) == 0)
      return &variants->at[i];
  for (guint i = 0; i < variants->n; i++)
    if (variants->at[i].aliases != NULL && g_strv_contains (variants->at[i].aliases, name))
      return &variants->at[i];
  return NULL;
}

Dims *
qconv_family_variant_dims (const Family *f, const char *variant, GError **error)
{
  const FamilyVariant *found = qconv_family_variant (f, variant);
  Dims *dims;

  if (found == NULL)
    {
      qconv_fail (error, QCONV_ERROR_OPTION, "family %s has no variant %s", qconv_family_id (f), variant);
      return NULL;
    }
  dims = qconv_dims_new ();
  for (guint i = 0; i < found->dims.n; i++)
    qconv_dims_set (dims, found->dims.at[i].name, found->dims.at[i].value);
  return dims;
}

const FamilyLayer *
qconv_family_template (const Family *f, const Dims *dims, const char *name)
{
  const FamilyLayers *layers = &qconv_family_data (f)->layers;
  g_autofree char *key = qconv_template_key (name);
  const GArray *likely = g_hash_table_lookup (qconv_family_template_index (f), key);

  for (guint i = 0; likely != NULL && i < likely->len; i++)
    {
      const FamilyLayer *layer = &layers->at[g_array_index (likely, guint, i)];

      if (qconv_template_fits (layer->name, &layer->index, dims, name)
          && (dims == NULL || qconv_dims_hold (dims, layer->when)))
        return layer;
    }
  return NULL;
}
