/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads lists, maps, objects and plain values of family files. */
#include "families/schema-read.h"

#include <string.h>

#include "qconv-types.h"

/* Limit the work that a hostile file can cause. No real family file comes near them */
enum { MAX_LENGTH = 4096, MAX_ITEMS = 4096 };
static const gint64 max_size = G_GINT64_CONSTANT (1) << 40;

/* Has the layout of every FAMILY_LIST */
typedef FAMILY_LIST (void) AnyList;

gboolean
qconv_schema_fail (SchemaReader *r, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_free (r->reason);
  r->reason = g_strdup_vprintf (format, args);
  va_end (args);
  return FALSE;
}

/* ---- Containers ---- */

/* Returns the place of field @offset in item @i, or NULL if the items are only checked */
static gpointer
field_of (gpointer items, guint i, const SchemaItem *item)
{
  return items != NULL ? (char *) items + i * item->size + item->offset : NULL;
}

static void
store_list (gpointer into, guint n, gpointer items)
{
  AnyList list = { n, items };

  if (into != NULL)
    memcpy (into, &list, sizeof list);
}

/* Returns FALSE after a failure in member @name, which comes to stand first in the path */
static gboolean
failed_in_member (SchemaReader *r, const char *name)
{
  if (r->path->len > 0 && r->path->str[0] != '[')
    g_string_prepend_c (r->path, '.');
  g_string_prepend (r->path, name);
  return FALSE;
}

/* Does the same for an item of a list */
static gboolean
failed_in_item (SchemaReader *r, guint i)
{
  g_autofree char *item = g_strdup_printf ("[%u]", i);

  return failed_in_member (r, item);
}

gboolean
qconv_schema_list (SchemaReader *r, JsonNode *node, const SchemaItem *item, gpointer into)
{
  gpointer items;
  JsonArray *list;
  guint n;

  if (!JSON_NODE_HOLDS_ARRAY (node))
    return qconv_schema_fail (r, "not a list");
  list = json_node_get_array (node);
  n = json_array_get_length (list);
  if (n > MAX_ITEMS)
    return qconv_schema_fail (r, "more than %d items", MAX_ITEMS);
  items = into != NULL ? qconv_schema_store_items (r->store, n, item->size) : NULL;
  store_list (into, n, items);
  for (guint i = 0; i < n; i++)
    if (!item->read (r, json_array_get_element (list, i), item->of, field_of (items, i, item)))
      return failed_in_item (r, i);
  return TRUE;
}

gboolean
qconv_schema_map (SchemaReader *r, JsonNode *node, const SchemaItem *item, gpointer into)
{
  g_autoptr (GList) names = NULL;
  JsonObject *o;
  gpointer items;
  guint i = 0;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return qconv_schema_fail (r, "not an object");
  o = json_node_get_object (node);
  names = json_object_get_members (o);
  items = into != NULL ? qconv_schema_store_items (r->store, json_object_get_size (o), item->size) : NULL;
  store_list (into, json_object_get_size (o), items);
  for (GList *l = names; l != NULL; l = l->next, i++)
    {
      if (items != NULL)
        *(const char **) (gpointer) ((char *) items + i * item->size) = qconv_schema_store_text (r->store, l->data);
      if (!item->read (r, json_object_get_member (o, l->data), item->of, field_of (items, i, item)))
        return failed_in_member (r, l->data);
    }
  return TRUE;
}

gboolean
qconv_schema_tuple (SchemaReader *r, JsonNode *node, guint n)
{
  return (JSON_NODE_HOLDS_ARRAY (node) && json_array_get_length (json_node_get_array (node)) == n)
         || qconv_schema_fail (r, "not a list of %u items", n);
}

static const SchemaMember *
find_member (const SchemaMember *of, const char *name)
{
  for (; of->name != NULL; of++)
    if (strcmp (of->name, name) == 0)
      return of;
  return NULL;
}

/* Fails unless @o has every needed member and exactly one of the alternative members */
static gboolean
check_presence (SchemaReader *r, JsonObject *o, const SchemaMember *of)
{
  guint n = 0, n_choices = 0;

  for (; of->name != NULL; of++)
    {
      gboolean there = json_object_has_member (o, of->name);

      if (of->presence == SCHEMA_NEEDED && !there)
        return qconv_schema_fail (r, "member \"%s\" is missing", of->name);
      n_choices += of->presence == SCHEMA_ONE_OF;
      n += of->presence == SCHEMA_ONE_OF && there;
    }
  return n_choices == 0 || n == 1
         || qconv_schema_fail (r, "%s of the members of which exactly one is needed",
                               n == 0 ? "none" : "more than one");
}

gboolean
qconv_schema_object (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  g_autoptr (GList) names = NULL;
  JsonObject *o;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    return qconv_schema_fail (r, "not an object");
  o = json_node_get_object (node);
  names = json_object_get_members (o);
  for (GList *l = names; l != NULL; l = l->next)
    {
      const SchemaMember *m = find_member (of, l->data);
      gboolean stored = into != NULL && m != NULL && m->offset != SCHEMA_UNUSED;

      if (m == NULL)
        return qconv_schema_fail (r, "unknown member \"%s\"", (const char *) l->data);
      if (!m->read (r, json_object_get_member (o, m->name), m->of, stored ? (char *) into + m->offset : NULL))
        return failed_in_member (r, m->name);
    }
  return check_presence (r, o, of);
}

/* Returns the SchemaItem of objects with the members @of. The offset in the table's last row is the size of an
   object */
static SchemaItem
object_item (const SchemaMember *of)
{
  const SchemaMember *last = of;

  while (last->name != NULL)
    last++;
  return (SchemaItem) { qconv_schema_object, of, last->offset, 0 };
}

gboolean
qconv_schema_objects (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  SchemaItem item = object_item (of);

  return qconv_schema_list (r, node, &item, into);
}

gboolean
qconv_schema_object_map (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  SchemaItem item = object_item (of);

  return qconv_schema_map (r, node, &item, into);
}

/* ---- Texts ---- */

static gboolean
is_value (JsonNode *node, GType type)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type;
}

gboolean
qconv_schema_text (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  const char *text;

  if (!is_value (node, G_TYPE_STRING))
    return qconv_schema_fail (r, "not text");
  text = json_node_get_string (node);
  if (strlen (text) > MAX_LENGTH)
    return qconv_schema_fail (r, "longer than %d bytes", MAX_LENGTH);
  if (into != NULL)
    *(const char **) into = qconv_schema_store_text (r->store, text);
  return TRUE;
}

gboolean
qconv_schema_anything (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  g_autofree char *text = into != NULL ? json_to_string (node, FALSE) : NULL;

  if (into != NULL)
    *(const char **) into = qconv_schema_store_text (r->store, text);
  return TRUE;
}

gboolean
qconv_schema_texts (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { qconv_schema_text, NULL, sizeof (const char *), 0 };
  AnyList list = { 0, NULL };

  if (!qconv_schema_list (r, node, &item, into != NULL ? &list : NULL))
    return FALSE;
  if (into != NULL)
    *(FamilyTexts *) into = list.at;
  return TRUE;
}

gboolean
qconv_schema_text_or_texts (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  const char **one;

  if (JSON_NODE_HOLDS_ARRAY (node))
    return qconv_schema_texts (r, node, of, into);
  one = into != NULL ? qconv_schema_store_items (r->store, 1, sizeof *one) : NULL;
  if (into != NULL)
    *(FamilyTexts *) into = one;
  return qconv_schema_text (r, node, NULL, one);
}

gboolean
qconv_schema_text_lists (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { qconv_schema_texts, NULL, sizeof (FamilyTexts), 0 };

  return qconv_schema_list (r, node, &item, into);
}

gboolean
qconv_schema_text_map (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { qconv_schema_text, NULL, sizeof (FamilyPair), offsetof (FamilyPair, to) };

  return qconv_schema_map (r, node, &item, into);
}

static gboolean
read_pair (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  FamilyPair *pair = into;
  FamilyTexts texts = NULL;

  if (!qconv_schema_tuple (r, node, 2) || !qconv_schema_texts (r, node, NULL, pair != NULL ? &texts : NULL))
    return FALSE;
  if (pair != NULL)
    *pair = (FamilyPair) { texts[0], texts[1] };
  return TRUE;
}

gboolean
qconv_schema_pairs (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { read_pair, NULL, sizeof (FamilyPair), 0 };

  return qconv_schema_list (r, node, &item, into);
}

/* ---- Numbers ---- */

static gboolean
read_range (SchemaReader *r, JsonNode *node, gint64 min, gint64 max, gint64 *into)
{
  if (!is_value (node, G_TYPE_INT64))
    return qconv_schema_fail (r, "not an integer");
  if (json_node_get_int (node) < min || json_node_get_int (node) > max)
    return qconv_schema_fail (r, "out of range");
  if (into != NULL)
    *into = json_node_get_int (node);
  return TRUE;
}

gboolean
qconv_schema_integer (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  return read_range (r, node, -max_size, max_size, into);
}

gboolean
qconv_schema_count (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  return read_range (r, node, 0, max_size, into);
}

gboolean
qconv_schema_divisor (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  return read_range (r, node, 1, max_size, into);
}

gboolean
qconv_schema_axis (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  return read_range (r, node, 0, QCONV_MAX_RANK - 1, into);
}

/* Reads with @read and records that the file has the integer */
static gboolean
read_given (SchemaReader *r, JsonNode *node, SchemaFunc read, FamilyInteger *into)
{
  if (into != NULL)
    into->given = TRUE;
  return read (r, node, NULL, into != NULL ? &into->value : NULL);
}

gboolean
qconv_schema_given_integer (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  return read_given (r, node, qconv_schema_integer, into);
}

gboolean
qconv_schema_given_count (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  return read_given (r, node, qconv_schema_count, into);
}

gboolean
qconv_schema_integers (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { qconv_schema_integer, NULL, sizeof (gint64), 0 };

  return qconv_schema_list (r, node, &item, into);
}

gboolean
qconv_schema_truth (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  if (!is_value (node, G_TYPE_BOOLEAN))
    return qconv_schema_fail (r, "neither true nor false");
  if (into != NULL)
    *(gboolean *) into = json_node_get_boolean (node);
  return TRUE;
}

/* ---- Regular expressions and places ---- */

gboolean
qconv_schema_regex (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  g_autoptr (GError) broken = NULL;
  FamilyRegex regex = { NULL, NULL };

  if (!qconv_schema_text (r, node, NULL, &regex.pattern))
    return FALSE;
  regex.compiled = qconv_schema_store_regex (r->store, regex.pattern, &broken);
  if (regex.compiled == NULL)
    return qconv_schema_fail (r, "%s", broken->message);
  if (into != NULL)
    *(FamilyRegex *) into = regex;
  return TRUE;
}

gboolean
qconv_schema_regexes (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { qconv_schema_regex, NULL, sizeof (FamilyRegex), 0 };

  return qconv_schema_list (r, node, &item, into);
}

gboolean
qconv_schema_regex_map (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item
      = { qconv_schema_regexes, NULL, sizeof (FamilyFallback), offsetof (FamilyFallback, patterns) };

  return qconv_schema_map (r, node, &item, into);
}

static gboolean
read_axis (SchemaReader *r, JsonNode *node, FamilyPlace *place)
{
  return qconv_schema_axis (r, json_array_get_element (json_node_get_array (node), 1), NULL,
                            place != NULL ? &place->axis : NULL);
}

gboolean
qconv_schema_place (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  FamilyPlace *place = into;

  return qconv_schema_tuple (r, node, 2)
         && qconv_schema_text (r, json_array_get_element (json_node_get_array (node), 0), NULL,
                               place != NULL ? &place->tensor : NULL)
         && read_axis (r, node, place);
}

gboolean
qconv_schema_regex_place (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  FamilyPlace *place = into;

  return qconv_schema_tuple (r, node, 2)
         && qconv_schema_regex (r, json_array_get_element (json_node_get_array (node), 0), NULL,
                                place != NULL ? &place->match : NULL)
         && read_axis (r, node, place);
}
