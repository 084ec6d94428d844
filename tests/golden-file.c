/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads golden files in safetensors and GGUF, for all tests. */
#include "golden-file.h"

#include <json-glib/json-glib.h>
#include <string.h>

char *
golden_path (const char *relative)
{
  const char *folder = g_getenv ("QCONV_TEST_GOLDEN");

  if (folder != NULL)
    return g_build_filename (folder, relative, NULL);
  return g_test_build_filename (G_TEST_DIST, "golden", relative, NULL);
}

static void
tensor_free (gpointer data)
{
  GoldenTensor *t = data;

  g_free (t->name);
  g_free (t->dtype);
  g_free (t);
}

/* Returns the next @width bytes, little-endian, as a number */
static guint64
take_number (const GoldenFile *file, gsize *at, guint width)
{
  guint64 v = 0;

  g_assert_cmpuint (*at + width, <=, file->size);
  for (guint i = 0; i < width; i++)
    v |= (guint64) file->bytes[*at + i] << (8 * i);
  *at += width;
  return v;
}

static char *
take_string (const GoldenFile *file, gsize *at)
{
  gsize n = take_number (file, at, 8);

  g_assert_cmpuint (n, <=, file->size - *at);
  *at += n;
  return g_strndup ((const char *) file->bytes + *at - n, n);
}

static void
parse_safetensors_entry (JsonObject *header, const char *name, JsonNode *node, gpointer data)
{
  GoldenFile *file = data;
  gsize at = 0, start = take_number (file, &at, 8) + 8;
  JsonObject *entry = json_node_get_object (node);
  JsonArray *shape, *offsets;
  GoldenTensor *t;

  if (strcmp (name, "__metadata__") == 0)
    {
      file->about = g_strdup (json_object_get_string_member_with_default (entry, "golden", NULL));
      return;
    }
  shape = json_object_get_array_member (entry, "shape");
  offsets = json_object_get_array_member (entry, "data_offsets");
  t = g_new0 (GoldenTensor, 1);
  t->name = g_strdup (name);
  t->dtype = g_strdup (json_object_get_string_member (entry, "dtype"));
  t->rank = json_array_get_length (shape);
  t->n_items = 1;
  for (guint i = 0; i < t->rank; i++)
    t->n_items *= t->shape[i] = json_array_get_int_element (shape, i);
  t->data = file->bytes + start + json_array_get_int_element (offsets, 0);
  t->size = json_array_get_int_element (offsets, 1) - json_array_get_int_element (offsets, 0);
  g_ptr_array_add (file->tensors, t);
}

static void
parse_safetensors (GoldenFile *file)
{
  gsize at = 0, n = take_number (file, &at, 8);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;

  json_parser_load_from_data (parser, (const char *) file->bytes + at, n, &error);
  g_assert_no_error (error);
  json_object_foreach_member (json_node_get_object (json_parser_get_root (parser)), parse_safetensors_entry, file);
}

static void
skip_gguf_metadata (GoldenFile *file, gsize *at)
{
  static const guint widths[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
  guint64 type;

  g_free (take_string (file, at));
  type = take_number (file, at, 4);
  g_assert_cmpuint (type, <, G_N_ELEMENTS (widths));
  g_assert_cmpuint (type, !=, 9);
  if (type == 8)
    g_free (take_string (file, at));
  else
    *at += widths[type];
}

static void
parse_gguf (GoldenFile *file)
{
  gsize at = 8, n_tensors = take_number (file, &at, 8), n_metadata = take_number (file, &at, 8);

  for (gsize i = 0; i < n_metadata; i++)
    skip_gguf_metadata (file, &at);
  for (gsize i = 0; i < n_tensors; i++)
    {
      GoldenTensor *t = g_new0 (GoldenTensor, 1);

      t->name = take_string (file, &at);
      t->rank = take_number (file, &at, 4);
      t->n_items = 1;
      for (guint k = t->rank; k > 0; k--)
        t->n_items *= t->shape[k - 1] = take_number (file, &at, 8);
      t->ggml_type = take_number (file, &at, 4);
      t->size = take_number (file, &at, 8);
      g_ptr_array_add (file->tensors, t);
    }
  at = (at + 31) & ~(gsize) 31;
  for (guint i = 0; i < file->tensors->len; i++)
    {
      GoldenTensor *t = file->tensors->pdata[i];

      t->data = file->bytes + at + t->size;
      t->size = file->size - at - t->size;
    }
}

GoldenFile *
golden_file_open (const char *relative)
{
  g_autofree char *path = golden_path (relative);
  g_autoptr (GoldenFile) file = g_new0 (GoldenFile, 1);
  g_autoptr (GError) error = NULL;

  file->tensors = g_ptr_array_new_with_free_func (tensor_free);
  g_file_get_contents (path, (char **) &file->bytes, &file->size, &error);
  g_assert_no_error (error);
  if (g_str_has_suffix (path, ".gguf"))
    parse_gguf (file);
  else
    parse_safetensors (file);
  g_assert_cmpuint (file->tensors->len, >, 0);
  return g_steal_pointer (&file);
}

void
golden_file_free (GoldenFile *file)
{
  g_ptr_array_unref (file->tensors);
  g_clear_pointer (&file->informative, g_hash_table_unref);
  g_free (file->about);
  g_free (file->bytes);
  g_free (file);
}

const GoldenTensor *
golden_file_tensor (const GoldenFile *file, const char *name)
{
  for (guint i = 0; i < file->tensors->len; i++)
    {
      const GoldenTensor *t = file->tensors->pdata[i];

      if (strcmp (t->name, name) == 0)
        return t;
    }
  g_error ("the golden file has no tensor %s", name);
}

void
golden_assert_same_floats (const float *got, const float *want, gsize n)
{
  g_assert_cmpuint (n, >, 0);
  for (gsize i = 0; i < n; i++)
    {
      guint32 a, b;

      memcpy (&a, got + i, sizeof a);
      memcpy (&b, want + i, sizeof b);
      if (a != b && !(got[i] != got[i] && want[i] != want[i]))
        g_error ("item %" G_GSIZE_FORMAT " is %.9g (%08x), not %.9g (%08x)", i, (double) got[i], a, (double) want[i],
                 b);
    }
}

/* Returns: (transfer full): the names of layers that the text calls informative */
static GHashTable *
read_informative (const char *about)
{
  GHashTable *names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GList) members = NULL;
  JsonObject *golden;

  g_assert_nonnull (about);
  json_parser_load_from_data (parser, about, -1, &error);
  g_assert_no_error (error);
  golden = json_node_get_object (json_parser_get_root (parser));
  members = json_object_get_members (json_object_get_object_member (golden, "informative"));
  for (const GList *l = members; l != NULL; l = l->next)
    g_hash_table_add (names, g_strdup (l->data));
  return names;
}

gboolean
golden_file_informative (GoldenFile *file, const char *layer)
{
  if (file->informative == NULL)
    file->informative = read_informative (file->about);
  return g_hash_table_contains (file->informative, layer);
}
