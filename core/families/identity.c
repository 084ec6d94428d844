/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "families/identity.h"
#include "families/keymap.h"

/* Names behind a prefix, made once for all families that strip and rewrite alike */
typedef struct {
  const Names *names;
  GHashTable *behind; /* prefix and rewrites -> Names */
} Views;

static void
free_names (gpointer data)
{
  qconv_names_free (data);
}

void
qconv_identity_free (Identity *id)
{
  if (id == NULL)
    return;
  g_free (id->prefix);
  qconv_dims_free (id->dims);
  g_free (id);
}

static char *
view_key (const char *prefix, JsonArray *rewrites)
{
  GString *key = g_string_new (prefix);

  for (guint i = 0; rewrites != NULL && i < json_array_get_length (rewrites); i++)
    {
      JsonArray *pair = json_array_get_array_element (rewrites, i);

      g_string_append_printf (key, "\n%s\n%s", json_array_get_string_element (pair, 0),
                              json_array_get_string_element (pair, 1));
    }
  return g_string_free (key, FALSE);
}

/* Returns: (transfer none) (nullable): NULL where no name starts with @prefix */
static const Names *
view (Views *views, const char *prefix, JsonArray *rewrites)
{
  g_autofree char *key = NULL;
  Names *behind;

  if (*prefix == '\0' && rewrites == NULL)
    return views->names;
  if (!qconv_names_starting (views->names, prefix))
    return NULL;
  key = view_key (prefix, rewrites);
  behind = g_hash_table_lookup (views->behind, key);
  if (behind == NULL)
    {
      behind = qconv_names_behind (views->names, prefix, rewrites);
      g_hash_table_insert (views->behind, g_steal_pointer (&key), behind);
    }
  return behind;
}

/* How many of @list (nullable) are there */
static guint
count_present (const Names *names, JsonArray *list)
{
  guint n = 0;

  for (guint i = 0; list != NULL && i < json_array_get_length (list); i++)
    n += qconv_names_find (names, json_array_get_string_element (list, i)) != NULL;
  return n;
}

static gboolean
names_hold (const Names *names, JsonObject *rule)
{
  JsonArray *all = qconv_family_list (rule, "all_of"), *any = qconv_family_list (rule, "any_of");

  if ((all != NULL && count_present (names, all) < json_array_get_length (all))
      || count_present (names, qconv_family_list (rule, "none_of")) > 0)
    return FALSE;
  for (guint i = 0; any != NULL && i < json_array_get_length (any); i++)
    if (count_present (names, json_array_get_array_element (any, i)) == 0)
      return FALSE;
  return TRUE;
}

static gboolean
compare_size (JsonObject *rule, guint64 size)
{
  JsonArray *in = qconv_family_list (rule, "in");

  if (json_object_has_member (rule, "eq"))
    return size == (guint64) json_object_get_int_member (rule, "eq");
  if (json_object_has_member (rule, "ne"))
    return size != (guint64) json_object_get_int_member (rule, "ne");
  if (json_object_has_member (rule, "ge"))
    return size <= G_MAXINT64 && (gint64) size >= json_object_get_int_member (rule, "ge");
  for (guint i = 0; in != NULL && i < json_array_get_length (in); i++)
    if (size == (guint64) json_array_get_int_element (in, i))
      return TRUE;
  return FALSE;
}

/* Shape of the tensor of @rule, of a list the first that exists */
static const QconvShape *
find_shape (const Names *names, JsonObject *rule)
{
  JsonNode *tensor = json_object_get_member (rule, "tensor");
  JsonArray *list;

  if (!JSON_NODE_HOLDS_ARRAY (tensor))
    return qconv_names_find (names, json_node_get_string (tensor));
  list = json_node_get_array (tensor);
  for (guint i = 0; i < json_array_get_length (list); i++)
    {
      const QconvShape *shape = qconv_names_find (names, json_array_get_string_element (list, i));

      if (shape != NULL)
        return shape;
    }
  return NULL;
}

static gboolean
rule_holds (const Names *names, JsonObject *rule)
{
  JsonArray *shapes = qconv_family_list (rule, "shapes"), *counts = qconv_family_list (rule, "counts");

  if (!names_hold (names, rule))
    return FALSE;
  for (guint i = 0; shapes != NULL && i < json_array_get_length (shapes); i++)
    {
      JsonObject *o = json_array_get_object_element (shapes, i);
      const QconvShape *shape = find_shape (names, o);
      gint64 axis = json_object_get_int_member (o, "axis");

      if (shape == NULL || axis >= shape->rank || !compare_size (o, shape->dim[axis]))
        return FALSE;
    }
  for (guint i = 0; counts != NULL && i < json_array_get_length (counts); i++)
    {
      JsonObject *o = json_array_get_object_element (counts, i);

      if (!compare_size (o, qconv_names_count (names, qconv_family_text (o, "stem"), NULL)))
        return FALSE;
    }
  return TRUE;
}

/* Text @title of the first of @rules (nullable) that holds */
static const char *
first_rule (const Names *names, JsonArray *rules, const char *title)
{
  for (guint i = 0; rules != NULL && i < json_array_get_length (rules); i++)
    {
      JsonObject *rule = json_array_get_object_element (rules, i);

      if (rule_holds (names, rule))
        return qconv_family_text (rule, title);
    }
  return NULL;
}

/* Those of @behind that no map moves keep their names */
static void
add_mapped (Names *mapped, GPtrArray *maps, const Names *behind)
{
  g_autoptr (GHashTable) moved = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < maps->len; i++)
    {
      const NameMap *m = g_ptr_array_index (maps, i);

      qconv_names_add (mapped, m->name, &m->shape);
      for (guint k = 0; k < m->parts->len; k++)
        g_hash_table_add (moved, g_array_index (m->parts, NamePart, k).name);
    }
  for (guint i = 0; i < qconv_names_length (behind); i++)
    if (!g_hash_table_contains (moved, qconv_names_name (behind, i)))
      qconv_names_add (mapped, qconv_names_name (behind, i), qconv_names_shape (behind, i));
}

Names *
qconv_identity_names (const Identity *id, const Names *behind, GError **error)
{
  g_autoptr (GPtrArray) maps = NULL;
  KeymapRequest request;
  Names *mapped;

  if (strcmp (id->naming, "original") == 0)
    return qconv_names_behind (behind, "", NULL);
  if (!qconv_keymap_exists (id->family, id->variant, id->naming, "original"))
    return NULL;
  request = (KeymapRequest) {
    .family = id->family, .variant = id->variant, .names = behind, .from = id->naming, .to = "original"
  };
  maps = qconv_keymap (&request, error);
  if (maps == NULL)
    return NULL;
  mapped = qconv_names_new ();
  add_mapped (mapped, maps, behind);
  return mapped;
}

/* Where names cannot be mapped, whoever maps them in earnest hears why */
static gboolean
find_variant (Identity *id, const Names *behind, GError **error)
{
  g_autoptr (Names) original = qconv_identity_names (id, behind, NULL);
  JsonObject *detect = qconv_family_object (qconv_family_json (id->family), "detect");

  id->variant = first_rule (original != NULL ? original : behind, qconv_family_list (detect, "variants"), "variant");
  id->dims = original != NULL ? qconv_family_infer (id->family, original, error) : NULL;
  return id->dims != NULL || original == NULL;
}

/* Tries @f behind @prefix. @id is filled where it is found; FALSE only with an error */
static gboolean
try_prefix (Views *views, const Family *f, const char *prefix, Identity *id, GError **error)
{
  JsonObject *json = qconv_family_json (f), *detect = qconv_family_object (json, "detect");
  const Names *behind = view (views, prefix, qconv_family_list (json, "prefix_rewrites"));
  const char *naming = behind != NULL ? first_rule (behind, qconv_family_list (detect, "namings"), "naming") : NULL;

  if (naming == NULL)
    return TRUE;
  id->family = f;
  id->naming = naming;
  id->prefix = g_strdup (prefix);
  return find_variant (id, behind, error);
}

static gboolean
try_family (Views *views, const Family *f, Identity *id, GError **error)
{
  JsonArray *prefixes = qconv_family_list (qconv_family_json (f), "prefixes");

  if (!try_prefix (views, f, "", id, error))
    return FALSE;
  for (guint i = 0; id->family == NULL && i < json_array_get_length (prefixes); i++)
    if (!try_prefix (views, f, json_array_get_string_element (prefixes, i), id, error))
      return FALSE;
  return TRUE;
}

/* Loaders take a prefix that more than this many names have, even where most have none */
enum { FEW_NAMES = 5 };

/* The prefix of the generic family that most names have, each counted for the first that it has */
static const char *
common_prefix (const Family *generic, const Names *names)
{
  JsonArray *prefixes = qconv_family_list (qconv_family_json (generic), "prefixes");
  guint n = json_array_get_length (prefixes), best = n;
  g_autofree guint *counts = g_new0 (guint, n + 1);

  for (guint i = 0; i < qconv_names_length (names); i++)
    {
      guint k = 0;

      while (k < n && !g_str_has_prefix (qconv_names_name (names, i), json_array_get_string_element (prefixes, k)))
        k++;
      counts[k]++;
    }
  for (guint k = 0; k < n; k++)
    if (counts[k] > (best < n ? counts[best] : 0) && (counts[k] > FEW_NAMES || counts[k] > counts[n]))
      best = k;
  return best < n ? json_array_get_string_element (prefixes, best) : "";
}

Identity *
qconv_identify (const Families *families, const Names *names, GError **error)
{
  g_autoptr (GHashTable) behind = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_names);
  g_autoptr (Identity) id = g_new0 (Identity, 1);
  GPtrArray *list = qconv_families_list (families);
  Views views = { names, behind };

  for (guint i = 0; id->family == NULL && i < list->len; i++)
    if (!try_family (&views, g_ptr_array_index (list, i), id, error))
      return NULL;
  if (id->family == NULL)
    {
      id->family = qconv_families_generic (families);
      id->naming = "original";
      id->prefix = g_strdup (common_prefix (id->family, names));
      id->dims = qconv_dims_new ();
    }
  return g_steal_pointer (&id);
}
