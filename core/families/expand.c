/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "families/expand.h"

#include <string.h>

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
evaluate_size (const Dims *dims, JsonNode *expression, guint64 *size, GError **error)
{
  gint64 value;

  if (!qconv_dims_evaluate (dims, expression, &value, error))
    return FALSE;
  if (value < 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "a size below 0");
  *size = (guint64) value;
  return TRUE;
}

static gboolean
evaluate_shape (const Dims *dims, JsonArray *list, QconvShape *shape, GError **error)
{
  guint64 n = 1;

  shape->rank = json_array_get_length (list);
  for (guint i = 0; i < shape->rank; i++)
    {
      if (!evaluate_size (dims, json_array_get_element (list, i), &shape->dim[i], error))
        return FALSE;
      if (!g_uint64_checked_mul (&n, n, shape->dim[i]) || n > G_MAXINT64)
        return qconv_fail (error, QCONV_ERROR_INPUT, "too many items");
    }
  return TRUE;
}

/* Rows of the parts of @layer: they add up to all rows */
static gboolean
evaluate_parts (const Dims *dims, JsonArray *split, GraphTensor *t, GError **error)
{
  guint64 sum = 0;

  if (split == NULL)
    return TRUE;
  t->n_parts = json_array_get_length (split);
  t->part_rows = g_new0 (guint64, t->n_parts);
  for (guint i = 0; i < t->n_parts; i++)
    {
      JsonNode *rows = json_array_get_element (json_array_get_array_element (split, i), 1);

      if (!evaluate_size (dims, rows, &t->part_rows[i], error))
        return FALSE;
      if (!g_uint64_checked_add (&sum, sum, t->part_rows[i]))
        return qconv_fail (error, QCONV_ERROR_INPUT, "too many rows in the parts");
    }
  return (t->shape.rank > 0 && sum == t->shape.dim[0])
         || qconv_fail (error, QCONV_ERROR_INPUT, "the parts have %" G_GUINT64_FORMAT " rows, not %" G_GUINT64_FORMAT,
                        sum, t->shape.rank > 0 ? t->shape.dim[0] : 0);
}

static gboolean
expand_layer (const Dims *dims, JsonObject *layer, GPtrArray *tensors, GError **error)
{
  const char *group = qconv_family_text (layer, "group");
  const char *templates[] = { qconv_family_text (layer, "name"), group, NULL };
  g_autoptr (GPtrArray) names = qconv_dims_fill (dims, qconv_family_object (layer, "index"), templates, error);

  if (names == NULL)
    return FALSE;
  if (names->len > QCONV_GRAPH_MAX_TENSORS - tensors->len)
    return qconv_fail (error, QCONV_ERROR_INPUT, "more than %d tensors", QCONV_GRAPH_MAX_TENSORS);
  for (guint i = 0; i < names->len; i++)
    {
      char **filled = g_ptr_array_index (names, i);
      GraphTensor *t = g_new0 (GraphTensor, 1);

      g_ptr_array_add (tensors, t);
      t->name = g_steal_pointer (&filled[0]);
      t->group = group != NULL ? g_steal_pointer (&filled[1]) : NULL;
      t->op = qconv_family_text (layer, "op");
      t->role = qconv_family_text (layer, "role");
      t->class_ = qconv_family_text (layer, "class");
      t->stream = qconv_family_text (layer, "stream");
      t->layer = layer;
      if (!evaluate_shape (dims, json_object_get_array_member (layer, "shape"), &t->shape, error)
          || !evaluate_parts (dims, qconv_family_list (layer, "split"), t, error))
        return FALSE;
    }
  return TRUE;
}

GPtrArray *
qconv_family_expand (const Family *f, const Dims *dims, GError **error)
{
  g_autoptr (GPtrArray) tensors = g_ptr_array_new_with_free_func (free_tensor);
  JsonArray *layers = qconv_family_list (qconv_family_json (f), "layers");

  for (guint i = 0; layers != NULL && i < json_array_get_length (layers); i++)
    {
      JsonObject *layer = json_array_get_object_element (layers, i);

      if (qconv_dims_hold (dims, qconv_family_text (layer, "when")) && !expand_layer (dims, layer, tensors, error))
        {
          g_prefix_error (error, "%s: %s: ", qconv_family_path (f), qconv_family_text (layer, "name"));
          return NULL;
        }
    }
  return g_steal_pointer (&tensors);
}

static gboolean
has_alias (JsonObject *variant, const char *alias)
{
  JsonArray *aliases = qconv_family_list (variant, "aliases");

  for (guint i = 0; aliases != NULL && i < json_array_get_length (aliases); i++)
    if (strcmp (json_array_get_string_element (aliases, i), alias) == 0)
      return TRUE;
  return FALSE;
}

/* (nullable) */
static JsonObject *
find_variant (const Family *f, const char *name)
{
  JsonObject *variants = qconv_family_object (qconv_family_json (f), "variants");
  g_autoptr (GList) all = variants != NULL ? json_object_get_members (variants) : NULL;

  if (variants == NULL || json_object_has_member (variants, name))
    return variants != NULL ? json_object_get_object_member (variants, name) : NULL;
  for (GList *l = all; l != NULL; l = l->next)
    {
      JsonObject *variant = json_object_get_object_member (variants, l->data);

      if (has_alias (variant, name))
        return variant;
    }
  return NULL;
}

Dims *
qconv_family_variant_dims (const Family *f, const char *variant, GError **error)
{
  JsonObject *found = find_variant (f, variant), *values;
  g_autoptr (GList) names = NULL;
  Dims *dims;

  if (found == NULL)
    {
      qconv_fail (error, QCONV_ERROR_OPTION, "family %s has no variant %s", qconv_family_id (f), variant);
      return NULL;
    }
  dims = qconv_dims_new ();
  values = json_object_get_object_member (found, "dims");
  names = json_object_get_members (values);
  for (GList *l = names; l != NULL; l = l->next)
    qconv_dims_set (dims, l->data, json_object_get_int_member (values, l->data));
  return dims;
}

/* What a name is compared with. @dims: (nullable) */
typedef struct {
  const Dims *dims;
  JsonObject *index;
} Pattern;

static gboolean fits (const Pattern *p, const char *template, const char *name);

/* Whether @range (or any, without dimensions) has the number that @n digits at @name are */
static gboolean
in_range (const Pattern *p, JsonArray *range, const char *name, gsize n)
{
  gint64 low, high, number = g_ascii_strtoll (name, NULL, 10);

  return n > 0 && (n == 1 || *name != '0')
         && (p->dims == NULL
             || (qconv_dims_evaluate (p->dims, json_array_get_element (range, 0), &low, NULL)
                 && qconv_dims_evaluate (p->dims, json_array_get_element (range, 1), &high, NULL) && number >= low
                 && number < high));
}

/* Whether @variable has a value at the start of @name such that @rest fits what follows */
static gboolean
fits_variable (const Pattern *p, const char *variable, const char *rest, const char *name)
{
  JsonNode *node = json_object_get_member (p->index, variable);
  JsonArray *values;

  if (JSON_NODE_HOLDS_ARRAY (node))
    {
      gsize n = strspn (name, "0123456789");

      return in_range (p, json_node_get_array (node), name, n) && fits (p, rest, name + n);
    }
  values = json_object_get_array_member (json_node_get_object (node), "values");
  for (guint i = 0; i < json_array_get_length (values); i++)
    {
      const char *value = json_array_get_string_element (values, i);

      if (g_str_has_prefix (name, value) && fits (p, rest, name + strlen (value)))
        return TRUE;
    }
  return FALSE;
}

static gboolean
fits (const Pattern *p, const char *template, const char *name)
{
  gsize n = p->index != NULL ? strcspn (template, "{") : strlen (template);
  const char *end = template[n] == '{' ? strchr (template + n, '}') : NULL;
  g_autofree char *variable = NULL;

  if (strncmp (template, name, n) != 0)
    return FALSE;
  if (end == NULL)
    return strcmp (template + n, name + n) == 0;
  variable = g_strndup (template + n + 1, (gsize) (end - template) - n - 1);
  return fits_variable (p, variable, end + 1, name + n);
}

gboolean
qconv_template_fits (const char *template, JsonObject *index, const Dims *dims, const char *name)
{
  Pattern p = { dims, index };

  return fits (&p, template, name);
}

static gboolean
makes (JsonObject *layer, const Dims *dims, const char *template, const char *name)
{
  return qconv_template_fits (template, qconv_family_object (layer, "index"), dims, name)
         && (dims == NULL || qconv_dims_hold (dims, qconv_family_text (layer, "when")));
}

JsonObject *
qconv_family_template (const Family *f, const Dims *dims, const char *name)
{
  JsonArray *layers = qconv_family_list (qconv_family_json (f), "layers");
  GPtrArray *templates = qconv_family_templates (f);

  for (guint i = 0; i < templates->len; i++)
    {
      const char *template = g_ptr_array_index (templates, i);

      if (strncmp (template, name, strcspn (template, "{")) == 0
          && makes (json_array_get_object_element (layers, i), dims, template, name))
        return json_array_get_object_element (layers, i);
    }
  return NULL;
}
