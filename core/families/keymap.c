/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "families/keymap.h"

#include "families/keymap-rules.h"

static void
clear_part (gpointer data)
{
  g_free (((NamePart *) data)->name);
}

static void
free_map (gpointer data)
{
  NameMap *map = data;

  g_free (map->name);
  g_array_unref (map->parts);
  g_free (map);
}

GArray *
qconv_keymap_parts (void)
{
  GArray *parts = g_array_new (FALSE, FALSE, sizeof (NamePart));

  g_array_set_clear_func (parts, clear_part);
  return parts;
}

void
qconv_keymap_part (GArray *parts, const char *name, guint64 first, guint64 stride, guint64 n)
{
  NamePart part = { g_strdup (name), first, stride, n };

  g_array_append_val (parts, part);
}

const char *
qconv_keymap_source (const Mapping *m, const char *name)
{
  const char *source = g_hash_table_lookup (m->sources, name);
  g_autofree char *spelling = NULL;

  if (source != NULL)
    return source;
  spelling = qconv_aliases_apply (m->from_a ? m->aliases_a : m->aliases_b, name);
  return g_hash_table_lookup (m->sources, spelling);
}

gboolean
qconv_keymap_add (Mapping *m, const char *name, GArray *parts, const QconvShape *shape, gboolean transposed,
                  GError **error)
{
  NameMap *map = g_new0 (NameMap, 1);

  map->name = qconv_aliases_apply (m->from_a ? m->aliases_b : m->aliases_a, name);
  map->parts = parts;
  map->shape = *shape;
  map->transposed = transposed;
  g_ptr_array_add (m->maps, map);
  return g_hash_table_add (m->made, map->name)
         || qconv_fail (error, QCONV_ERROR_INPUT, "%s: two tensors have this name after renaming", map->name);
}

gboolean
qconv_keymap_copy (Mapping *m, const char *source, const char *name, GError **error)
{
  const QconvShape *shape = qconv_names_find (m->names, source);
  GArray *parts = qconv_keymap_parts ();

  qconv_keymap_part (parts, source, 0, 1, shape->rank > 0 ? shape->dim[0] : 1);
  return qconv_keymap_add (m, name, parts, shape, FALSE, error);
}

/* Exact names win over other spellings of them */
static GHashTable *
list_sources (const Names *names, const Aliases *aliases)
{
  GHashTable *sources = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n = qconv_names_length (names);

  for (guint i = 0; i < n; i++)
    {
      const char *name = qconv_names_name (names, i);

      g_hash_table_insert (sources, g_strdup (name), (gpointer) name);
    }
  for (guint i = 0; i < n; i++)
    {
      const char *name = qconv_names_name (names, i);
      char *spelling = qconv_aliases_apply (aliases, name);

      if (g_hash_table_contains (sources, spelling))
        g_free (spelling);
      else
        g_hash_table_insert (sources, spelling, (gpointer) name);
    }
  return sources;
}

static gboolean
lists (JsonArray *texts, const char *text)
{
  for (guint i = 0; text != NULL && texts != NULL && i < json_array_get_length (texts); i++)
    if (g_strcmp0 (json_array_get_string_element (texts, i), text) == 0)
      return TRUE;
  return FALSE;
}

JsonObject *
qconv_keymap_find (const Family *f, const char *variant, const char *from, const char *to, gboolean *from_a)
{
  JsonArray *maps = qconv_family_list (qconv_family_json (f), "keymaps");

  for (guint i = 0; maps != NULL && i < json_array_get_length (maps); i++)
    {
      JsonObject *map = json_array_get_object_element (maps, i);
      const char *a = qconv_family_text (map, "a"), *b = qconv_family_text (map, "b");

      *from_a = g_strcmp0 (a, from) == 0 && g_strcmp0 (b, to) == 0;
      if (!*from_a && (g_strcmp0 (a, to) != 0 || g_strcmp0 (b, from) != 0))
        continue;
      return lists (qconv_family_list (map, "except_variants"), variant) ? NULL : map;
    }
  return NULL;
}

gboolean
qconv_keymap_exists (const Family *f, const char *variant, const char *from, const char *to)
{
  gboolean from_a;

  return qconv_keymap_find (f, variant, from, to, &from_a) != NULL;
}

/* Where the file does not say its architecture, the dimensions tell */
static gboolean
is_permuted (JsonObject *permute, const char *architecture, const Dims *dims)
{
  if (permute == NULL || dims == NULL)
    return FALSE;
  if (architecture != NULL)
    return lists (qconv_family_list (permute, "architectures"), architecture);
  return qconv_dims_hold (dims, qconv_family_text (permute, "when"));
}

static gboolean
apply_map (Mapping *m, GError **error)
{
  JsonArray *rules = qconv_family_list (m->map, "rules"), *blocks = qconv_family_list (m->map, "block_map");

  if (json_object_get_boolean_member_with_default (m->map, "identity", FALSE))
    {
      for (guint i = 0; i < qconv_names_length (m->names); i++)
        if (!qconv_keymap_copy (m, qconv_names_name (m->names, i), qconv_names_name (m->names, i), error))
          return FALSE;
      return TRUE;
    }
  if (rules != NULL && !qconv_keymap_apply_rules (m, rules, error))
    return FALSE;
  return blocks == NULL || qconv_keymap_apply_blocks (m, blocks, error);
}

static void
clear_mapping (Mapping *m)
{
  g_clear_pointer (&m->dims, qconv_dims_free);
  g_clear_pointer (&m->aliases_a, qconv_aliases_free);
  g_clear_pointer (&m->aliases_b, qconv_aliases_free);
  g_clear_pointer (&m->sources, g_hash_table_unref);
  g_clear_pointer (&m->made, g_hash_table_unref);
  g_clear_pointer (&m->maps, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Mapping, clear_mapping)

GPtrArray *
qconv_keymap_of (const Family *f, const char *variant, const char *architecture, const Dims *dims, const Names *names,
                 const char *from, const char *to, GError **error)
{
  g_auto (Mapping) m = { .names = names, .known = dims != NULL };
  JsonObject *permute;

  m.map = qconv_keymap_find (f, variant, from, to, &m.from_a);
  if (m.map == NULL)
    {
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "%s%s%s: no map from %s names to %s ones", qconv_family_id (f),
                  variant != NULL ? " " : "", variant != NULL ? variant : "", from, to);
      return NULL;
    }
  m.aliases_a = qconv_aliases_new (qconv_family_list (qconv_family_json (f), "aliases"), error);
  if (m.aliases_a == NULL)
    return NULL;
  m.aliases_b = qconv_aliases_new (qconv_family_list (m.map, "aliases"), error);
  if (m.aliases_b == NULL)
    return NULL;
  permute = qconv_family_object (m.map, "permute");
  m.permuted = is_permuted (permute, architecture, dims) ? permute : NULL;
  m.dims = dims != NULL ? qconv_dims_copy (dims) : qconv_dims_new ();
  m.sources = list_sources (names, m.from_a ? m.aliases_a : m.aliases_b);
  m.made = g_hash_table_new (g_str_hash, g_str_equal);
  m.maps = g_ptr_array_new_with_free_func (free_map);
  if (!apply_map (&m, error))
    return NULL;
  return g_steal_pointer (&m.maps);
}

GPtrArray *
qconv_keymap (const Family *f, const char *variant, const Dims *dims, const Names *names, const char *from,
              const char *to, GError **error)
{
  return qconv_keymap_of (f, variant, NULL, dims, names, from, to, error);
}
