/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a family file and owns its contents. The catalogue calls it. */
#include "families/family.h"

#include <string.h>

#include "base/data-files.h"
#include "base/error.h"
#include "base/json-text.h"
#include "base/small-file.h"
#include "families/schema.h"
#include "families/template.h"
#include "qconv-types.h"

struct _Family {
  char *path;
  SchemaStore *store;
  FamilyData data; /* points into @store */
  const Family *base;
  gsize templates; /* GHashTable of qconv_family_template_index(), or 0 */
};

void
qconv_family_free (Family *f)
{
  if (f == NULL)
    return;
  if (f->templates != 0)
    g_hash_table_unref ((GHashTable *) f->templates);
  qconv_schema_store_free (f->store);
  g_free (f->path);
  g_free (f);
}

Family *
qconv_family_parse (const char *path, const char *text, GError **error)
{
  g_autoptr (GError) broken = NULL;
  g_autoptr (Family) f = g_new0 (Family, 1);
  g_autoptr (JsonNode) root = qconv_json_text_parse (text, strlen (text), &broken);

  f->path = g_strdup (path);
  f->store = qconv_schema_store_new ();
  if (root != NULL && !JSON_NODE_HOLDS_OBJECT (root))
    qconv_fail (&broken, QCONV_ERROR_INPUT, "not an object");
  if (broken == NULL && qconv_schema_read (json_node_get_object (root), f->store, &f->data, &broken))
    return g_steal_pointer (&f);
  qconv_fail (error, QCONV_ERROR_INPUT, "%s: %s", path, broken->message);
  return NULL;
}

Family *
qconv_family_load (const char *path, GError **error)
{
  gsize n;
  g_autofree char *text = qconv_small_file_read (path, QCONV_DATA_FILE_MOST, &n, error);

  if (text != NULL && strlen (text) == n)
    return qconv_family_parse (path, text, error);
  if (text != NULL)
    qconv_fail (error, QCONV_ERROR_INPUT, "not JSON");
  qconv_error_name_file (error, path);
  return NULL;
}

const FamilyData *
qconv_family_data (const Family *f)
{
  return &f->data;
}

const char *
qconv_family_path (const Family *f)
{
  return f->path;
}

const char *
qconv_family_id (const Family *f)
{
  return f->data.id;
}

const char *
qconv_family_title (const Family *f)
{
  return f->data.title;
}

const char *
qconv_family_kind (const Family *f)
{
  return f->data.kind;
}

gint64
qconv_family_priority (const Family *f)
{
  return f->data.detect.namings.at != NULL ? f->data.detect.priority : G_MAXINT64;
}

GHashTable *
qconv_family_template_index (const Family *f)
{
  gsize *templates = &((Family *) f)->templates;

  if (g_once_init_enter (templates))
    g_once_init_leave (templates, (gsize) qconv_template_index_new (&f->data.layers));
  return (GHashTable *) *templates;
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

gboolean
qconv_family_match (const FamilyRegex *regex, const char *name)
{
  return qconv_regex_match (regex->compiled, name);
}

const char *
qconv_family_match_any (const FamilyRegexes *regexes, const char *name)
{
  for (guint i = 0; i < regexes->n; i++)
    if (qconv_family_match (&regexes->at[i], name))
      return regexes->at[i].pattern;
  return NULL;
}
