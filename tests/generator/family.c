/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "family.h"

#include <json-glib/json-glib.h>
#include <string.h>

/* What the templates of one model are expanded with */
typedef struct {
  GHashTable *dims; /* name -> gint64 */
  const char *prefix;
  GPtrArray *tensors;
} Expansion;

#define BAD(...) (g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, __VA_ARGS__), FALSE)

static void
free_tensor (gpointer data)
{
  ModelTensor *t = data;

  g_free (t->name);
  g_free (t->op);
  g_free (t);
}

static gint64
dimension (const Expansion *x, const char *name)
{
  gint64 *value = g_hash_table_lookup (x->dims, name);

  return value != NULL ? *value : 0;
}

static void
set_dimension (Expansion *x, const char *name, gint64 value)
{
  g_hash_table_insert (x->dims, g_strdup (name), g_memdup2 (&value, sizeof value));
}

static gint64
evaluate_term (const Expansion *x, const char *text)
{
  g_auto (GStrv) factors = g_strsplit (text, "*", -1);
  gint64 product = 1;

  for (char **f = factors; *f != NULL; f++)
    {
      const char *factor = g_strstrip (*f);

      product *= g_ascii_isdigit (*factor) ? g_ascii_strtoll (factor, NULL, 10) : dimension (x, factor);
    }
  return product;
}

/* Sums and differences of products; no parentheses */
static gint64
evaluate (const Expansion *x, JsonNode *node)
{
  gint64 sum = 0, sign = 1;
  const char *at;

  if (json_node_get_value_type (node) == G_TYPE_INT64)
    return json_node_get_int (node);
  for (at = json_node_get_string (node); *at != '\0';)
    {
      gsize n = strcspn (at, "+-");
      g_autofree char *term = g_strndup (at, n);

      sum += sign * evaluate_term (x, term);
      at += n;
      if (*at != '\0')
        sign = *at++ == '-' ? -1 : 1;
    }
  return sum;
}

/* "a & !b": all named dimensions are, or are not, zero */
static gboolean
holds (const Expansion *x, const char *condition)
{
  g_auto (GStrv) words = g_strsplit (condition, "&", -1);

  for (char **w = words; *w != NULL; w++)
    {
      const char *word = g_strstrip (*w);
      gboolean negated = *word == '!';

      if ((dimension (x, word + negated) != 0) == negated)
        return FALSE;
    }
  return TRUE;
}

static gboolean
add_tensor (Expansion *x, JsonObject *layer, const char *name, GError **error)
{
  JsonArray *shape = json_object_get_array_member (layer, "shape");
  ModelTensor *t = g_new0 (ModelTensor, 1);

  g_ptr_array_add (x->tensors, t);
  t->name = g_strconcat (x->prefix, name, NULL);
  t->op = g_strdup (json_object_get_string_member_with_default (layer, "op", "param"));
  t->rank = json_array_get_length (shape);
  t->n_items = 1;
  if (t->rank > MODEL_MAX_RANK)
    return BAD ("%s: too many dimensions", name);
  for (guint i = 0; i < t->rank; i++)
    {
      gint64 n = evaluate (x, json_array_get_element (shape, i));

      if (n < 0)
        return BAD ("%s: negative dimension", name);
      t->dim[i] = (guint64)n;
      if (!g_uint64_checked_mul (&t->n_items, t->n_items, t->dim[i]))
        return BAD ("%s: too large", name);
    }
  return TRUE;
}

/* The values of index variable @node: a range [lo, hi) or a list of strings */
static GStrv
index_values (const Expansion *x, JsonNode *node)
{
  g_autoptr (GStrvBuilder) values = g_strv_builder_new ();

  if (JSON_NODE_HOLDS_OBJECT (node))
    {
      JsonArray *list = json_object_get_array_member (json_node_get_object (node), "values");

      for (guint i = 0; i < json_array_get_length (list); i++)
        g_strv_builder_add (values, json_array_get_string_element (list, i));
    }
  else
    {
      JsonArray *range = json_node_get_array (node);
      gint64 end = evaluate (x, json_array_get_element (range, 1));

      for (gint64 i = evaluate (x, json_array_get_element (range, 0)); i < end; i++)
        {
          g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, i);

          g_strv_builder_add (values, text);
        }
    }
  return g_strv_builder_end (values);
}

/* One call for each variable that is still in @name */
static gboolean
expand_name (Expansion *x, JsonObject *layer, const char *name, GList *variables, GError **error)
{
  g_autofree char *slot = NULL;
  g_auto (GStrv) values = NULL;

  if (variables == NULL)
    return add_tensor (x, layer, name, error);
  slot = g_strdup_printf ("{%s}", (const char *)variables->data);
  values = index_values (x, json_object_get_member (json_object_get_object_member (layer, "index"), variables->data));
  for (char **v = values; *v != NULL; v++)
    {
      g_autoptr (GString) filled = g_string_new (name);

      g_string_replace (filled, slot, *v, 0);
      if (!expand_name (x, layer, filled->str, variables->next, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
expand_layer (Expansion *x, JsonObject *layer, GError **error)
{
  const char *condition = json_object_get_string_member_with_default (layer, "when", NULL);
  const char *name = json_object_get_string_member_with_default (layer, "name", NULL);
  g_autoptr (GList) variables = NULL;

  if (name == NULL || !json_object_has_member (layer, "shape"))
    return BAD ("a layer without name or shape");
  if (condition != NULL && !holds (x, condition))
    return TRUE;
  if (json_object_has_member (layer, "index"))
    variables = json_object_get_members (json_object_get_object_member (layer, "index"));
  return expand_name (x, layer, name, variables, error);
}

/* @sets as on the command line win over the variant */
static gboolean
load_dimensions (Expansion *x, JsonObject *family, const char *variant, const char *const *sets, GError **error)
{
  JsonObject *variants = json_object_get_object_member (family, "variants"), *dims;
  g_autoptr (GList) names = NULL;

  if (variants == NULL || !json_object_has_member (variants, variant))
    return BAD ("no variant %s", variant);
  dims = json_object_get_object_member (json_object_get_object_member (variants, variant), "dims");
  names = json_object_get_members (dims);
  for (GList *l = names; l != NULL; l = l->next)
    set_dimension (x, l->data, json_object_get_int_member (dims, l->data));
  for (; sets != NULL && *sets != NULL; sets++)
    {
      const char *equals = strchr (*sets, '=');
      g_autofree char *name = equals != NULL ? g_strndup (*sets, (gsize)(equals - *sets)) : NULL;

      if (name == NULL || !g_hash_table_contains (x->dims, name))
        return BAD ("%s sets no dimension of this variant", *sets);
      set_dimension (x, name, g_ascii_strtoll (equals + 1, NULL, 10));
    }
  return TRUE;
}

static char *
architecture_of (JsonObject *family)
{
  JsonArray *list
      = json_object_has_member (family, "gguf_arch") ? json_object_get_array_member (family, "gguf_arch") : NULL;

  if (list != NULL && json_array_get_length (list) > 0)
    return g_strdup (json_array_get_string_element (list, 0));
  return g_strdup (json_object_get_string_member_with_default (family, "family", "unknown"));
}

GPtrArray *
model_expand_family (const char *path, const char *variant, const char *const *sets, const char *prefix,
                     char **architecture, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GHashTable) dims = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GPtrArray) tensors = g_ptr_array_new_with_free_func (free_tensor);
  Expansion x = { dims, prefix, tensors };
  JsonObject *family;
  JsonArray *layers;

  if (!json_parser_load_from_file (parser, path, error))
    return NULL;
  family = json_node_get_object (json_parser_get_root (parser));
  if (!load_dimensions (&x, family, variant, sets, error))
    return NULL;
  layers = json_object_get_array_member (family, "layers");
  for (guint i = 0; i < json_array_get_length (layers); i++)
    if (!expand_layer (&x, json_array_get_object_element (layers, i), error))
      return NULL;
  *architecture = architecture_of (family);
  return g_steal_pointer (&tensors);
}

GPtrArray *
model_plain_layers (guint n, guint64 rows, guint64 cols, const char *prefix)
{
  GPtrArray *tensors = g_ptr_array_new_with_free_func (free_tensor);

  for (guint i = 0; i < n; i++)
    {
      ModelTensor *t = g_new0 (ModelTensor, 1);

      t->name = g_strdup_printf ("%slayers.%u.weight", prefix, i);
      t->op = g_strdup ("linear");
      t->rank = 2;
      t->dim[0] = rows;
      t->dim[1] = cols;
      t->n_items = rows * cols;
      g_ptr_array_add (tensors, t);
    }
  return tensors;
}
