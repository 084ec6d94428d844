/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests limits of headers, names in messages, the order of tensors, and the recognition of files. */
#include <string.h>

#include "fixture.h"

#define ENTRY "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}"

static void
assert_header_refused (const char *header, gsize n_data, const char *word)
{
  g_autoptr (Model) m = model_open_header (header, n_data);

  assert_refused (m, word);
}

static char *
header_of_rank (guint rank)
{
  GString *s = g_string_new ("{\"deep\":{\"dtype\":\"U8\",\"shape\":[1");

  for (guint i = 1; i < rank; i++)
    g_string_append (s, ",1");
  g_string_append (s, "],\"data_offsets\":[0,1]}}");
  return g_string_free (s, FALSE);
}

static void
test_rank (void)
{
  g_autofree char *most = header_of_rank (QCONV_MAX_RANK), *more = header_of_rank (QCONV_MAX_RANK + 1),
                  *many = header_of_rank (64);
  g_autoptr (Model) m = model_open_header (most, 1), refused = model_open_header (more, 1);

  assert_opened (m);
  g_assert_cmpuint (qconv_directory_tensor (m->directory, 0)->shape.rank, ==, QCONV_MAX_RANK);
  assert_refused (refused, "tensor \"deep\": 17 dimensions");
  g_assert_error (refused->error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
  assert_header_refused (many, 1, "64 dimensions");
}

static void
test_names (void)
{
  assert_header_refused ("{\"x\":{\"dtype\":\"NVFP4\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                         "tensor \"x\": unknown dtype \"NVFP4\"");
  assert_header_refused ("{\"x\":{\"dtype\":\"OPAQUE\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "\"OPAQUE\"");
  assert_header_refused ("{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1, "tensor \"x\": size");
  assert_header_refused ("{\"x\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "tensor \"x\": no data_offsets");
  assert_header_refused ("{\"__metadata__\":{\"key\":1}}", 0, "metadata key \"key\"");
  assert_header_refused ("{\"__metadata__\":{\"key\":\"a\\u0000b\"}}", 0, "metadata key \"key\": NUL");
  assert_header_refused ("{\"__metadata__\":{\"a\\u0000b\":\"\"}}", 0, "metadata key \"a\"");
  assert_header_refused ("{\"__metadata__\":null,\"__metadata__\":{}}", 0, "duplicate __metadata__");
}

static void
test_numbers (void)
{
  static const char form[] = "{\"x\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[0,1]}}";
  static const char *const bad[]
      = { "-1", "1.0", "1e0", "-0", "01", "+1", "0x1", "18446744073709551616", ".1", "1.", "--1", "1e", "Infinity" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autofree char *header = g_strdup_printf (form, bad[i]);

      assert_header_refused (header, 1, "header: ");
    }
}

static void
test_order (void)
{
  g_autoptr (Model) m = model_open_header ("{\"c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]},"
                                           "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]},"
                                           "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}, "
                                           "\"d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                                           2);
  static const char *const want[] = { "d", "b", "a", "c" };

  assert_opened (m);
  g_assert_cmpuint (qconv_directory_n_tensors (m->directory), ==, 4);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpstr (qconv_directory_tensor (m->directory, i)->name, ==, want[i]);
}

/* Tests more entries than models on the hub have; -m perf takes the largest header that occurs in practice. */
static void
test_many (void)
{
  guint n = g_test_perf () ? 300000 : 20000;
  g_autoptr (GString) header = g_string_new ("{");
  g_autoptr (Model) m = NULL;
  double seconds;

  for (guint i = 0; i < n; i++)
    g_string_append_printf (header,
                            "%s\"model.layers.%u.self_attention.query_key_value.weight_scale\":{\"dtype\":\"U8\","
                            "\"shape\":[1],\"data_offsets\":[%u,%u]}",
                            i > 0 ? "," : "", i, i, i + 1);
  g_string_append_c (header, '}');
  g_test_timer_start ();
  m = model_open_header (header->str, n);
  seconds = g_test_timer_elapsed ();
  assert_opened (m);
  g_assert_cmpuint (qconv_directory_n_tensors (m->directory), ==, n);
  g_test_minimized_result (seconds, "%u entries, %" G_GSIZE_FORMAT " bytes of header: %.2f s", n, header->len, seconds);
}

static guint
score (const char *name, const char *head, gsize n, guint64 size)
{
  const QconvContainer *c = fixture_container ();

  return c->score (c, name, (const guint8 *) head, n, size);
}

static void
test_score (void)
{
  g_assert_cmpuint (score ("model", "\x0a\0\0\0\0\0\0\0 \t\r\n{}", 14, 18), ==, 95);
  g_assert_cmpuint (score ("model", "\x0b\0\0\0\0\0\0\0 \t\r\n{}", 14, 18), ==, 0);
  g_assert_cmpuint (score ("model", "\x02\0\0\0\0\0\0\0[]", 10, 10), ==, 0);
  g_assert_cmpuint (score ("model", "\x01\0\0\0\0\0\0\0{", 9, 9), ==, 0);
  g_assert_cmpuint (score ("model", "\0\0\0\0\0\0\0\x80{}", 10, 10), ==, 0);
  g_assert_cmpuint (score ("model", "", 0, 0), ==, 0);
  g_assert_cmpuint (score ("model.safetensors", "", 0, 0), ==, 10);
  g_assert_cmpuint (score ("model.safetensors.index.json", " {", 2, 2), ==, 60);
  g_assert_cmpuint (score ("model.safetensors.index.json", "[", 1, 1), ==, 0);
  g_assert_cmpuint (score ("config.json", "{}", 2, 2), ==, 0);
}

static void
test_metadata_kept (void)
{
  g_autoptr (Model) m = model_open_header ("{" ENTRY ",\"__metadata__\":{\"b\":\"\",\"a\":\"\\ud83d\\ude00\"}}", 1);

  assert_opened (m);
  g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (m->directory, "a"), NULL), ==, "\xf0\x9f\x98\x80");
  g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (m->directory, "b"), NULL), ==, "");
}

/* Tests that the architecture in the metadata, under the key of GGUF, is a fact about the model */
static void
test_facts (void)
{
  g_autoptr (Model) m = model_open_header ("{\"__metadata__\":{\"general.architecture\":\"llama\"}}", 0);
  g_autoptr (Model) none = model_open_header ("{\"__metadata__\":{\"format\":\"pt\"}}", 0);

  assert_opened (m);
  g_assert_cmpstr (g_variant_get_string (qconv_directory_fact (m->directory, QCONV_FACT_ARCHITECTURE), NULL), ==,
                   "llama");
  assert_opened (none);
  g_assert_null (qconv_directory_fact (none->directory, QCONV_FACT_ARCHITECTURE));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/safetensors/header/rank", test_rank);
  g_test_add_func ("/safetensors/header/names", test_names);
  g_test_add_func ("/safetensors/header/numbers", test_numbers);
  g_test_add_func ("/safetensors/header/order", test_order);
  g_test_add_func ("/safetensors/header/many", test_many);
  g_test_add_func ("/safetensors/header/score", test_score);
  g_test_add_func ("/safetensors/header/metadata", test_metadata_kept);
  g_test_add_func ("/safetensors/header/facts", test_facts);
  return g_test_run ();
}
