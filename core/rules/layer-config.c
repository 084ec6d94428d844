/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the user's rules for single layers, and checks that the writer can hold each scheme. The rules call it. */
#include "rules/layer-config.h"

#include <string.h>

#include "base/json-text.h"
#include "base/nearest.h"
#include "registry/values.h"

#define KEEP "keep"

void
qconv_layer_row_free (LayerRow *r)
{
  g_clear_pointer (&r->match, g_regex_unref);
  g_clear_pointer (&r->values, qconv_values_free);
  g_free (r->options);
  g_free (r->rule);
  g_free (r->said);
  g_free (r);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LayerRow, qconv_layer_row_free)

/* Returns a new row. @rule: as plans show it; @said: the user's words, for messages; @options: NULL if there are
   none */
static LayerRow *
new_row (const char *rule, const char *said, const char *options)
{
  LayerRow *row = g_new0 (LayerRow, 1);

  row->rule = g_strdup (rule);
  row->said = g_strdup (said);
  row->options = options != NULL && *options != '\0' ? g_strdup (options) : NULL;
  return row;
}

static gboolean
set_scheme (LayerRow *row, const char *scheme, Schemes *schemes, GError **error)
{
  g_autoptr (GError) broken = NULL;

  row->scheme = qconv_schemes_add (schemes, scheme, row->said, error);
  if (row->scheme == NULL)
    return FALSE;
  row->values = qconv_values_new (row->scheme->quantizer->options);
  return qconv_values_parse (row->values, row->options, &broken)
         || qconv_fail (error, QCONV_ERROR_OPTION, "%s: %s", row->said, broken->message);
}

/* Completes @row, which is (transfer full), and adds it to @rows */
static gboolean
add_row (GPtrArray *rows, LayerRow *row, const char *match, const char *scheme, Schemes *schemes, GError **error)
{
  g_autoptr (LayerRow) own = row;
  g_autoptr (GError) broken = NULL;

  row->match = g_regex_new (match, G_REGEX_DEFAULT, 0, &broken);
  if (row->match == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: %s: %s", row->said, match, broken->message);
  if (strcmp (scheme, KEEP) != 0 && !set_scheme (row, scheme, schemes, error))
    return FALSE;
  if (strcmp (scheme, KEEP) == 0 && row->options != NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: layers that are kept have no options", row->said);
  g_ptr_array_add (rows, g_steal_pointer (&own));
  return TRUE;
}

gboolean
qconv_layer_config_add (GPtrArray *rows, const char *text, Schemes *schemes, GError **error)
{
  const char *colon = strchr (text, ':');
  gsize n = strcspn (text, ",:");
  g_autofree char *said = g_strconcat ("--layers ", text, NULL), *scheme = g_strndup (text, n), *options = NULL;

  if (colon == NULL || colon == text || colon[1] == '\0')
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: not of the form SCHEME[,key=value…]:REGEX", said);
  if (text[n] == ',')
    options = g_strndup (text + n + 1, (gsize) (colon - text) - n - 1);
  return add_row (rows, new_row ("layers", said, options), colon + 1, scheme, schemes, error);
}

/* ---- The file ---- */

static gboolean
bad_row (const char *said, const char *what, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_OPTION, "%s: %s", said, what);
}

static gboolean
is_text (JsonNode *node)
{
  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING;
}

/* Returns: (transfer full): { "key": value } as "key=value,…"; NULL with an error if the JSON is not
   such an object */
static char *
options_text (JsonNode *node, const char *said, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GList) keys = NULL;

  if (node == NULL)
    return g_strdup ("");
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return bad_row (said, "\"options\" is not an object", error), NULL;
  keys = json_object_get_members (json_node_get_object (node));
  for (GList *l = keys; l != NULL; l = l->next)
    {
      JsonNode *value = json_object_get_member (json_node_get_object (node), l->data);
      g_autofree char *number = NULL;
      const char *word;

      if (!JSON_NODE_HOLDS_VALUE (value))
        return bad_row (said, "an option is neither text, number nor boolean", error), NULL;
      number = json_to_string (value, FALSE);
      word = is_text (value)                 ? json_node_get_string (value)
             : strcmp (number, "true") == 0  ? "on"
             : strcmp (number, "false") == 0 ? "off"
                                             : number;
      if (strchr (word, ',') != NULL)
        return bad_row (said, "an option holds a comma", error), NULL;
      g_string_append_printf (text, "%s%s=%s", text->len > 0 ? "," : "", (const char *) l->data, word);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static gboolean
check_keys (JsonObject *row, const char *said, GError **error)
{
  static const char *const known[] = { "match", "scheme", "options", NULL };
  g_autoptr (GList) keys = json_object_get_members (row);

  for (GList *l = keys; l != NULL; l = l->next)
    if (!g_strv_contains (known, l->data))
      {
        g_autofree char *hint = qconv_did_you_mean (l->data, known);

        return qconv_fail (error, QCONV_ERROR_OPTION, "%s: unknown key \"%s\" (the keys are match, scheme, options)%s",
                           said, (const char *) l->data, hint);
      }
  return TRUE;
}

static gboolean
read_row (GPtrArray *rows, const char *path, guint i, JsonNode *node, Schemes *schemes, GError **error)
{
  g_autofree char *said = g_strdup_printf ("%s: row %u", path, i + 1),
                  *rule = g_strdup_printf ("config:%u", rows->len + 1);
  g_autofree char *options = NULL;
  JsonObject *row;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return bad_row (said, "not an object", error);
  row = json_node_get_object (node);
  if (!check_keys (row, said, error))
    return FALSE;
  if (!is_text (json_object_get_member (row, "match")) || !is_text (json_object_get_member (row, "scheme")))
    return bad_row (said, "\"match\" and \"scheme\" must be there and be text", error);
  options = options_text (json_object_get_member (row, "options"), said, error);
  return options != NULL
         && add_row (rows, new_row (rule, said, options), json_object_get_string_member (row, "match"),
                     json_object_get_string_member (row, "scheme"), schemes, error);
}

gboolean
qconv_layer_config_read (GPtrArray *rows, const char *path, Schemes *schemes, GError **error)
{
  g_autoptr (JsonNode) root = qconv_json_text_load (path, QCONV_ERROR_OPTION, error);
  JsonArray *list;

  if (root == NULL)
    return FALSE;
  if (!JSON_NODE_HOLDS_ARRAY (root))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: not a JSON array of { match, scheme, options }", path);
  list = json_node_get_array (root);
  for (guint i = 0; i < json_array_get_length (list); i++)
    if (!read_row (rows, path, i, json_array_get_element (list, i), schemes, error))
      return FALSE;
  return TRUE;
}
