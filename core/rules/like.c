/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the layers that another file of the same model quantizes. The rules call it for --like. */
#include "rules/like.h"

/* Returns: (transfer full): the short name of each weight of the file -> whether it is quantized */
static GHashTable *
read_file (const char *path, GPtrArray *files, GError **error)
{
  g_autoptr (QconvModel) m = qconv_model_open (path, NULL, error);
  g_autoptr (Mapping) x = m != NULL ? qconv_mapping_new (m, &(MappingOptions) { 0 }, error) : NULL;
  g_autoptr (GHashTable) packed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gboolean any = FALSE;

  if (x == NULL)
    return NULL;
  qconv_source_list_files (m->source, files);
  for (guint i = 0; i < x->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (x->layers, i);
      gboolean quantized = qconv_source_layer_quantized (s);
      const char *name = qconv_mapping_original (x, s);

      if (!qconv_source_layer_is_weight (s))
        continue;
      /* If one part of a fused layer is unquantized, the whole stays unquantized */
      if (!g_hash_table_contains (packed, name) || !quantized)
        g_hash_table_insert (packed, g_strdup (name), GINT_TO_POINTER (quantized));
      any |= quantized;
    }
  if (any)
    return g_steal_pointer (&packed);
  qconv_fail (error, QCONV_ERROR_OPTION, "--like %s: none of its layers is quantized", path);
  return NULL;
}

gboolean
qconv_like_add (GHashTable **like, const char *path, GPtrArray *files, GError **error)
{
  g_autoptr (GHashTable) more = read_file (path, files, error);
  GHashTableIter iter;
  gpointer name, packed;

  if (more == NULL)
    return FALSE;
  if (*like == NULL)
    *like = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_iter_init (&iter, more);
  while (g_hash_table_iter_next (&iter, &name, &packed))
    if (GPOINTER_TO_INT (packed) || !g_hash_table_contains (*like, name))
      g_hash_table_insert (*like, g_strdup (name), packed);
  return TRUE;
}
