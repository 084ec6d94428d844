/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "families/family.h"

#include <string.h>

#include "base/json-text.h"
#include "families/schema.h"
#include "qconv-types.h"

enum { MAX_BYTES = 4 << 20 };

struct _Family {
  char *path;
  JsonNode *root;
  JsonObject *json;
  GHashTable *regexes;  /* pattern -> GRegex */
  GPtrArray *templates; /* names of the layers */
  const Family *base;
};

void
qconv_family_free (Family *f)
{
  if (f == NULL)
    return;
  g_clear_pointer (&f->root, json_node_unref);
  g_hash_table_unref (f->regexes);
  g_ptr_array_unref (f->templates);
  g_free (f->path);
  g_free (f);
}

static void
collect_templates (Family *f)
{
  JsonArray *layers = qconv_family_list (f->json, "layers");

  for (guint i = 0; layers != NULL && i < json_array_get_length (layers); i++)
    g_ptr_array_add (f->templates, (gpointer) qconv_family_text (json_array_get_object_element (layers, i), "name"));
}

Family *
qconv_family_parse (const char *path, const char *text, GError **error)
{
  g_autoptr (GError) broken = NULL;
  g_autoptr (Family) f = g_new0 (Family, 1);

  f->path = g_strdup (path);
  f->templates = g_ptr_array_new ();
  f->regexes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) g_regex_unref);
  f->root = qconv_json_text_parse (text, strlen (text), &broken);
  if (f->root != NULL && !JSON_NODE_HOLDS_OBJECT (f->root))
    qconv_fail (&broken, QCONV_ERROR_INPUT, "not an object");
  if (broken == NULL)
    f->json = json_node_get_object (f->root);
  if (broken == NULL && qconv_schema_check (f->json, f->regexes, &broken))
    {
      collect_templates (f);
      return g_steal_pointer (&f);
    }
  qconv_fail (error, QCONV_ERROR_INPUT, "%s: %s", path, broken->message);
  return NULL;
}

Family *
qconv_family_load (const char *path, GError **error)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GFileInputStream) stream = g_file_read (file, NULL, error);
  g_autofree char *text = NULL;
  gsize n;

  if (stream == NULL)
    return NULL;
  text = g_malloc (MAX_BYTES + 1);
  if (!g_input_stream_read_all (G_INPUT_STREAM (stream), text, MAX_BYTES, &n, NULL, error))
    return NULL;
  text[n] = '\0';
  if (n == MAX_BYTES || strlen (text) != n)
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "%s: %s", path, n == MAX_BYTES ? "too large" : "not JSON");
      return NULL;
    }
  return qconv_family_parse (path, text, error);
}

JsonObject *
qconv_family_json (const Family *f)
{
  return f->json;
}

const char *
qconv_family_path (const Family *f)
{
  return f->path;
}

const char *
qconv_family_id (const Family *f)
{
  return json_object_get_string_member (f->json, "family");
}

const char *
qconv_family_title (const Family *f)
{
  return json_object_get_string_member (f->json, "title");
}

const char *
qconv_family_kind (const Family *f)
{
  return json_object_get_string_member (f->json, "kind");
}

gint64
qconv_family_priority (const Family *f)
{
  JsonObject *detect = qconv_family_object (f->json, "detect");

  return detect != NULL ? json_object_get_int_member (detect, "priority") : G_MAXINT64;
}

const Family *
qconv_family_base (const Family *f)
{
  return f->base;
}

void
qconv_family_set_base (Family *f, const Family *base)
{
  f->base = base;
}

GPtrArray *
qconv_family_templates (const Family *f)
{
  return f->templates;
}

JsonArray *
qconv_family_list (JsonObject *o, const char *member)
{
  return json_object_has_member (o, member) ? json_object_get_array_member (o, member) : NULL;
}

JsonObject *
qconv_family_object (JsonObject *o, const char *member)
{
  return json_object_has_member (o, member) ? json_object_get_object_member (o, member) : NULL;
}

const char *
qconv_family_text (JsonObject *o, const char *member)
{
  return json_object_get_string_member_with_default (o, member, NULL);
}

gboolean
qconv_family_match (const Family *f, const char *pattern, const char *name)
{
  GRegex *regex = g_hash_table_lookup (f->regexes, pattern);

  return regex != NULL && g_utf8_validate (name, -1, NULL) && g_regex_match (regex, name, 0, NULL);
}

const char *
qconv_family_match_any (const Family *f, JsonArray *patterns, const char *name)
{
  for (guint i = 0; patterns != NULL && i < json_array_get_length (patterns); i++)
    {
      const char *pattern = json_array_get_string_element (patterns, i);

      if (qconv_family_match (f, pattern, name))
        return pattern;
    }
  return NULL;
}
