/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "family.h"

#include <json-glib/json-glib.h>
#include <string.h>

/* A spelling of the names: all of these are there and none of those */
typedef struct {
  char *title;
  char **all_of, **none_of;
} Naming;

struct _Family {
  char **prefixes;
  guint64 min_dim;
  GPtrArray *keep; /* GRegex */
  GHashTable *never_pack;
  GPtrArray *foreign; /* Naming */
};

static char **
strings_of (JsonObject *o, const char *member)
{
  GPtrArray *strings = g_ptr_array_new ();
  JsonArray *a = json_object_has_member (o, member) ? json_object_get_array_member (o, member) : NULL;

  for (guint i = 0; a != NULL && i < json_array_get_length (a); i++)
    g_ptr_array_add (strings, g_strdup (json_array_get_string_element (a, i)));
  g_ptr_array_add (strings, NULL);
  return (char **) g_ptr_array_free (strings, FALSE);
}

static gboolean
read_keep (Family *f, JsonObject *o, GError **error)
{
  g_auto (GStrv) patterns = strings_of (o, "keep");

  f->keep = g_ptr_array_new_with_free_func ((GDestroyNotify) g_regex_unref);
  for (guint i = 0; patterns[i] != NULL; i++)
    {
      GRegex *re = g_regex_new (patterns[i], G_REGEX_OPTIMIZE, 0, error);

      if (re == NULL)
        return FALSE;
      g_ptr_array_add (f->keep, re);
    }
  return TRUE;
}

static void
read_foreign (Family *f, JsonObject *o)
{
  JsonArray *a = json_object_get_array_member (o, "unsupported_namings");

  f->foreign = g_ptr_array_new ();
  for (guint i = 0; i < json_array_get_length (a); i++)
    {
      JsonObject *row = json_array_get_object_element (a, i);
      Naming *n = g_new0 (Naming, 1);

      n->title = g_strdup_printf ("%s in %s naming", json_object_get_string_member (row, "family"),
                                  json_object_get_string_member (row, "naming"));
      n->all_of = strings_of (row, "all_of");
      n->none_of = strings_of (row, "none_of");
      g_ptr_array_add (f->foreign, n);
    }
}

static Family *
read_family (const char *path, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_auto (GStrv) probed = NULL;
  Family *f;
  JsonObject *o;

  if (!json_parser_load_from_file (parser, path, error))
    return NULL;
  o = json_node_get_object (json_parser_get_root (parser));
  f = g_new0 (Family, 1);
  f->prefixes = strings_of (o, "prefixes");
  f->min_dim = (guint64) json_object_get_int_member (o, "min_dim");
  f->never_pack = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  probed = strings_of (o, "never_pack");
  for (guint i = 0; probed[i] != NULL; i++)
    {
      if (g_str_has_suffix (probed[i], ".weight"))
        probed[i][strlen (probed[i]) - strlen (".weight")] = '\0';
      g_hash_table_add (f->never_pack, g_strdup (probed[i]));
    }
  read_foreign (f, o);
  return read_keep (f, o, error) ? f : NULL;
}

const Family *
qconv_family_generic (GError **error)
{
  static Family *generic;
  static GError *broken;

  if (g_once_init_enter (&generic))
    {
      const char *folder = g_getenv ("QCONV_DATA_PATH");
      g_autofree char *path
          = g_build_filename (folder != NULL ? folder : QCONV_DATA_DIR, "families", "generic.json", NULL);
      static Family none;
      Family *f = read_family (path, &broken);

      g_once_init_leave (&generic, f != NULL ? f : &none);
    }
  if (broken == NULL)
    return generic;
  g_propagate_error (error, g_error_copy (broken));
  return NULL;
}

const char *
qconv_family_strip (const Family *f, const char *name)
{
  for (guint i = 0; f->prefixes[i] != NULL; i++)
    if (g_str_has_prefix (name, f->prefixes[i]))
      return name + strlen (f->prefixes[i]);
  return name;
}

char *
qconv_family_layer_name (const Family *f, const char *name)
{
  char *stripped = g_strdup (qconv_family_strip (f, name));

  if (g_str_has_suffix (stripped, ".weight"))
    stripped[strlen (stripped) - strlen (".weight")] = '\0';
  return stripped;
}

guint64
qconv_family_min_dim (const Family *f)
{
  return f->min_dim;
}

gboolean
qconv_family_keeps (const Family *f, const char *layer_name)
{
  for (guint i = 0; i < f->keep->len; i++)
    if (g_regex_match (g_ptr_array_index (f->keep, i), layer_name, 0, NULL))
      return TRUE;
  return FALSE;
}

gboolean
qconv_family_probed (const Family *f, const char *layer_name)
{
  return g_hash_table_contains (f->never_pack, layer_name);
}

/* With any of the prefixes, or none */
static gboolean
has_name (const Family *f, const QconvDirectory *d, const char *name)
{
  if (qconv_directory_find (d, name) != NULL)
    return TRUE;
  for (guint i = 0; f->prefixes[i] != NULL; i++)
    if (qconv_directory_find2 (d, f->prefixes[i], name) != NULL)
      return TRUE;
  return FALSE;
}

static gboolean
matches_naming (const Family *f, const QconvDirectory *d, const Naming *n)
{
  for (guint i = 0; n->all_of[i] != NULL; i++)
    if (!has_name (f, d, n->all_of[i]))
      return FALSE;
  for (guint i = 0; n->none_of[i] != NULL; i++)
    if (has_name (f, d, n->none_of[i]))
      return FALSE;
  return n->all_of[0] != NULL;
}

const char *
qconv_family_foreign_naming (const Family *f, const QconvDirectory *d)
{
  for (guint i = 0; i < f->foreign->len; i++)
    {
      const Naming *n = g_ptr_array_index (f->foreign, i);

      if (matches_naming (f, d, n))
        return n->title;
    }
  return NULL;
}
