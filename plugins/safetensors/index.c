/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses the index of a set of shards. Opening a set calls it. */
#include "index.h"

#include <string.h>

#include "header.h"
#include "qconv-json.h"

static SafetensorsIndex *
new_index (void)
{
  SafetensorsIndex *x = g_new0 (SafetensorsIndex, 1);

  x->shards = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  x->map = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  x->tensors = g_ptr_array_new ();
  x->total_size = G_MAXUINT64;
  return x;
}

void
qconv_safetensors_index_free (SafetensorsIndex *x)
{
  g_hash_table_unref (x->shards);
  g_hash_table_unref (x->map);
  g_ptr_array_unref (x->tensors);
  g_free (x);
}

/* Checks that @name is a file beside the index. An index may come from any system, so the path rules of all of them
   apply. */
static gboolean
check_shard_name (const char *name, GError **error)
{
  if (strpbrk (name, "/\\") != NULL || (g_ascii_isalpha (name[0]) && name[1] == ':'))
    return qconv_fail (error, QCONV_ERROR_INPUT, "shard \"%s\" is not a plain file name", name);
  if (!g_str_has_suffix (name, ".safetensors"))
    return qconv_fail (error, QCONV_ERROR_INPUT, "shard \"%s\" is not a .safetensors file", name);
  return TRUE;
}

static const char *
intern_shard (SafetensorsIndex *x, const char *name)
{
  const char *known = g_hash_table_lookup (x->shards, name);
  char *copy;

  if (known != NULL)
    return known;
  copy = g_strdup (name);
  g_hash_table_insert (x->shards, copy, copy);
  return copy;
}

static gboolean
parse_mapping (QconvJsonScan *s, SafetensorsIndex *x, GError **error)
{
  g_autofree char *tensor = g_strdup (qconv_json_scan_text (s));

  if (qconv_json_scan_has_nul (s))
    return qconv_json_scan_fail (s, error, "tensor name \"%s\" has a NUL in it", tensor);
  if (g_hash_table_contains (x->map, tensor))
    return qconv_json_scan_fail (s, error, "duplicate tensor name \"%s\" in weight_map", tensor);
  if (!qconv_json_scan_expect (s, QCONV_JSON_STRING, "file name in weight_map", error))
    return FALSE;
  if (qconv_json_scan_has_nul (s))
    return qconv_json_scan_fail (s, error, "file name \"%s\" has a NUL in it", qconv_json_scan_text (s));
  if (!check_shard_name (qconv_json_scan_text (s), error))
    return FALSE;
  g_ptr_array_add (x->tensors, tensor);
  g_hash_table_insert (x->map, g_steal_pointer (&tensor), (gpointer) intern_shard (x, qconv_json_scan_text (s)));
  return TRUE;
}

static gboolean
parse_metadata_member (QconvJsonScan *s, SafetensorsIndex *x, GError **error)
{
  gboolean total = strcmp (qconv_json_scan_text (s), "total_size") == 0;
  QconvJsonToken token;

  if (total && x->total_size != G_MAXUINT64)
    return qconv_json_scan_fail (s, error, "duplicate total_size");
  token = qconv_json_scan_next (s, error);
  if (total && token == QCONV_JSON_NUMBER && !qconv_json_scan_uint64 (s, &x->total_size))
    x->total_size = G_MAXUINT64;
  return qconv_json_scan_skip (s, token, error);
}

static gboolean
parse_members (QconvJsonScan *s, SafetensorsIndex *x, const char *what,
               gboolean (*member) (QconvJsonScan *, SafetensorsIndex *, GError **), GError **error)
{
  QconvJsonToken token = qconv_json_scan_next (s, error);

  if (token == QCONV_JSON_ERROR)
    return FALSE;
  if (token != QCONV_JSON_OBJECT)
    return qconv_json_scan_fail (s, error, "%s is not an object", what);
  while ((token = qconv_json_scan_next (s, error)) == QCONV_JSON_KEY)
    if (!member (s, x, error))
      return FALSE;
  return token == QCONV_JSON_OBJECT_END;
}

static gboolean
parse_top_member (QconvJsonScan *s, SafetensorsIndex *x, guint *seen, GError **error)
{
  gboolean map = strcmp (qconv_json_scan_text (s), "weight_map") == 0,
           metadata = strcmp (qconv_json_scan_text (s), "metadata") == 0;
  guint bit = map ? 1 : metadata ? 2 : 0;

  if (*seen & bit)
    return qconv_json_scan_fail (s, error, "duplicate %s", qconv_json_scan_text (s));
  *seen |= bit;
  if (map)
    return parse_members (s, x, "weight_map", parse_mapping, error);
  if (metadata)
    return parse_members (s, x, "metadata", parse_metadata_member, error);
  return qconv_json_scan_skip (s, qconv_json_scan_next (s, error), error);
}

static gboolean
parse_index (QconvJsonScan *s, SafetensorsIndex *x, GError **error)
{
  QconvJsonToken token;
  guint seen = 0;

  if (!qconv_json_scan_expect (s, QCONV_JSON_OBJECT, "JSON object", error))
    return FALSE;
  while ((token = qconv_json_scan_next (s, error)) == QCONV_JSON_KEY)
    if (!parse_top_member (s, x, &seen, error))
      return FALSE;
  if (token == QCONV_JSON_ERROR || !qconv_json_scan_expect (s, QCONV_JSON_END, "end of the JSON object", error))
    return FALSE;
  if (x->tensors->len == 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "no weight_map, or an empty one");
  return TRUE;
}

SafetensorsIndex *
qconv_safetensors_index_read (QconvSource *source, GError **error)
{
  g_autoptr (SafetensorsIndex) x = new_index ();
  g_autoptr (QconvJsonScan) s = NULL;
  g_autofree char *text = NULL;
  guint64 size = qconv_source_size (source);

  if (size > SAFETENSORS_MAX_HEADER)
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "index too large: %" G_GUINT64_FORMAT " bytes, limit %d", size,
                  SAFETENSORS_MAX_HEADER);
      return NULL;
    }
  text = qconv_safetensors_read_text (source, 0, (gsize) size, error);
  if (text == NULL)
    return NULL;
  s = qconv_json_scan_new (text, (gsize) size, error);
  if (s == NULL || !parse_index (s, x, error))
    {
      g_prefix_error (error, "index: ");
      return NULL;
    }
  return g_steal_pointer (&x);
}
