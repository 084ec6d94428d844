/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes checksums as JSON text, reads them, and compares the header of a file with them. */
#include "base/checksum-map.h"

#include <string.h>

#include "base/json-text.h"
#include "qconv.h"

#define KIND "crc32:"
#define HEADER "__metadata__"
/* All values that checksum_map_text() writes begin so */
#define BEGIN "{\"" HEADER "\":{\"keys\":{"

void
qconv_checksum_map_free (ChecksumMap *m)
{
  g_clear_pointer (&m->tensors, g_hash_table_unref);
  g_clear_pointer (&m->keys, g_hash_table_unref);
  g_free (m);
}

/* ---- Sums of the header ---- */

static void
add_text (guint32 *crc, const char *text)
{
  *crc = qconv_checksum_continue (*crc, text, strlen (text));
}

static gint
compare_names (gconstpointer a, gconstpointer b, gpointer directory)
{
  return strcmp (qconv_directory_tensor (directory, *(const guint *) a)->name,
                 qconv_directory_tensor (directory, *(const guint *) b)->name);
}

/* Returns: (transfer full): the indices of the tensors of @d in order of names */
static guint *
sort_tensors (const QconvDirectory *d)
{
  guint n = qconv_directory_n_tensors (d), *order = g_new (guint, n + 1);

  for (guint i = 0; i < n; i++)
    order[i] = i;
  g_qsort_with_data (order, (gint) n, sizeof *order, compare_names, (gpointer) d);
  return order;
}

/* Returns the sum of the lines "NAME DTYPE [ROWS, COLUMNS]". @order: of the lines */
static guint32
sum_types (const QconvDirectory *d, const guint *order)
{
  guint32 crc = 0;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, order[i]);
      g_autofree char *shape = qconv_shape_to_string (&t->shape);

      add_text (&crc, t->name);
      add_text (&crc, " ");
      add_text (&crc, qconv_dtype_name (t->dtype));
      add_text (&crc, " ");
      add_text (&crc, shape);
      add_text (&crc, "\n");
    }
  return crc;
}

/* Returns whether the header has a sum of the metadata @key. *crc: that sum */
static gboolean
sum_key (const QconvDirectory *d, const char *key, guint32 *crc)
{
  g_autofree char *text
      = strcmp (key, QCONV_CHECKSUMS) != 0 ? qconv_metadata_text (qconv_directory_metadata (d, key)) : NULL;

  *crc = 0;
  if (text != NULL)
    add_text (crc, text);
  return text != NULL;
}

/* ---- Writing ---- */

static void
set_sum (JsonObject *map, const char *name, guint32 crc)
{
  g_autofree char *value = g_strdup_printf (KIND "%08x", crc);

  json_object_set_string_member (map, name, value);
}

/* Returns: (transfer full) */
static JsonObject *
header_object (const QconvDirectory *d, const guint *order)
{
  JsonObject *header = json_object_new (), *sums = json_object_new ();
  const char *const *keys = qconv_directory_metadata_keys (d);
  guint32 crc;

  for (guint i = 0; keys[i] != NULL; i++)
    if (sum_key (d, keys[i], &crc))
      set_sum (sums, keys[i], crc);
  json_object_set_object_member (header, "keys", sums);
  set_sum (header, "tensors", sum_types (d, order));
  return header;
}

char *
qconv_checksum_map_text (const QconvDirectory *d, const Checksum *sums)
{
  g_autofree guint *order = sort_tensors (d);
  g_autoptr (JsonNode) root = json_node_init_object (json_node_alloc (), json_object_new ());
  JsonObject *map = json_node_get_object (root);

  json_object_unref (map); /* the node holds it */
  json_object_set_object_member (map, HEADER, header_object (d, order));
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    set_sum (map, qconv_directory_tensor (d, order[i])->name, sums != NULL ? sums[order[i]].crc : 0);
  return json_to_string (root, FALSE);
}

/* ---- Reading ---- */

/* Counts: how many checksums a text has, and how many of them are of another kind */
typedef struct {
  guint all, others;
} Counts;

/* Reads a checksum, in lower case: no bit of it may change unnoticed. Returns FALSE if @value is none */
static gboolean
read_sum (JsonNode *value, guint32 *crc, Counts *counts)
{
  const char *text = JSON_NODE_HOLDS_VALUE (value) && json_node_get_value_type (value) == G_TYPE_STRING
                         ? json_node_get_string (value)
                         : NULL;
  guint64 n = 0;

  *crc = 0;
  if (text == NULL || strchr (text, ':') == NULL)
    return FALSE;
  counts->all++;
  if (!g_str_has_prefix (text, KIND))
    {
      counts->others++;
      return TRUE;
    }
  text += strlen (KIND);
  if (strlen (text) != 8 || strspn (text, "0123456789abcdef") != 8
      || !g_ascii_string_to_unsigned (text, 16, 0, G_MAXUINT32, &n, NULL))
    return FALSE;
  *crc = (guint32) n;
  return TRUE;
}

/* Adds the members of @object to @sums, except for @skip (nullable). Returns FALSE if one is no checksum */
static gboolean
read_sums (JsonObject *object, const char *skip, GHashTable *sums, Counts *counts)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *member;
  guint32 crc;

  json_object_iter_init (&iter, object);
  while (json_object_iter_next (&iter, &name, &member))
    {
      if (g_strcmp0 (name, skip) == 0)
        continue;
      if (!read_sum (member, &crc, counts))
        return FALSE;
      g_hash_table_insert (sums, g_strdup (name), GUINT_TO_POINTER (crc));
    }
  return TRUE;
}

static GHashTable *
new_sums (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

static gboolean
read_header (ChecksumMap *m, JsonNode *node, Counts *counts)
{
  JsonObject *o = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  JsonNode *keys = o != NULL ? json_object_get_member (o, "keys") : NULL;
  JsonNode *types = o != NULL ? json_object_get_member (o, "tensors") : NULL;

  if (keys == NULL || types == NULL || !JSON_NODE_HOLDS_OBJECT (keys))
    return FALSE;
  m->keys = new_sums ();
  return read_sum (types, &m->types, counts) && read_sums (json_node_get_object (keys), NULL, m->keys, counts);
}

static gboolean
read_map (ChecksumMap *m, const char *text, Counts *counts)
{
  g_autoptr (JsonNode) root = qconv_json_text_parse (text, strlen (text), NULL);
  JsonNode *header;

  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return FALSE;
  header = json_object_get_member (json_node_get_object (root), HEADER);
  return (header == NULL || read_header (m, header, counts))
         && read_sums (json_node_get_object (root), HEADER, m->tensors, counts);
}

static const char *
text_at (const QconvDirectory *d, const char *key)
{
  GVariant *value = qconv_directory_metadata (d, key);

  return value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? g_variant_get_string (value, NULL) : "";
}

/* Fails if the checksums stand under another key, because that of QCONV_CHECKSUMS was damaged */
static gboolean
check_keys (const QconvDirectory *d, GError **error)
{
  const char *const *keys = qconv_directory_metadata_keys (d);

  for (guint i = 0; keys[i] != NULL; i++)
    if (g_str_has_prefix (text_at (d, keys[i]), BEGIN))
      return qconv_fail (error, QCONV_ERROR_INPUT,
                         "the metadata \"" QCONV_CHECKSUMS "\" are missing, \"%s\" holds what was written there",
                         keys[i]);
  return TRUE;
}

gboolean
qconv_in_several_files (const QconvDirectory *d)
{
  guint n = qconv_directory_n_tensors (d);

  for (guint i = 1; i < n; i++)
    if (qconv_directory_tensor (d, i)->source != qconv_directory_tensor (d, 0)->source)
      return TRUE;
  return FALSE;
}

ChecksumMap *
qconv_checksum_map_new (const QconvDirectory *d, GError **error)
{
  g_autoptr (ChecksumMap) m = NULL;
  Counts counts = { 0, 0 };

  if (qconv_directory_metadata (d, QCONV_CHECKSUMS) == NULL)
    {
      check_keys (d, error);
      return NULL;
    }
  m = g_new0 (ChecksumMap, 1);
  m->tensors = new_sums ();
  if (read_map (m, text_at (d, QCONV_CHECKSUMS), &counts) && (counts.others == 0 || counts.others == counts.all))
    {
      if (qconv_in_several_files (d))
        g_clear_pointer (&m->keys, g_hash_table_unref);
      return counts.others == 0 ? g_steal_pointer (&m) : NULL;
    }
  qconv_fail (error, QCONV_ERROR_INPUT,
              "the metadata \"" QCONV_CHECKSUMS "\" are damaged: they are no map of checksums");
  return NULL;
}

/* ---- Comparing ---- */

enum { MOST_LINES = 8 }; /* a hostile file may have any number of keys */

/* Adds a line about @key. Counts in *more those that there is no room for */
static void
add_line (GPtrArray *lines, guint *more, const char *key, const char *what)
{
  if (lines->len < MOST_LINES)
    g_ptr_array_add (lines, g_strdup_printf ("the metadata \"%s\" %s", key, what));
  else
    ++*more;
}

/* Adds the keys that are stated and not in @d */
static void
add_lost (GPtrArray *lines, guint *more, const ChecksumMap *m, const QconvDirectory *d)
{
  g_autoptr (GList) stated = g_list_sort (g_hash_table_get_keys (m->keys), (GCompareFunc) strcmp);
  guint32 crc;

  for (const GList *i = stated; i != NULL; i = i->next)
    if (qconv_directory_metadata (d, i->data) == NULL || !sum_key (d, i->data, &crc))
      add_line (lines, more, i->data, "were written, the file lacks them");
}

GPtrArray *
qconv_checksum_map_changed_keys (const ChecksumMap *m, const QconvDirectory *d)
{
  GPtrArray *lines = g_ptr_array_new_with_free_func (g_free);
  const char *const *keys = qconv_directory_metadata_keys (d);
  guint more = 0;
  guint32 crc;
  gpointer stated;

  if (m->keys == NULL)
    return lines;
  for (guint i = 0; keys[i] != NULL; i++)
    if (!sum_key (d, keys[i], &crc))
      continue;
    else if (!g_hash_table_lookup_extended (m->keys, keys[i], NULL, &stated))
      add_line (lines, &more, keys[i], "were added after the file was written");
    else if (GPOINTER_TO_UINT (stated) != crc)
      add_line (lines, &more, keys[i], "are not those that were written");
  add_lost (lines, &more, m, d);
  if (more > 0)
    g_ptr_array_add (lines, g_strdup_printf ("%u other keys of the metadata came, went or changed", more));
  return lines;
}

gboolean
qconv_checksum_map_check_types (const ChecksumMap *m, const QconvDirectory *d, GError **error)
{
  g_autofree guint *order = m->keys != NULL ? sort_tensors (d) : NULL;

  return m->keys == NULL || sum_types (d, order) == m->types
         || qconv_fail (error, QCONV_ERROR_INPUT, "names, types or shapes of tensors are not those that were written");
}
