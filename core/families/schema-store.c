/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Allocates texts, lists and regular expressions of one family file, and frees them together. */
#include "families/schema-store.h"

enum { CHUNK_BYTES = 4096 };

struct _SchemaStore {
  GStringChunk *texts;
  GPtrArray *blocks;
  GHashTable *regexes; /* pattern, of @texts -> Regex */
};

SchemaStore *
qconv_schema_store_new (void)
{
  SchemaStore *s = g_new0 (SchemaStore, 1);

  s->texts = g_string_chunk_new (CHUNK_BYTES);
  s->blocks = g_ptr_array_new_with_free_func (g_free);
  s->regexes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) qconv_regex_free);
  return s;
}

void
qconv_schema_store_free (SchemaStore *s)
{
  g_hash_table_unref (s->regexes);
  g_ptr_array_unref (s->blocks);
  g_string_chunk_free (s->texts);
  g_free (s);
}

const char *
qconv_schema_store_text (SchemaStore *s, const char *text)
{
  return g_string_chunk_insert_const (s->texts, text);
}

gpointer
qconv_schema_store_items (SchemaStore *s, guint n, gsize size)
{
  gpointer items = g_malloc0_n ((gsize) n + 1, size);

  g_ptr_array_add (s->blocks, items);
  return items;
}

Regex *
qconv_schema_store_regex (SchemaStore *s, const char *pattern, GError **error)
{
  Regex *made = g_hash_table_lookup (s->regexes, pattern);

  if (made != NULL)
    return made;
  pattern = qconv_schema_store_text (s, pattern);
  made = qconv_regex_new (pattern, error);
  if (made != NULL)
    g_hash_table_insert (s->regexes, (gpointer) pattern, made);
  return made;
}
