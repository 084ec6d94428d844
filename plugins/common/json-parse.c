/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fills json-glib's tree from our scanner. json-glib's own parser accepts duplicates, NUL and octal numbers, and
   overflows the stack on deep nesting. */
#include "json-parse.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "json-scan.h"

/**
 * Tree: the tree while it grows.
 *
 * @nodes: the open objects and arrays, outermost first
 * @keys: for each of them the key of the member that is being read; NULL in arrays
 */
typedef struct {
  JsonNode *root;
  JsonNode *nodes[QCONV_JSON_MAX_DEPTH];
  char *keys[QCONV_JSON_MAX_DEPTH];
} Tree;

static void
clear_tree (Tree *t)
{
  g_clear_pointer (&t->root, json_node_unref);
  for (guint i = 0; i < QCONV_JSON_MAX_DEPTH; i++)
    g_free (t->keys[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Tree, clear_tree)

static JsonNode *
node_for_number (const QconvJsonScan *s, GError **error)
{
  const char *text = s->string->str;
  gboolean real = strpbrk (text, ".eE") != NULL;
  double number = g_ascii_strtod (text, NULL);
  gint64 integer;

  errno = 0;
  integer = g_ascii_strtoll (text, NULL, 10);
  if (real ? !isfinite (number) : errno == ERANGE)
    {
      qconv_json_scan_fail (s, error, "number out of range");
      return NULL;
    }
  return real ? json_node_init_double (json_node_alloc (), number) : json_node_init_int (json_node_alloc (), integer);
}

/* Returns: (transfer full) */
static JsonNode *
node_for_token (const QconvJsonScan *s, QconvJsonToken token, GError **error)
{
  g_autoptr (JsonObject) object = NULL;
  g_autoptr (JsonArray) array = NULL;

  switch (token)
    {
    case QCONV_JSON_OBJECT:
      object = json_object_new ();
      return json_node_init_object (json_node_alloc (), object);
    case QCONV_JSON_ARRAY:
      array = json_array_new ();
      return json_node_init_array (json_node_alloc (), array);
    case QCONV_JSON_NUMBER:
      return node_for_number (s, error);
    case QCONV_JSON_STRING:
      if (!qconv_json_scan_has_nul (s))
        return json_node_init_string (json_node_alloc (), s->string->str);
      qconv_json_scan_fail (s, error, "NUL in a string");
      return NULL;
    case QCONV_JSON_TRUE:
    case QCONV_JSON_FALSE:
      return json_node_init_boolean (json_node_alloc (), token == QCONV_JSON_TRUE);
    default:
      return json_node_init_null (json_node_alloc ());
    }
}

static gboolean
take_key (Tree *t, const QconvJsonScan *s, GError **error)
{
  if (qconv_json_scan_has_nul (s))
    return qconv_json_scan_fail (s, error, "NUL in a key");
  if (json_object_has_member (json_node_get_object (t->nodes[s->depth - 1]), s->string->str))
    return qconv_json_scan_fail (s, error, "duplicate key \"%s\"", s->string->str);
  g_free (t->keys[s->depth - 1]);
  t->keys[s->depth - 1] = g_strdup (s->string->str);
  return TRUE;
}

/* Puts @node into the object or array at @depth; 0: it is the root. */
static void
place_node (Tree *t, guint depth, JsonNode *node)
{
  JsonNode *parent = depth > 0 ? t->nodes[depth - 1] : NULL;

  if (parent == NULL)
    t->root = node;
  else if (JSON_NODE_HOLDS_OBJECT (parent))
    json_object_set_member (json_node_get_object (parent), t->keys[depth - 1], node);
  else
    json_array_add_element (json_node_get_array (parent), node);
}

JsonNode *
qconv_json_parse (const char *text, gsize n, GError **error)
{
  g_auto (QconvJsonScan) s = { 0 };
  g_auto (Tree) t = { 0 };

  if (!qconv_json_scan_init (&s, text, n, error))
    return NULL;
  for (;;)
    {
      QconvJsonToken token = qconv_json_scan_next (&s, error);
      gboolean nested = token == QCONV_JSON_OBJECT || token == QCONV_JSON_ARRAY;
      JsonNode *node;

      if (token == QCONV_JSON_END)
        return g_steal_pointer (&t.root);
      if (token == QCONV_JSON_ERROR || (token == QCONV_JSON_KEY && !take_key (&t, &s, error)))
        return NULL;
      if (token == QCONV_JSON_KEY || token == QCONV_JSON_OBJECT_END || token == QCONV_JSON_ARRAY_END)
        continue;
      node = node_for_token (&s, token, error);
      if (node == NULL)
        return NULL;
      place_node (&t, s.depth - (nested ? 1 : 0), node);
      if (nested)
        t.nodes[s.depth - 1] = node;
    }
}
