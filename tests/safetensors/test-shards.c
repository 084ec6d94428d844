/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests sets of files with and without an index, and all their possible faults. */
#include <glib/gstdio.h>
#include <string.h>

#include "fixture.h"

#define ONE "m-00001-of-00002.safetensors"
#define TWO "m-00002-of-00002.safetensors"
#define INDEX "m.safetensors.index.json"
#define ENTRY(name) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}"

typedef struct {
  char *folder;
} Fixture;

static char *
path_of (const Fixture *f, const char *name)
{
  return g_build_filename (f->folder, name, NULL);
}

static void
write_bytes (const Fixture *f, const char *name, gconstpointer bytes, gsize n)
{
  g_autofree char *path = path_of (f, name);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, bytes, (gssize) n, &error);
  g_assert_no_error (error);
}

static void
write_shard (const Fixture *f, const char *name, const char *header, gsize n_data)
{
  g_autoptr (GByteArray) bytes = file_bytes (header, n_data);

  write_bytes (f, name, bytes->data, bytes->len);
}

static void
write_index (const Fixture *f, const char *text)
{
  write_bytes (f, INDEX, text, strlen (text));
}

static Model *
open_name (const Fixture *f, const char *name)
{
  g_autofree char *path = path_of (f, name);

  return model_open_file (path);
}

/* Makes two shards with the tensors "a" and "b" */
static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->folder = g_dir_make_tmp ("qconv-shards-XXXXXX", &error);
  g_assert_no_error (error);
  write_shard (f, ONE, "{\"__metadata__\":{\"format\":\"pt\",\"one\":\"1\"}," ENTRY ("a") "}", 2);
  write_shard (f, TWO, "{\"__metadata__\":{\"format\":\"pt\",\"two\":\"2\"}," ENTRY ("b") "}", 2);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_autoptr (GDir) folder = g_dir_open (f->folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *path = path_of (f, name);

      g_unlink (path);
    }
  g_rmdir (f->folder);
  g_free (f->folder);
}

static void
assert_both (const Model *m)
{
  const QconvTensor *a = qconv_directory_find (m->directory, "a"), *b = qconv_directory_find (m->directory, "b");
  guint8 bytes[2];

  g_assert_no_error (m->error);
  g_assert_nonnull (a);
  g_assert_nonnull (b);
  g_assert_cmpstr (qconv_source_name (a->source), ==, ONE);
  g_assert_cmpstr (qconv_source_name (b->source), ==, TWO);
  g_assert_true (qconv_tensor_read (b, 0, 2, bytes, NULL));
  g_assert_cmpmem (bytes, 2, "\0\1", 2);
  g_assert_cmpstr (qconv_directory_metadata_keys (m->directory)[0], ==, "format");
  g_assert_cmpuint (g_strv_length ((char **) qconv_directory_metadata_keys (m->directory)), ==, 3);
}

static void
assert_index_refused (const Fixture *f, const char *index, const char *word)
{
  g_autoptr (Model) m = NULL;

  write_index (f, index);
  m = open_name (f, INDEX);
  assert_refused (m, word);
}

static void
test_index (Fixture *f, gconstpointer data)
{
  g_autoptr (Model) by_index = NULL, by_first = NULL, by_last = NULL;

  write_index (f, "{\"metadata\":{\"total_size\":4,\"x\":[1]},\"weight_map\":{\"b\":\"" TWO "\",\"a\":\"" ONE "\"}}\n");
  by_index = open_name (f, INDEX);
  assert_opened (by_index);
  assert_both (by_index);
  by_first = open_name (f, ONE);
  assert_opened (by_first);
  assert_both (by_first);
  by_last = open_name (f, TWO);
  assert_opened (by_last);
  assert_both (by_last);
}

static void
test_pattern (Fixture *f, gconstpointer data)
{
  g_autoptr (Model) by_first = open_name (f, ONE), by_last = open_name (f, TWO);

  assert_opened (by_first);
  assert_both (by_first);
  assert_opened (by_last);
  assert_both (by_last);
  g_assert_cmpstr (qconv_directory_tensor (by_last->directory, 0)->name, ==, "a");
}

static void
test_missing_shard (Fixture *f, gconstpointer data)
{
  g_autofree char *path = path_of (f, ONE);
  g_autoptr (Model) m = NULL, indexed = NULL;

  g_unlink (path);
  m = open_name (f, TWO);
  assert_refused (m, "shard \"" ONE "\"");
  g_assert_error (m->error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  write_index (f, "{\"weight_map\":{\"a\":\"" ONE "\",\"b\":\"" TWO "\"}}");
  indexed = open_name (f, INDEX);
  assert_refused (indexed, "shard \"" ONE "\"");
  g_assert_error (indexed->error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

static void
test_shard_names (Fixture *f, gconstpointer data)
{
  static const char *const bad[] = { "../x.safetensors",
                                     "/x.safetensors",
                                     "sub/x.safetensors",
                                     "..\\\\x.safetensors",
                                     "C:x.safetensors",
                                     "x.bin",
                                     "",
                                     "..",
                                     "x.safetensors/",
                                     "\\\\\\\\h\\\\x.safetensors" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autofree char *index = g_strdup_printf ("{\"weight_map\":{\"a\":\"%s\"}}", bad[i]);

      assert_index_refused (f, index, "index: shard ");
    }
  assert_index_refused (f, "{\"weight_map\":{\"a\":\"" ONE "\\u0000\"}}", "NUL");
}

static void
test_bad_index (Fixture *f, gconstpointer data)
{
  assert_index_refused (f, "{}", "no weight_map");
  assert_index_refused (f, "{\"weight_map\":{}}", "no weight_map");
  assert_index_refused (f, "{\"weight_map\":[]}", "weight_map is not an object");
  assert_index_refused (f, "{\"weight_map\":{\"a\":1}}", "file name");
  assert_index_refused (f, "{\"weight_map\":{\"a\":\"" ONE "\",\"\\u0061\":\"" TWO "\"}}", "duplicate tensor");
  assert_index_refused (f, "{\"weight_map\":{\"a\":\"" ONE "\"},\"weight_map\":{}}", "duplicate weight_map");
  assert_index_refused (f, "{\"metadata\":{},\"metadata\":{},\"weight_map\":{}}", "duplicate metadata");
  assert_index_refused (f, "{\"metadata\":{\"total_size\":1,\"total_size\":1}}", "duplicate total_size");
  assert_index_refused (f, "{\"weight_map\":{\"a\\u0000\":\"" ONE "\"}}", "NUL");
  assert_index_refused (f, "{\"weight_map\":{\"a\":\"" ONE "\"}", "ends too early");
  assert_index_refused (f, "{\"weight_map\":{\"a\":\"" ONE "\"}} x", "follows");
  assert_index_refused (f, "{\"weight_map\":{\"\xff\":\"" ONE "\"}}", "UTF-8");
  assert_index_refused (f, "", "ends too early");
}

static void
test_misplaced (Fixture *f, gconstpointer data)
{
  assert_index_refused (f, "{\"weight_map\":{\"a\":\"" TWO "\",\"b\":\"" ONE "\"}}", "missing from its shard");
  assert_index_refused (f, "{\"weight_map\":{\"a\":\"" ONE "\",\"c\":\"" TWO "\"}}", "\"c\" is missing from its shard");
}

static void
test_twice (Fixture *f, gconstpointer data)
{
  g_autoptr (Model) m = NULL;

  write_shard (f, TWO, "{" ENTRY ("a") "}", 2);
  m = open_name (f, ONE);
  assert_refused (m, "shard \"" TWO "\": duplicate tensor \"a\": it is in \"" ONE "\" too");
}

static void
test_unmapped (Fixture *f, gconstpointer data)
{
  g_autoptr (Model) m = NULL;

  write_shard (f, TWO,
               "{\"__metadata__\":{\"two\":\"\"}," ENTRY ("b") ",\"x\":{\"dtype\":\"U8\",\"shape\":[0],"
                                                               "\"data_offsets\":[2,2]}}",
               2);
  write_index (f, "{\"weight_map\":{\"a\":\"" ONE "\",\"b\":\"" TWO "\"}}");
  m = open_name (f, INDEX);
  g_assert_nonnull (strstr (only_warning (m), "not in the index"));
  assert_both (m);
  g_assert_nonnull (qconv_directory_find (m->directory, "x"));
}

static void
test_total_size (Fixture *f, gconstpointer data)
{
  g_autoptr (Model) m = NULL, real = NULL;

  write_index (f, "{\"weight_map\":{\"a\":\"" ONE "\",\"b\":\"" TWO "\"},\"metadata\":{\"total_size\":5}}");
  m = open_name (f, INDEX);
  g_assert_nonnull (strstr (only_warning (m), "total_size"));
  assert_both (m);
  write_index (f, "{\"weight_map\":{\"a\":\"" ONE "\",\"b\":\"" TWO "\"},\"metadata\":{\"total_size\":4.0}}");
  real = open_name (f, INDEX);
  assert_opened (real);
}

static void
test_metadata_differs (Fixture *f, gconstpointer data)
{
  g_autoptr (Model) m = NULL;

  write_shard (f, TWO, "{\"__metadata__\":{\"format\":\"tf\",\"two\":\"\"}," ENTRY ("b") "}", 2);
  m = open_name (f, ONE);
  g_assert_nonnull (strstr (only_warning (m), "format: this metadata"));
  assert_both (m);
  g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (m->directory, "format"), NULL), ==, "pt");
}

static void
test_not_named (Fixture *f, gconstpointer data)
{
  g_autoptr (Model) m = NULL;

  write_index (f, "{\"weight_map\":{\"b\":\"" TWO "\"}}");
  m = open_name (f, ONE);
  assert_refused (m, "does not name this shard");
}

static void
test_broken_shard (Fixture *f, gconstpointer data)
{
  g_autoptr (Model) m = NULL;

  write_shard (f, TWO, "{" ENTRY ("b") "}", 1);
  m = open_name (f, ONE);
  assert_refused (m, "shard \"" TWO "\": truncated");
}

/* Tests names that look like members of a set but are not. */
static void
test_single (Fixture *f, gconstpointer data)
{
  static const char *const names[]
      = { "x-00003-of-00002.safetensors", "x-00000-of-00000.safetensors",  "-00001-of-00002.safetensors",
          "x-1-of-2.safetensors",         "x-000001-of-00002.safetensors", "x-00001-of-00001.safetensors" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (Model) m = NULL;

      write_shard (f, names[i], "{" ENTRY ("a") "}", 2);
      m = open_name (f, names[i]);
      assert_opened (m);
      g_assert_cmpuint (qconv_directory_n_tensors (m->directory), ==, 1);
    }
}

/* Tests names, metadata and index of shards that are written */
static void
test_write (Fixture *f, gconstpointer data)
{
  static const char want[] = "{\n  \"metadata\": {\n    \"total_size\": 6\n  },\n  \"weight_map\": {\n"
                             "    \"a \\\"q\\\"\": \"" TWO "\",\n    \"b\": \"" ONE "\"\n  }\n}\n";
  const QconvSplit *s = fixture_container ()->split;
  g_autoptr (QconvDirectory) whole = qconv_directory_new (NULL, NULL), first = qconv_directory_new (NULL, NULL);
  g_autoptr (QconvDirectory) second = qconv_directory_new (NULL, NULL);
  g_autofree char *one = s->part_name ("m.safetensors", 0, 2), *two = s->part_name ("m", 1, 2);
  g_autofree char *index = s->index_name ("m.safetensors"), *other = s->index_name ("m");
  g_autoptr (GByteArray) text = g_byte_array_new ();

  g_assert_cmpstr (one, ==, ONE);
  g_assert_cmpstr (two, ==, TWO);
  g_assert_cmpstr (index, ==, INDEX);
  g_assert_cmpstr (other, ==, INDEX);
  plan_tensor (whole, "b", QCONV_U8, &QCONV_SHAPE1 (4));
  plan_tensor (whole, "a \"q\"", QCONV_U8, &QCONV_SHAPE1 (2));
  qconv_directory_planned (whole, 1)->file = 1;
  qconv_directory_set_metadata (whole, "format", g_variant_new_string ("pt"), NULL);
  qconv_directory_set_metadata (whole, "author", g_variant_new_string ("me"), NULL);
  g_assert_true (s->part_metadata (whole, 0, 2, first, NULL) && s->part_metadata (whole, 1, 2, second, NULL));
  g_assert_nonnull (qconv_directory_metadata (first, "author"));
  g_assert_null (qconv_directory_metadata (second, "author"));
  g_assert_nonnull (qconv_directory_metadata (second, "format"));
  g_assert_true (s->index (whole, (const char *const[]) { ONE, TWO, NULL }, text, NULL));
  g_assert_cmpmem (text->data, text->len, want, sizeof want - 1);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*run) (Fixture *, gconstpointer);
  } tests[] = {
    { "index", test_index },
    { "pattern", test_pattern },
    { "missing-shard", test_missing_shard },
    { "shard-names", test_shard_names },
    { "bad-index", test_bad_index },
    { "misplaced", test_misplaced },
    { "twice", test_twice },
    { "unmapped", test_unmapped },
    { "total-size", test_total_size },
    { "metadata-differs", test_metadata_differs },
    { "not-named", test_not_named },
    { "broken-shard", test_broken_shard },
    { "single", test_single },
    { "write", test_write },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/safetensors/shards/", tests[i].name, NULL);

      g_test_add (path, Fixture, NULL, set_up, tests[i].run, tear_down);
    }
  return g_test_run ();
}
