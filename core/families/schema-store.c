/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Allocates texts, lists and regular expressions of one family file, and frees them together. */
#include "families/schema-store.h"

enum { CHUNK_BYTES = 4096 };

struct _SchemaStore {
  GStringChunk *texts;
  GPtrArray *blocks;
  GHashTable *regexes; /* pattern, of @texts -> GRegex */
};

SchemaStore *
qconv_schema_store_new (void)
{
  SchemaStore *s = g_new0 (SchemaStore, 1);

  s->texts = g_string_chunk_new (CHUNK_BYTES);
  s->blocks = g_ptr_array_new_with_free_func (g_free);
  s->regexes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) g_regex_unref);
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

GRegex *
qconv_schema_store_regex (SchemaStore *s, const char *pattern, GError **error)
{
  GRegex *regex = g_hash_table_lookup (s->regexes, pattern);

  if (regex != NULL)
    return regex;
  regex = g_regex_new (pattern, 0, 0, error);
  if (regex != NULL)
    g_hash_table_insert (s->regexes, (gpointer) qconv_schema_store_text (s, pattern), regex);
  return regex;
}
