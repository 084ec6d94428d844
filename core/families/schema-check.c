/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "families/schema-check.h"

#include <string.h>

#include "qconv-types.h"

/* A model's largest size and number of tensors are far below; what is derived from them stays small */
enum { MAX_LENGTH = 4096, MAX_ITEMS = 4096 };
static const gint64 max_size = G_GINT64_CONSTANT (1) << 40;

gboolean
qconv_schema_fail (SchemaCheck *c, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_free (c->reason);
  c->reason = g_strdup_vprintf (format, args);
  va_end (args);
  return FALSE;
}

static gboolean
is_value (JsonNode *node, GType type)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type;
}

static gboolean
check_named (SchemaCheck *c, const char *name, JsonNode *node, SchemaFunc check, const SchemaMember *of)
{
  gsize length = c->path->len;

  if (length > 0)
    g_string_append_c (c->path, '.');
  g_string_append (c->path, name);
  if (!check (c, node, of))
    return FALSE;
  g_string_truncate (c->path, length);
  return TRUE;
}

gboolean
qconv_schema_list (SchemaCheck *c, JsonNode *node, SchemaFunc check, const SchemaMember *of)
{
  gsize length = c->path->len;
  JsonArray *list;

  if (!JSON_NODE_HOLDS_ARRAY (node))
    return qconv_schema_fail (c, "not a list");
  list = json_node_get_array (node);
  if (json_array_get_length (list) > MAX_ITEMS)
    return qconv_schema_fail (c, "more than %d items", MAX_ITEMS);
  for (guint i = 0; i < json_array_get_length (list); i++)
    {
      g_string_append_printf (c->path, "[%u]", i);
      if (!check (c, json_array_get_element (list, i), of))
        return FALSE;
      g_string_truncate (c->path, length);
    }
  return TRUE;
}

/* Each value of an object with free names */
static gboolean
check_map (SchemaCheck *c, JsonNode *node, SchemaFunc check, const SchemaMember *of)
{
  g_autoptr (GList) names = NULL;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return qconv_schema_fail (c, "not an object");
  names = json_object_get_members (json_node_get_object (node));
  for (GList *l = names; l != NULL; l = l->next)
    if (!check_named (c, l->data, json_object_get_member (json_node_get_object (node), l->data), check, of))
      return FALSE;
  return TRUE;
}

/* A list of @n items */
static gboolean
check_tuple (SchemaCheck *c, JsonNode *node, guint n)
{
  return (JSON_NODE_HOLDS_ARRAY (node) && json_array_get_length (json_node_get_array (node)) == n)
         || qconv_schema_fail (c, "not a list of %u", n);
}

static const SchemaMember *
find_member (const SchemaMember *of, const char *name)
{
  for (; of->name != NULL; of++)
    if (strcmp (of->name, name) == 0)
      return of;
  return NULL;
}

gboolean
qconv_schema_object (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  g_autoptr (GList) names = NULL;
  JsonObject *o;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return qconv_schema_fail (c, "not an object");
  o = json_node_get_object (node);
  names = json_object_get_members (o);
  for (GList *l = names; l != NULL; l = l->next)
    {
      const SchemaMember *m = find_member (of, l->data);

      if (m == NULL)
        return qconv_schema_fail (c, "unknown member \"%s\"", (const char *) l->data);
      if (!check_named (c, m->name, json_object_get_member (o, m->name), m->check, m->of))
        return FALSE;
    }
  for (; of->name != NULL; of++)
    if (of->required && !json_object_has_member (o, of->name))
      return qconv_schema_fail (c, "member \"%s\" is missing", of->name);
  return TRUE;
}

gboolean
qconv_schema_objects (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, qconv_schema_object, of);
}

gboolean
qconv_schema_map (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_map (c, node, qconv_schema_object, of);
}

gboolean
qconv_schema_anything (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return TRUE;
}

gboolean
qconv_schema_text (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  if (!is_value (node, G_TYPE_STRING))
    return qconv_schema_fail (c, "not text");
  return strlen (json_node_get_string (node)) <= MAX_LENGTH
         || qconv_schema_fail (c, "longer than %d bytes", MAX_LENGTH);
}

gboolean
qconv_schema_texts (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, qconv_schema_text, NULL);
}

gboolean
qconv_schema_text_lists (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, qconv_schema_texts, NULL);
}

gboolean
qconv_schema_text_or_texts (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return JSON_NODE_HOLDS_ARRAY (node) ? qconv_schema_texts (c, node, of) : qconv_schema_text (c, node, of);
}

gboolean
qconv_schema_text_map (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_map (c, node, qconv_schema_text, NULL);
}

static gboolean
check_pair (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_tuple (c, node, 2) && qconv_schema_texts (c, node, NULL);
}

gboolean
qconv_schema_pairs (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, check_pair, NULL);
}

static gboolean
check_range (SchemaCheck *c, JsonNode *node, gint64 min, gint64 max)
{
  if (!is_value (node, G_TYPE_INT64))
    return qconv_schema_fail (c, "not an integer");
  return (json_node_get_int (node) >= min && json_node_get_int (node) <= max) || qconv_schema_fail (c, "out of range");
}

gboolean
qconv_schema_integer (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_range (c, node, -max_size, max_size);
}

gboolean
qconv_schema_count (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_range (c, node, 0, max_size);
}

gboolean
qconv_schema_divisor (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_range (c, node, 1, max_size);
}

gboolean
qconv_schema_truth (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return is_value (node, G_TYPE_BOOLEAN) || qconv_schema_fail (c, "neither true nor false");
}

gboolean
qconv_schema_regex (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  g_autoptr (GError) broken = NULL;
  const char *pattern;
  GRegex *regex;

  if (!qconv_schema_text (c, node, NULL))
    return FALSE;
  pattern = json_node_get_string (node);
  if (g_hash_table_contains (c->regexes, pattern))
    return TRUE;
  regex = g_regex_new (pattern, 0, 0, &broken);
  if (regex == NULL)
    return qconv_schema_fail (c, "%s", broken->message);
  g_hash_table_insert (c->regexes, (gpointer) pattern, regex);
  return TRUE;
}

gboolean
qconv_schema_regexes (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, qconv_schema_regex, NULL);
}

gboolean
qconv_schema_regex_map (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_map (c, node, qconv_schema_regexes, NULL);
}

gboolean
qconv_schema_dimension (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_text (c, node, NULL)
         && (qconv_dims_known (c->dims, json_node_get_string (node)) || qconv_schema_fail (c, "unknown dimension"));
}

gboolean
qconv_schema_sizes (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  g_autoptr (GList) names = NULL;

  if (!check_map (c, node, qconv_schema_count, NULL))
    return FALSE;
  names = json_object_get_members (json_node_get_object (node));
  for (GList *l = names; l != NULL; l = l->next)
    if (!qconv_dims_known (c->dims, l->data))
      return qconv_schema_fail (c, "unknown dimension \"%s\"", (const char *) l->data);
  return TRUE;
}

gboolean
qconv_schema_expression (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  g_autoptr (GError) broken = NULL;

  return qconv_dims_check (c->dims, node, &broken) || qconv_schema_fail (c, "%s", broken->message);
}

gboolean
qconv_schema_expressions (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, qconv_schema_expression, NULL);
}

gboolean
qconv_schema_shape (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_expressions (c, node, NULL)
         && (json_array_get_length (json_node_get_array (node)) <= QCONV_MAX_RANK
             || qconv_schema_fail (c, "more than %d dimensions", QCONV_MAX_RANK));
}

static gboolean
check_part (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_tuple (c, node, 2) && qconv_schema_text (c, json_array_get_element (json_node_get_array (node), 0), NULL)
         && qconv_schema_expression (c, json_array_get_element (json_node_get_array (node), 1), NULL);
}

gboolean
qconv_schema_parts (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, check_part, NULL);
}

gboolean
qconv_schema_condition (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  g_autoptr (GError) broken = NULL;

  return qconv_schema_text (c, node, NULL)
         && (qconv_dims_check_condition (c->dims, json_node_get_string (node), &broken)
             || qconv_schema_fail (c, "%s", broken->message));
}

static gboolean
check_index_values (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  static const SchemaMember members[] = { { "values", qconv_schema_texts, TRUE, NULL }, { .name = NULL } };

  if (JSON_NODE_HOLDS_ARRAY (node))
    return check_tuple (c, node, 2) && qconv_schema_expressions (c, node, NULL);
  return qconv_schema_object (c, node, members);
}

gboolean
qconv_schema_index (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_map (c, node, check_index_values, NULL);
}

static gboolean
check_place (SchemaCheck *c, JsonNode *node, SchemaFunc what)
{
  return check_tuple (c, node, 2) && what (c, json_array_get_element (json_node_get_array (node), 0), NULL)
         && check_range (c, json_array_get_element (json_node_get_array (node), 1), 0, QCONV_MAX_RANK - 1);
}

gboolean
qconv_schema_place (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_place (c, node, qconv_schema_text);
}

gboolean
qconv_schema_regex_place (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_place (c, node, qconv_schema_regex);
}
