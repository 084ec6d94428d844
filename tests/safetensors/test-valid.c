/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests odd but valid files: qconv reads the same as the reference package, and reads the same again after writing. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "fixture.h"
#include "golden-file.h"

#define MIN_FILES 53

static void
compare_metadata (const Model *m, JsonNode *want)
{
  const char *const *keys = qconv_directory_metadata_keys (m->directory);
  JsonObject *object = JSON_NODE_HOLDS_OBJECT (want) ? json_node_get_object (want) : NULL;

  g_assert_cmpuint (g_strv_length ((char **) keys), ==, object != NULL ? json_object_get_size (object) : 0);
  for (guint i = 0; keys[i] != NULL; i++)
    g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (m->directory, keys[i]), NULL), ==,
                     json_object_get_string_member (object, keys[i]));
}

static void
compare_tensor (const QconvTensor *t, JsonObject *want)
{
  const char *hex = json_object_get_string_member (want, "data");
  JsonArray *shape = json_object_get_array_member (want, "shape");
  g_autofree guint8 *bytes = g_malloc (t->n_bytes + 1);
  g_autoptr (GString) got = g_string_new (NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpstr (t->type, ==, json_object_get_string_member (want, "dtype"));
  g_assert_cmpstr (qconv_dtype_name (t->dtype), ==, t->type);
  g_assert_cmpuint (t->shape.rank, ==, json_array_get_length (shape));
  /* 2^63 among the dimensions: json-glib wraps it, and the cast wraps it back */
  for (guint i = 0; i < t->shape.rank; i++)
    g_assert_cmpuint (t->shape.dim[i], ==, (guint64) json_array_get_int_element (shape, i));
  g_assert_true (qconv_tensor_read (t, 0, t->n_bytes, bytes, &error));
  g_assert_no_error (error);
  for (guint64 i = 0; i < t->n_bytes; i++)
    g_string_append_printf (got, "%02x", bytes[i]);
  g_assert_cmpstr (got->str, ==, hex);
}

static void
compare (const Model *m, JsonObject *want)
{
  JsonObject *tensors = json_object_get_object_member (want, "tensors");
  guint n = qconv_directory_n_tensors (m->directory);

  assert_opened (m);
  compare_metadata (m, json_object_get_member (want, "metadata"));
  g_assert_cmpuint (n, ==, json_object_get_size (tensors));
  for (guint i = 0; i < n; i++)
    {
      const QconvTensor *t = qconv_directory_tensor (m->directory, i);

      g_assert_true (json_object_has_member (tensors, t->name));
      compare_tensor (t, json_object_get_object_member (tensors, t->name));
    }
}

static GByteArray *
write_again (const Model *m)
{
  g_autoptr (QconvDirectory) planned = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GPtrArray) data = g_ptr_array_new_with_free_func (g_free);
  const char *const *keys = qconv_directory_metadata_keys (m->directory);
  g_autoptr (GError) error = NULL;
  GByteArray *bytes;

  for (guint i = 0; keys[i] != NULL; i++)
    qconv_directory_replace_metadata (planned, keys[i], qconv_directory_metadata (m->directory, keys[i]));
  for (guint i = 0; i < qconv_directory_n_tensors (m->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (m->directory, i);
      guint8 *copy = g_malloc (t->n_bytes + 1);

      plan_tensor (planned, t->name, t->dtype, &t->shape);
      qconv_tensor_read (t, 0, t->n_bytes, copy, &error);
      g_assert_no_error (error);
      g_ptr_array_add (data, copy);
    }
  bytes = lay_out (planned, (const char *const *) data->pdata, &error);
  g_assert_no_error (error);
  return bytes;
}

static JsonObject *expected;

static void
test_file (gconstpointer data)
{
  const char *name = data;
  g_autofree char *relative = g_build_filename ("safetensors", "good", name, NULL), *path = golden_path (relative);
  g_autoptr (Model) m = model_open_file (path), again = NULL;
  g_autoptr (GByteArray) bytes = NULL;
  JsonObject *want = json_object_get_object_member (expected, name);

  g_test_message ("%s", json_object_get_string_member (want, "case"));
  compare (m, want);
  bytes = write_again (m);
  again = model_open_bytes (bytes->data, bytes->len);
  compare (again, want);
}

int
main (int argc, char **argv)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GList) names = NULL;
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
  path = golden_path ("safetensors/good/expected.json");
  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  expected = json_node_get_object (json_parser_get_root (parser));
  names = json_object_get_members (expected);
  g_assert_cmpuint (g_list_length (names), >=, MIN_FILES);
  for (GList *l = names; l != NULL; l = l->next)
    {
      g_autofree char *test = g_strconcat ("/safetensors/valid/", l->data, NULL);

      g_test_add_data_func (test, l->data, test_file);
    }
  return g_test_run ();
}
