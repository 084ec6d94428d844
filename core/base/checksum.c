/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Computes CRC-32 by libdeflate, which is as fast as memory, and joins pieces by zlib. */
#include "base/checksum.h"

#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#include "base/json-text.h"
#include "qconv.h"

#define KIND "crc32:"

/* Returns the part that a piece with checksum @crc has in the checksum of a text in which @behind bytes follow it:
   CRC-32 is linear, and that of a text is the exclusive or of these parts */
static guint32
shift (guint32 crc, guint64 behind)
{
  const guint64 step = 1u << 30; /* a long has 32 bits on some systems */

  for (; behind > step; behind -= step)
    crc = (guint32) crc32_combine (crc, 0, (z_off_t) step);
  return (guint32) crc32_combine (crc, 0, (z_off_t) behind);
}

static guint32
crc_of_zeros (guint64 n)
{
  static const guint8 zeros[4096];
  guint32 crc = 0;

  for (gsize piece; n > 0; n -= piece)
    {
      piece = (gsize) MIN (n, sizeof zeros);
      crc = libdeflate_crc32 (crc, zeros, piece);
    }
  return crc;
}

void
qconv_checksum_add (Checksum *c, gconstpointer bytes, guint64 n, guint64 behind)
{
  guint32 crc = bytes != NULL ? libdeflate_crc32 (0, bytes, (gsize) n) : crc_of_zeros (n);

  c->crc ^= shift (crc, behind);
  c->n += n;
}

static gint
compare_names (gconstpointer a, gconstpointer b, gpointer directory)
{
  return strcmp (qconv_directory_tensor (directory, *(const guint *) a)->name,
                 qconv_directory_tensor (directory, *(const guint *) b)->name);
}

char *
qconv_checksums_text (const QconvDirectory *d, const Checksum *sums)
{
  guint n = qconv_directory_n_tensors (d);
  g_autofree guint *order = g_new (guint, n + 1);
  g_autoptr (JsonNode) root = json_node_init_object (json_node_alloc (), json_object_new ());
  JsonObject *map = json_node_get_object (root);

  json_object_unref (map); /* the node holds it */
  for (guint i = 0; i < n; i++)
    order[i] = i;
  g_qsort_with_data (order, (gint) n, sizeof *order, compare_names, (gpointer) d);
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *value = g_strdup_printf (KIND "%08x", sums != NULL ? sums[order[i]].crc : 0);

      json_object_set_string_member (map, qconv_directory_tensor (d, order[i])->name, value);
    }
  return json_to_string (root, FALSE);
}

/* Reads a checksum of this kind. *other: it is of another kind. Returns FALSE if @value is no checksum */
static gboolean
read_sum (JsonNode *value, guint32 *crc, gboolean *other)
{
  const char *text = JSON_NODE_HOLDS_VALUE (value) && json_node_get_value_type (value) == G_TYPE_STRING
                         ? json_node_get_string (value)
                         : NULL;
  guint64 n;

  *other = text != NULL && strchr (text, ':') != NULL && !g_str_has_prefix (text, KIND);
  if (text == NULL || *other)
    return *other;
  if (!g_str_has_prefix (text, KIND) || strlen (text) != strlen (KIND) + 8
      || !g_ascii_string_to_unsigned (text + strlen (KIND), 16, 0, G_MAXUINT32, &n, NULL))
    return FALSE;
  *crc = (guint32) n;
  return TRUE;
}

/* Adds the members of @root to @sums. *others: some are of another kind. Returns FALSE if @root is no map of
   checksums */
static gboolean
read_sums (JsonNode *root, GHashTable *sums, gboolean *others)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *member;

  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return FALSE;
  json_object_iter_init (&iter, json_node_get_object (root));
  while (json_object_iter_next (&iter, &name, &member))
    {
      guint32 crc = 0;
      gboolean other;

      if (!read_sum (member, &crc, &other))
        return FALSE;
      *others |= other;
      g_hash_table_insert (sums, g_strdup (name), GUINT_TO_POINTER (crc));
    }
  return TRUE;
}

GHashTable *
qconv_checksums_of (const QconvDirectory *d, GError **error)
{
  GVariant *value = qconv_directory_metadata (d, QCONV_CHECKSUMS);
  const char *text
      = value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? g_variant_get_string (value, NULL) : "";
  g_autoptr (GHashTable) sums = NULL;
  g_autoptr (JsonNode) root = NULL;
  gboolean others = FALSE;

  if (value == NULL)
    return NULL;
  root = qconv_json_text_parse (text, strlen (text), NULL);
  sums = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (read_sums (root, sums, &others))
    return others ? NULL : g_steal_pointer (&sums);
  qconv_fail (error, QCONV_ERROR_INPUT, "the metadata \"" QCONV_CHECKSUMS "\" are no map of checksums");
  return NULL;
}
