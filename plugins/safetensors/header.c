/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses the header. Its numbers are only read here; check.c compares them with the file. */
#include "header.h"

#include <string.h>

#include "qconv-json.h"

/* The dtypes by rising alignment. The reference implementation sorts by this list when it writes (tensor.rs Dtype). */
static const QconvDType dtype_order[] = {
  QCONV_BOOL,    QCONV_F4,      QCONV_F6_E2M3, QCONV_F6_E3M2,     QCONV_U8,          QCONV_I8,
  QCONV_F8_E5M2, QCONV_F8_E4M3, QCONV_F8_E8M0, QCONV_F8_E4M3FNUZ, QCONV_F8_E5M2FNUZ, QCONV_I16,
  QCONV_U16,     QCONV_F16,     QCONV_BF16,    QCONV_I32,         QCONV_U32,         QCONV_F32,
  QCONV_C64,     QCONV_F64,     QCONV_I64,     QCONV_U64,
};

gint
qconv_safetensors_dtype_order (QconvDType dtype)
{
  for (guint i = 0; i < G_N_ELEMENTS (dtype_order); i++)
    if (dtype_order[i] == dtype)
      return (gint) i;
  return -1;
}

static SafetensorsHeader *
new_header (void)
{
  SafetensorsHeader *h = g_new0 (SafetensorsHeader, 1);

  h->entries = g_array_new (FALSE, FALSE, sizeof (SafetensorsEntry));
  h->dims = g_array_new (FALSE, FALSE, sizeof (guint64));
  h->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  h->keys = g_ptr_array_new ();
  h->metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return h;
}

void
qconv_safetensors_header_free (SafetensorsHeader *h)
{
  g_array_unref (h->entries);
  g_array_unref (h->dims);
  g_hash_table_unref (h->names);
  g_ptr_array_unref (h->keys);
  g_hash_table_unref (h->metadata);
  g_free (h);
}

static gboolean
parse_dtype (QconvJsonScan *s, SafetensorsEntry *e, GError **error)
{
  if (!qconv_json_scan_expect (s, QCONV_JSON_STRING, "string for the dtype", error))
    return FALSE;
  if (qconv_json_scan_has_nul (s) || !qconv_dtype_from_name (qconv_json_scan_text (s), &e->dtype)
      || qconv_safetensors_dtype_order (e->dtype) < 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "unknown dtype \"%s\"", qconv_json_scan_text (s));
  return TRUE;
}

static gboolean
parse_shape (QconvJsonScan *s, SafetensorsHeader *h, SafetensorsEntry *e, GError **error)
{
  QconvJsonToken token;
  guint64 dim;

  if (!qconv_json_scan_expect (s, QCONV_JSON_ARRAY, "array for the shape", error))
    return FALSE;
  e->first_dim = h->dims->len;
  while ((token = qconv_json_scan_next (s, error)) == QCONV_JSON_NUMBER)
    {
      if (!qconv_json_scan_uint64 (s, &dim))
        return qconv_json_scan_fail (s, error, "dimension %.40s is not a whole number below 2^64",
                                     qconv_json_scan_text (s));
      g_array_append_val (h->dims, dim);
    }
  e->rank = h->dims->len - e->first_dim;
  if (token == QCONV_JSON_ARRAY_END)
    return TRUE;
  return token == QCONV_JSON_ERROR ? FALSE : qconv_json_scan_fail (s, error, "a dimension is not a number");
}

static gboolean
parse_offset (QconvJsonScan *s, guint64 *offset, GError **error)
{
  if (!qconv_json_scan_expect (s, QCONV_JSON_NUMBER, "pair of numbers for data_offsets", error))
    return FALSE;
  if (!qconv_json_scan_uint64 (s, offset))
    return qconv_json_scan_fail (s, error, "offset %.40s is not a whole number below 2^64", qconv_json_scan_text (s));
  return TRUE;
}

static gboolean
parse_offsets (QconvJsonScan *s, SafetensorsEntry *e, GError **error)
{
  return qconv_json_scan_expect (s, QCONV_JSON_ARRAY, "array for data_offsets", error)
         && parse_offset (s, &e->begin, error) && parse_offset (s, &e->end, error)
         && qconv_json_scan_expect (s, QCONV_JSON_ARRAY_END, "end after two data_offsets", error);
}

static gboolean
parse_member (QconvJsonScan *s, SafetensorsHeader *h, SafetensorsEntry *e, guint *seen, GError **error)
{
  static const char *const members[] = { "dtype", "shape", "data_offsets" };
  guint i = 0;

  while (i < 3 && (qconv_json_scan_has_nul (s) || strcmp (qconv_json_scan_text (s), members[i]) != 0))
    i++;
  if (i == 3)
    return qconv_json_scan_skip (s, qconv_json_scan_next (s, error), error);
  if (*seen & 1u << i)
    return qconv_json_scan_fail (s, error, "duplicate %s", members[i]);
  *seen |= 1u << i;
  if (i == 0)
    return parse_dtype (s, e, error);
  return i == 1 ? parse_shape (s, h, e, error) : parse_offsets (s, e, error);
}

static gboolean
parse_entry (QconvJsonScan *s, SafetensorsHeader *h, SafetensorsEntry *e, GError **error)
{
  QconvJsonToken token;
  guint seen = 0;

  if (!qconv_json_scan_expect (s, QCONV_JSON_OBJECT, "object", error))
    return FALSE;
  while ((token = qconv_json_scan_next (s, error)) == QCONV_JSON_KEY)
    if (!parse_member (s, h, e, &seen, error))
      return FALSE;
  if (token == QCONV_JSON_ERROR)
    return FALSE;
  if (seen != 7)
    return qconv_json_scan_fail (s, error, "no %s", !(seen & 1) ? "dtype" : !(seen & 2) ? "shape" : "data_offsets");
  return TRUE;
}

static gboolean
parse_tensor (QconvJsonScan *s, SafetensorsHeader *h, GError **error)
{
  SafetensorsEntry e = { 0 };
  char *name;

  if (qconv_json_scan_has_nul (s))
    return qconv_json_scan_fail (s, error, "tensor name \"%s\" has a NUL in it", qconv_json_scan_text (s));
  name = g_strdup (qconv_json_scan_text (s));
  if (!g_hash_table_add (h->names, name))
    return qconv_json_scan_fail (s, error, "duplicate tensor name \"%s\"", qconv_json_scan_text (s));
  e.name = name;
  if (!parse_entry (s, h, &e, error))
    {
      g_prefix_error (error, "tensor \"%s\": ", name);
      return FALSE;
    }
  g_array_append_val (h->entries, e);
  return TRUE;
}

static gboolean
parse_metadata_pair (QconvJsonScan *s, SafetensorsHeader *h, GError **error)
{
  g_autofree char *key = g_strdup (qconv_json_scan_text (s));

  if (qconv_json_scan_has_nul (s))
    return qconv_json_scan_fail (s, error, "metadata key \"%s\" has a NUL in it", key);
  if (g_hash_table_contains (h->metadata, key))
    return qconv_json_scan_fail (s, error, "duplicate metadata key \"%s\"", key);
  if (!qconv_json_scan_expect (s, QCONV_JSON_STRING, "string", error))
    {
      g_prefix_error (error, "metadata key \"%s\": ", key);
      return FALSE;
    }
  if (qconv_json_scan_has_nul (s))
    return qconv_json_scan_fail (s, error, "metadata key \"%s\": NUL in the value", key);
  g_ptr_array_add (h->keys, key);
  g_hash_table_insert (h->metadata, g_steal_pointer (&key), g_strdup (qconv_json_scan_text (s)));
  return TRUE;
}

static gboolean
parse_metadata (QconvJsonScan *s, SafetensorsHeader *h, GError **error)
{
  QconvJsonToken token = qconv_json_scan_next (s, error);

  if (token == QCONV_JSON_NULL)
    return TRUE;
  if (token != QCONV_JSON_OBJECT)
    return token == QCONV_JSON_ERROR ? FALSE : qconv_json_scan_fail (s, error, "__metadata__ is not an object");
  while ((token = qconv_json_scan_next (s, error)) == QCONV_JSON_KEY)
    if (!parse_metadata_pair (s, h, error))
      return FALSE;
  return token == QCONV_JSON_OBJECT_END;
}

static gboolean
parse_header (QconvJsonScan *s, SafetensorsHeader *h, GError **error)
{
  gboolean metadata_seen = FALSE;
  QconvJsonToken token;

  if (!qconv_json_scan_expect (s, QCONV_JSON_OBJECT, "JSON object", error))
    return FALSE;
  while ((token = qconv_json_scan_next (s, error)) == QCONV_JSON_KEY)
    {
      gboolean metadata = !qconv_json_scan_has_nul (s) && strcmp (qconv_json_scan_text (s), "__metadata__") == 0;

      if (metadata && metadata_seen)
        return qconv_json_scan_fail (s, error, "duplicate __metadata__");
      metadata_seen |= metadata;
      if (!(metadata ? parse_metadata : parse_tensor) (s, h, error))
        return FALSE;
    }
  return token != QCONV_JSON_ERROR && qconv_json_scan_expect (s, QCONV_JSON_END, "end of the JSON object", error);
}

char *
qconv_safetensors_read_text (QconvSource *source, guint64 offset, gsize n, GError **error)
{
  g_autofree char *text = g_malloc (n + 1);

  if (!qconv_source_read (source, offset, n, text, error))
    return NULL;
  text[n] = '\0';
  return g_steal_pointer (&text);
}

/* Returns: (transfer full): the text of the header, of @n bytes. The checks have the order of the reference parser, so
   that both name the same fault first. */
static char *
read_header_text (QconvSource *source, gsize *n, GError **error)
{
  guint64 size = qconv_source_size (source), length;

  if (size < 8)
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "truncated: %" G_GUINT64_FORMAT " bytes are too few for a file", size);
      return NULL;
    }
  if (!qconv_source_read (source, 0, 8, &length, error))
    return NULL;
  length = GUINT64_FROM_LE (length);
  if (length > SAFETENSORS_MAX_HEADER)
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "header too large: %" G_GUINT64_FORMAT " bytes, limit %d", length,
                  SAFETENSORS_MAX_HEADER);
      return NULL;
    }
  if (length > size - 8)
    {
      qconv_fail (error, QCONV_ERROR_INPUT,
                  "truncated: the header needs %" G_GUINT64_FORMAT " bytes, the file has %" G_GUINT64_FORMAT, length,
                  size);
      return NULL;
    }
  *n = (gsize) length;
  return qconv_safetensors_read_text (source, 8, *n, error);
}

SafetensorsHeader *
qconv_safetensors_header_read (QconvSource *source, GError **error)
{
  g_autoptr (SafetensorsHeader) h = new_header ();
  g_autoptr (QconvJsonScan) s = NULL;
  g_autofree char *text = NULL;
  gsize n = 0;

  text = read_header_text (source, &n, error);
  if (text == NULL)
    return NULL;
  s = qconv_json_scan_new (text, n, error);
  if (s == NULL || !parse_header (s, h, error))
    {
      g_prefix_error (error, "header: ");
      return NULL;
    }
  h->data_start = 8 + n;
  if (!qconv_safetensors_header_check (h, qconv_source_size (source) - h->data_start, error))
    return NULL;
  return g_steal_pointer (&h);
}
