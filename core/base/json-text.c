/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Refuses JSON that would crash json-glib, and parses the rest. Everything that parses files of users calls it. */
#include "base/json-text.h"

#include <string.h>

#include "base/small-file.h"
#include "qconv-types.h"

enum { MAX_DEPTH = 24, MAX_BYTES = 16 << 20 };

guint
qconv_json_text_depth (const char *text, gsize n)
{
  gboolean quoted = FALSE;
  guint depth = 0, most = 0;

  for (gsize i = 0; i < n; i++)
    if (quoted)
      {
        quoted = text[i] != '"';
        i += text[i] == '\\';
      }
    else if (text[i] == '"')
      quoted = TRUE;
    else if (text[i] == '[' || text[i] == '{')
      {
        depth++;
        most = MAX (most, depth);
      }
    else if (text[i] == ']' || text[i] == '}')
      depth -= depth > 0;
  return most;
}

/* Returns TRUE for white space and the marks that stand between values, or in numbers */
static gboolean
is_mark (char c)
{
  switch (c)
    {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
    case ':':
    case ',':
    case '+':
    case '-':
    case '.':
    case '[':
    case ']':
    case '{':
    case '}':
      return TRUE;
    default:
      return FALSE;
    }
}

/* Fails if json-glib must not parse @text: it recurses into nested values without end and accepts comments */
static gboolean
check_text (const char *text, gsize n, GError **error)
{
  gboolean quoted = FALSE;

  if (!g_utf8_validate (text, (gssize) n, NULL))
    return qconv_fail (error, QCONV_ERROR_INPUT, "not UTF-8");
  for (gsize i = 0; i < n; i++)
    if (quoted)
      {
        quoted = text[i] != '"';
        i += text[i] == '\\';
      }
    else if (text[i] == '"')
      quoted = TRUE;
    else if (!g_ascii_isalnum (text[i]) && !is_mark (text[i]))
      return qconv_fail (error, QCONV_ERROR_INPUT, "not JSON");
  return qconv_json_text_depth (text, n) <= MAX_DEPTH || qconv_fail (error, QCONV_ERROR_INPUT, "nested too deeply");
}

JsonNode *
qconv_json_text_parse (const char *text, gsize n, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GError) broken = NULL;
  JsonNode *root;

  if (!check_text (text, n, error))
    return NULL;
  if (json_parser_load_from_data (parser, text, (gssize) n, &broken))
    {
      root = json_parser_steal_root (parser);
      return root != NULL ? root : json_node_new (JSON_NODE_NULL);
    }
  qconv_fail (error, QCONV_ERROR_INPUT, "%s", broken->message);
  return NULL;
}

JsonNode *
qconv_json_text_load (const char *path, QconvError code, GError **error)
{
  gsize n;
  g_autoptr (GError) local = NULL;
  g_autofree char *text = qconv_small_file_read (path, MAX_BYTES, &n, &local);
  JsonNode *node = text != NULL ? qconv_json_text_parse (text, n, &local) : NULL;

  if (node == NULL && local->domain == QCONV_ERROR)
    qconv_fail (error, code, "%s: %s", path, local->message);
  else if (node == NULL)
    g_propagate_error (error, g_steal_pointer (&local));
  return node;
}

gboolean
qconv_json_is_true (JsonObject *o, const char *member)
{
  JsonNode *node = json_object_get_member (o, member);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_BOOLEAN
         && json_node_get_boolean (node);
}
