/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fills a directory from one file, or from a set of shards of which the index or any shard was opened. */
#include "open.h"

#include <string.h>

#include "gguf-facts.h"
#include "header.h"
#include "index.h"

#define SUFFIX ".safetensors"
#define INDEX_SUFFIX ".index.json"

/**
 * Set: files that make one model.
 *
 * @source: the file that was opened, an index or a shard
 * @index: (nullable)
 * @total_size: bytes of all tensors so far
 * @n_unmapped: number of tensors that the index does not name
 * @unmapped: (nullable): the shard of the first of them
 */
typedef struct {
  QconvSource *source;
  QconvDirectory *directory;
  const SafetensorsIndex *index;
  guint64 total_size;
  guint n_unmapped;
  const char *unmapped;
} Set;

static gboolean
is_json_object (const guint8 *text, gsize n)
{
  gsize i = 0;

  while (i < n && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n'))
    i++;
  return i < n && text[i] == '{';
}

guint
qconv_safetensors_score (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  guint64 length;

  if (g_str_has_suffix (name, INDEX_SUFFIX))
    return is_json_object (head, n) ? 60 : 0;
  if (n >= 8)
    {
      memcpy (&length, head, 8);
      length = GUINT64_FROM_LE (length);
      if (length >= 2 && length <= SAFETENSORS_MAX_HEADER && length <= size - 8
          && is_json_object (head + 8, MIN (n - 8, (gsize) length)))
        return 95;
    }
  /* A damaged file still gets a score, so that opening it reports the fault */
  return g_str_has_suffix (name, SUFFIX) ? 10 : 0;
}

static gboolean
add_tensor (Set *set, QconvSource *source, const SafetensorsHeader *h, const SafetensorsEntry *e, GError **error)
{
  const QconvTensor *other = qconv_directory_find (set->directory, e->name);
  QconvTensor t = { .name = e->name, .dtype = e->dtype, .type = qconv_dtype_name (e->dtype), .source = source };

  if (other != NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "duplicate tensor \"%s\": it is in \"%s\" too", e->name,
                       qconv_source_name (other->source));
  if (set->index != NULL && !g_hash_table_contains (set->index->map, e->name) && set->n_unmapped++ == 0)
    set->unmapped = qconv_source_name (source);
  if (!qconv_safetensors_entry_shape (h, e, &t.shape, error))
    return FALSE;
  t.n_bytes = e->end - e->begin;
  t.offset = h->data_start + e->begin;
  set->total_size += t.n_bytes;
  return qconv_directory_add (set->directory, &t, error);
}

static gboolean
add_metadata (Set *set, QconvSource *source, const SafetensorsHeader *h, GError **error)
{
  for (guint i = 0; i < h->keys->len; i++)
    {
      const char *key = g_ptr_array_index (h->keys, i), *value = g_hash_table_lookup (h->metadata, key);
      GVariant *other = qconv_directory_metadata (set->directory, key);

      if (other == NULL && !qconv_directory_set_metadata (set->directory, key, g_variant_new_string (value), error))
        return FALSE;
      if (other != NULL && strcmp (g_variant_get_string (other, NULL), value) != 0)
        qconv_directory_warn_each (set->directory, key, "metadata-differs",
                                   "this metadata of shard \"%s\" differs from an earlier shard, which counts",
                                   qconv_source_name (source));
    }
  return TRUE;
}

static gboolean
add_file (Set *set, QconvSource *source, GError **error)
{
  g_autoptr (SafetensorsHeader) h = qconv_safetensors_header_read (source, error);

  if (h == NULL)
    return FALSE;
  for (guint i = 0; i < h->entries->len; i++)
    if (!add_tensor (set, source, h, &g_array_index (h->entries, SafetensorsEntry, i), error))
      return FALSE;
  return add_metadata (set, source, h, error);
}

static gboolean
add_shard (Set *set, const char *name, GError **error)
{
  QconvSource *source = set->source;

  if (strcmp (name, qconv_source_name (source)) != 0)
    source = qconv_source_sibling (source, name, error);
  if (source != NULL && add_file (set, source, error))
    return TRUE;
  g_prefix_error (error, "shard \"%s\": ", name);
  return FALSE;
}

static gint
compare_names (gconstpointer a, gconstpointer b, gpointer unused)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static gboolean
check_map (const Set *set, GError **error)
{
  for (guint i = 0; i < set->index->tensors->len; i++)
    {
      const char *name = g_ptr_array_index (set->index->tensors, i),
                 *shard = g_hash_table_lookup (set->index->map, name);
      const QconvTensor *t = qconv_directory_find (set->directory, name);

      if (t == NULL || strcmp (qconv_source_name (t->source), shard) != 0)
        return qconv_fail (error, QCONV_ERROR_INPUT, "index: tensor \"%s\" is missing from its shard \"%s\"", name,
                           shard);
    }
  return TRUE;
}

static void
warn_of_index (const Set *set)
{
  if (set->n_unmapped > 0)
    qconv_directory_warn (set->directory, "%u tensors, the first in shard \"%s\", are not in the index",
                          set->n_unmapped, set->unmapped);
  if (set->index->total_size != G_MAXUINT64 && set->index->total_size != set->total_size)
    qconv_directory_warn (set->directory,
                          "total_size in the index is %" G_GUINT64_FORMAT ", the tensors have %" G_GUINT64_FORMAT
                          " bytes",
                          set->index->total_size, set->total_size);
}

enum { MOST_NAMED = 3 }; /* missing shards in a message */

/* Fails and counts the shards, a NULL-terminated list of names, that are not there */
static gboolean
check_complete (const Set *set, const char *const *shards, GError **error)
{
  g_autoptr (GString) missing = g_string_new (NULL);
  guint n = 0, all = 0;

  for (; shards[all] != NULL; all++)
    {
      g_autoptr (GError) local = NULL;

      if (strcmp (shards[all], qconv_source_name (set->source)) == 0
          || qconv_source_sibling (set->source, shards[all], &local) != NULL
          || !g_error_matches (local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        continue; /* adding the shard reports other errors */
      if (n++ < MOST_NAMED)
        g_string_append_printf (missing, "%sshard \"%s\"", n > 1 ? ", " : "", shards[all]);
    }
  if (n > 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "%s: %u of %u shards are missing: %s%s: download them; if the index is older than the files, name the "
                 "model itself",
                 qconv_source_name (set->source), n, all, missing->str, n > MOST_NAMED ? ", …" : "");
  return n == 0;
}

/* Opens all shards of an index. @set->source is the index or a shard beside it */
static gboolean
open_indexed (Set *set, QconvSource *index_source, GError **error)
{
  g_autoptr (SafetensorsIndex) index = qconv_safetensors_index_read (index_source, error);
  g_autofree const char **shards = NULL;
  guint n;

  if (index == NULL)
    return FALSE;
  if (set->source != index_source && !g_hash_table_contains (index->shards, qconv_source_name (set->source)))
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "the index \"%s\" beside it does not name this shard: if the index is older, move it away",
                       qconv_source_name (index_source));
  set->index = index;
  shards = (const char **) g_hash_table_get_keys_as_array (index->shards, &n);
  g_qsort_with_data (shards, (gint) n, sizeof *shards, compare_names, NULL);
  if (!check_complete (set, shards, error))
    return FALSE;
  for (guint i = 0; i < n; i++)
    if (!add_shard (set, shards[i], error))
      return FALSE;
  if (!check_map (set, error))
    return FALSE;
  warn_of_index (set);
  return TRUE;
}

/* Returns: (transfer full) (nullable): BASE if @name is "BASE-00002-of-00005.safetensors". @n_shards: 5 */
static char *
split_shard_name (const char *name, guint *n_shards)
{
  g_autoptr (GRegex) form = g_regex_new ("^(.+)-([0-9]{5})-of-([0-9]{5})\\.safetensors$",
                                         G_REGEX_DOLLAR_ENDONLY | G_REGEX_DOTALL | G_REGEX_RAW, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autofree char *number = NULL, *total = NULL;
  guint64 k;

  if (!g_regex_match (form, name, 0, &match))
    return NULL;
  number = g_match_info_fetch (match, 2);
  total = g_match_info_fetch (match, 3);
  k = g_ascii_strtoull (number, NULL, 10);
  *n_shards = (guint) g_ascii_strtoull (total, NULL, 10);
  return k >= 1 && k <= *n_shards ? g_match_info_fetch (match, 1) : NULL;
}

static gboolean
open_shards (Set *set, const char *base, guint n_shards, GError **error)
{
  g_autofree char *index_name = g_strconcat (base, SUFFIX INDEX_SUFFIX, NULL);
  g_autoptr (GError) local = NULL;
  g_autoptr (GPtrArray) names = NULL;
  QconvSource *index_source = qconv_source_sibling (set->source, index_name, &local);

  if (index_source != NULL)
    return open_indexed (set, index_source, error);
  if (!g_error_matches (local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  names = g_ptr_array_new_with_free_func (g_free);
  for (guint k = 1; k <= n_shards; k++)
    g_ptr_array_add (names, g_strdup_printf ("%s-%05u-of-%05u" SUFFIX, base, k, n_shards));
  g_ptr_array_add (names, NULL);
  if (!check_complete (set, (const char *const *) names->pdata, error))
    return FALSE;
  for (guint k = 0; k < n_shards; k++)
    if (!add_shard (set, g_ptr_array_index (names, k), error))
      return FALSE;
  return TRUE;
}

/* ---- Two files of nunchaku ---- */

/* Older files of nunchaku lie in a folder: the layers of the blocks, the others, and two configs that are metadata of a
   single file (nunchaku: nunchaku/models/transformers/utils.py, nunchaku/merge_safetensors.py) */
const char *const qconv_safetensors_pairs[] = { "transformer_blocks" SUFFIX, "unquantized_layers" SUFFIX, NULL };
#define LARGEST_CONFIG ((guint64) 1 << 20)

/* Sets the metadata @key, if the files have none, to the text of the file @name beside them, if there is one. */
static gboolean
add_config (Set *set, const char *key, const char *name, GError **error)
{
  QconvSource *source = qconv_source_sibling (set->source, name, NULL);
  guint64 n = source != NULL ? qconv_source_size (source) : 0;
  g_autofree char *text = n > 0 && n <= LARGEST_CONFIG ? g_malloc0 ((gsize) n + 1) : NULL;

  if (text == NULL || qconv_directory_metadata (set->directory, key) != NULL)
    return TRUE;
  if (!qconv_source_read (source, 0, (gsize) n, text, error))
    return FALSE;
  if (g_utf8_validate_len (text, (gsize) n, NULL))
    return qconv_directory_set_metadata (set->directory, key, g_variant_new_string (text), error);
  qconv_directory_warn (set->directory, "\"%s\" beside it is not UTF-8 text, so it is not read", name);
  return TRUE;
}

/* Opens the file, and the other of the pair if it lies beside it. */
static gboolean
open_pair (Set *set, GError **error)
{
  const char *own = qconv_source_name (set->source);
  const char *other = qconv_safetensors_pairs[g_str_equal (own, qconv_safetensors_pairs[0]) ? 1 : 0];
  g_autoptr (GError) local = NULL;

  if (qconv_source_sibling (set->source, other, &local) == NULL
      && g_error_matches (local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    {
      qconv_directory_warn (set->directory, "\"%s\", the other half of such a model, is not beside it", other);
      return add_file (set, set->source, error);
    }
  return add_shard (set, qconv_safetensors_pairs[0], error) && add_shard (set, qconv_safetensors_pairs[1], error)
         && add_config (set, "config", "config.json", error)
         && add_config (set, "comfy_config", "comfy_config.json", error);
}

gboolean
qconv_safetensors_open (const QconvContainer *self, QconvSource *source, const QconvValues *options,
                        QconvDirectory *directory, GError **error)
{
  Set set = { .source = source, .directory = directory };
  const char *name = qconv_source_name (source);
  guint n_shards = 0;
  g_autofree char *base = g_str_has_suffix (name, INDEX_SUFFIX) ? NULL : split_shard_name (name, &n_shards);
  gboolean ok;

  if (g_str_has_suffix (name, INDEX_SUFFIX))
    ok = open_indexed (&set, source, error);
  else if (g_strv_contains (qconv_safetensors_pairs, name))
    ok = open_pair (&set, error);
  else
    ok = base != NULL ? open_shards (&set, base, n_shards, error) : add_file (&set, source, error);
  if (ok)
    qconv_gguf_add_facts (directory);
  return ok;
}
