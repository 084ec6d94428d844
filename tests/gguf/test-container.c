/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests good files: names, shapes, types, metadata, versions and byte orders. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "fixture.h"
#include "golden-file.h"
#include "types.h"

/* ---- Golden files ---- */

static void
compare_tensor (const Model *m, JsonArray *expected)
{
  const char *name = json_array_get_string_element (expected, 0);
  JsonArray *shape = json_array_get_array_element (expected, 1);
  const GgufType *type = qconv_gguf_type ((guint32) json_array_get_int_element (expected, 2));
  g_autofree char *layer = g_str_has_suffix (name, ".weight") ? g_strndup (name, strlen (name) - 7) : g_strdup (name);
  const SourceLayer *s = model_layer (m, layer);
  const QconvTensor *t = qconv_directory_find (m->directory, name);

  g_assert_cmpstr (s->plain_name, ==, name);
  g_assert_cmpstr (t->type, ==, type->name);
  g_assert_cmpuint (s->layer->pub.shape.rank, ==, json_array_get_length (shape));
  for (guint i = 0; i < json_array_get_length (shape); i++)
    g_assert_cmpuint (s->layer->pub.shape.dim[i], ==, json_array_get_int_element (shape, i));
}

static void
compare_file (JsonObject *object, const char *name, JsonNode *node, gpointer data)
{
  g_autofree char *relative = g_strconcat ("gguf/container/", name, NULL), *path = golden_path (relative);
  g_autoptr (Model) m = model_open (path, "byte-order=swapped");
  JsonArray *tensors = json_object_get_array_member (json_node_get_object (node), "tensors");

  model_claim (m, NULL, FALSE);
  assert_opened (m);
  g_assert_cmpuint (json_array_get_length (tensors), >, 0);
  g_assert_cmpuint (m->layers->len, ==, json_array_get_length (tensors));
  for (guint i = 0; i < json_array_get_length (tensors); i++)
    compare_tensor (m, json_array_get_array_element (tensors, i));
  ++*(guint *) data;
}

static void
test_expected (void)
{
  g_autofree char *path = golden_path ("gguf/container/expected.json");
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  guint n = 0;

  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  json_object_foreach_member (json_node_get_object (json_parser_get_root (parser)), compare_file, &n);
  g_assert_cmpuint (n, ==, 11);
}

/* ---- Metadata ---- */

static void
assert_value (const Model *m, const char *key, const char *expected)
{
  GVariant *value = qconv_directory_metadata (m->directory, key);
  g_autofree char *text = NULL;

  g_assert_nonnull (value);
  g_assert_true (g_variant_is_normal_form (value));
  text = g_variant_print (value, TRUE);
  g_assert_cmpstr (text, ==, expected);
}

static void
test_all_values (void)
{
  static const char *const values[][2] = {
    { "general.architecture", "'flux'" },
    { "general.alignment", "uint32 64" },
    { "t.u8", "byte 0xff" },
    { "t.i8", "int16 -128" },
    { "t.u16", "uint16 65535" },
    { "t.i16", "int16 -32768" },
    { "t.u32", "uint32 4294967295" },
    { "t.i32", "-2147483648" },
    { "t.f32", "-0.15625" },
    { "t.true", "true" },
    { "t.false", "false" },
    { "t.str", "'grüß 你好 \"quoted\"\\nline'" },
    { "t.u64", "uint64 18446744073709551615" },
    { "t.i64", "int64 -9223372036854775808" },
    { "t.f64", "0.10000000000000001" },
    { "t.arr.i32", "[1, -2, 3]" },
    { "t.arr.f32", "[0.5, -0.25]" },
    { "t.arr.bool", "[true, false, true]" },
    { "t.arr.str", "['a', 'é', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx']" },
    { "t.arr.u8", "[byte 0x00, 0xff]" },
    { "t.arr.i8", "[int16 -1, 1]" },
    { "t.arr.u16", "[uint16 65535]" },
    { "t.arr.i16", "[int16 -5]" },
    { "t.arr.u32", "[uint32 7, 8]" },
    { "t.arr.u64", "[uint64 9223372036854775808]" },
    { "t.arr.i64", "[int64 -4611686018427387904]" },
    { "t.arr.f64", "[1.0000000000000001e+300]" },
  };
  g_autofree char *path = golden_path ("gguf/container/kv-all.gguf");
  g_autoptr (Model) m = model_open (path, NULL);

  assert_opened (m);
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    assert_value (m, values[i][0], values[i][1]);
  g_assert_cmpuint (g_strv_length ((char **) qconv_directory_metadata_keys (m->directory)), ==, G_N_ELEMENTS (values));
}

/* Opens a file of "llama" with @heads; @kind is the type of that number. */
static Model *
open_with_heads (guint32 kind, guint heads)
{
  g_autoptr (Build) b = build_new (FALSE);

  build_text (b, "general.architecture", "llama");
  build_integer (b, "llama.attention.head_count", kind, heads);
  build_integer (b, "llama.block_count", kind, heads + 1);
  return model_open_build (b, NULL);
}

static void
test_facts (void)
{
  static const guint32 kinds[] = { KV_U32, KV_U64, KV_I32 };
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) none = model_open_build (b, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr (Model) m = open_with_heads (kinds[i], 32);
      GVariant *heads = qconv_directory_fact (m->directory, QCONV_FACT_N_HEADS);
      GVariant *blocks = qconv_directory_fact (m->directory, QCONV_FACT_N_BLOCKS);

      assert_opened (m);
      g_assert_cmpstr (g_variant_get_string (qconv_directory_fact (m->directory, QCONV_FACT_ARCHITECTURE), NULL), ==,
                       "llama");
      g_assert_true (kinds[i] == KV_I32 ? heads == NULL : g_variant_get_uint64 (heads) == 32);
      g_assert_true (kinds[i] == KV_I32 ? blocks == NULL : g_variant_get_uint64 (blocks) == 33);
    }
  assert_opened (none);
  g_assert_null (qconv_directory_fact (none->directory, QCONV_FACT_ARCHITECTURE));
  g_assert_null (qconv_directory_fact (none->directory, QCONV_FACT_N_HEADS));
}

static void
append_text (GByteArray *to, const char *text, guint n)
{
  guint64 length = GUINT64_TO_LE ((guint64) n);

  g_byte_array_append (to, (const guint8 *) &length, sizeof length);
  g_byte_array_append (to, (const guint8 *) text, n);
}

static GByteArray *
start_texts (guint64 n)
{
  GByteArray *value = g_byte_array_new ();
  guint32 kind = GUINT32_TO_LE (KV_STRING);

  n = GUINT64_TO_LE (n);
  g_byte_array_append (value, (const guint8 *) &kind, sizeof kind);
  g_byte_array_append (value, (const guint8 *) &n, sizeof n);
  return value;
}

/* Tests arrays of texts whose ends take 1, 2 and 4 bytes, and the sizes at which that changes. */
static void
test_text_arrays (void)
{
  static const guint counts[] = { 0, 1, 2, 40, 41, 42, 43, 44, 50, 51, 250, 8000, 10000, 13000, 14000, 100000 };

  for (guint k = 0; k < G_N_ELEMENTS (counts); k++)
    {
      g_autoptr (Build) b = build_new (FALSE);
      g_autoptr (GByteArray) value = start_texts (counts[k]);
      g_autoptr (Model) m = NULL;
      GVariant *texts;

      for (guint i = 0; i < counts[k]; i++)
        {
          g_autofree char *text = g_strdup_printf ("%u", i);

          append_text (value, text, (guint) strlen (text));
        }
      build_raw (b, "k", KV_ARRAY, value->data, value->len);
      m = model_open_build (b, NULL);
      assert_opened (m);
      texts = qconv_directory_metadata (m->directory, "k");
      g_assert_true (g_variant_is_of_type (texts, G_VARIANT_TYPE_STRING_ARRAY));
      g_assert_true (g_variant_is_normal_form (texts));
      g_assert_cmpuint (g_variant_n_children (texts), ==, counts[k]);
      for (guint i = 0; i < counts[k]; i++)
        {
          const char *text;

          g_variant_get_child (texts, i, "&s", &text);
          g_assert_cmpuint (g_ascii_strtoull (text, NULL, 10), ==, i);
        }
    }
}

/* Tests that text that a GVariant cannot hold is kept as bytes, with a warning unless it is UTF-8. */
static void
test_odd_texts (void)
{
  static const struct {
    const char *text;
    guint n;
    gboolean warns;
  } cases[] = { { "a\0b", 3, FALSE }, { "\0", 1, FALSE }, { "a\xff", 2, TRUE }, { "\0\xc3", 2, TRUE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Build) b = build_new (FALSE);
      g_autoptr (GByteArray) one = g_byte_array_new (), two = start_texts (2);
      g_autoptr (GVariant) bytes = NULL, second = NULL, text = NULL;
      g_autoptr (Model) m = NULL;
      GVariant *value, *array;
      gconstpointer data;
      gsize n;

      append_text (one, cases[i].text, cases[i].n);
      append_text (two, "plain", 5);
      append_text (two, cases[i].text, cases[i].n);
      build_raw (b, "one", KV_STRING, one->data, one->len);
      build_raw (b, "two", KV_ARRAY, two->data, two->len);
      m = model_open_build (b, NULL);
      if (cases[i].warns)
        assert_warned (m, "UTF-8");
      else
        assert_opened (m);
      value = qconv_directory_metadata (m->directory, "one");
      array = qconv_directory_metadata (m->directory, "two");
      text = g_variant_get_child_value (value, 0);
      data = g_variant_get_fixed_array (text, &n, 1);
      g_assert_cmpmem (data, n, cases[i].text, cases[i].n + 1);
      g_assert_true (g_variant_is_of_type (array, G_VARIANT_TYPE_BYTESTRING_ARRAY));
      second = g_variant_get_child_value (array, 1);
      g_assert_true (g_variant_equal (second, text));
      bytes = g_variant_get_child_value (array, 0);
      g_assert_cmpstr (g_variant_get_bytestring (bytes), ==, "plain");
    }
}

/* ---- Byte order, versions, types ---- */

static void
test_big_endian (void)
{
  static const guint8 data[64];
  g_autoptr (Build) b = build_new (TRUE);
  g_autoptr (Model) swapped = NULL, raw = NULL, quiet = NULL;

  build_integer (b, "x", KV_U64, G_GINT64_CONSTANT (0x0102030405060708));
  build_tensor (b, "f32", 0, data, 8, 2, -1);
  build_tensor (b, "i8", 24, data, 2, 2, -1);
  build_tensor (b, "bf16", 30, data, 4, 2, -1);
  build_tensor (b, "q8_0", 8, data, 34, 32, -1);
  swapped = model_open_build (b, "byte-order=swapped");
  raw = model_open_build (b, "byte-order=raw");
  quiet = model_open_build (b, NULL);
  assert_opened (swapped);
  assert_opened (raw);
  assert_warned (quiet, "2 BF16 or block tensors, the first is \"bf16\"");
  assert_value (swapped, "x", "uint64 72623859790382856");
  g_assert_true (qconv_directory_find (swapped->directory, "f32")->big_endian);
  g_assert_true (qconv_directory_find (swapped->directory, "bf16")->big_endian);
  g_assert_true (qconv_directory_find (swapped->directory, "q8_0")->big_endian);
  g_assert_true (qconv_directory_find (raw->directory, "f32")->big_endian);
  g_assert_false (qconv_directory_find (raw->directory, "bf16")->big_endian);
  g_assert_false (qconv_directory_find (raw->directory, "q8_0")->big_endian);
}

static void
test_versions (void)
{
  for (guint version = 1; version <= 3; version++)
    for (guint big = 0; big < 2; big++)
      {
        static const gint64 numbers[] = { 5, 6, 7 };
        static const guint8 data[24];
        g_autoptr (Build) b = build_new (big != 0);
        g_autoptr (Model) m = NULL;

        b->version = version;
        build_integers (b, "k", KV_I16, numbers, G_N_ELEMENTS (numbers));
        build_text (b, "s", "text");
        build_tensor (b, "t", 0, data, sizeof data, 3, 2, -1);
        m = model_open_build (b, NULL);
        assert_opened (m);
        assert_value (m, "k", "[int16 5, 6, 7]");
        assert_value (m, "s", "'text'");
        g_assert_true (qconv_shape_equal (&qconv_directory_tensor (m->directory, 0)->shape, &QCONV_SHAPE2 (2, 3)));
      }
}

/* Tests number, name and bytes of a block of each type, which are written by hand here a second time. */
static void
test_types (void)
{
  static const struct {
    guint32 id;
    const char *name;
    guint items, bytes;
  } types[] = {
    { 0, "F32", 1, 4 },         { 1, "F16", 1, 2 },         { 2, "Q4_0", 32, 18 },      { 3, "Q4_1", 32, 20 },
    { 6, "Q5_0", 32, 22 },      { 7, "Q5_1", 32, 24 },      { 8, "Q8_0", 32, 34 },      { 9, "Q8_1", 32, 36 },
    { 10, "Q2_K", 256, 84 },    { 11, "Q3_K", 256, 110 },   { 12, "Q4_K", 256, 144 },   { 13, "Q5_K", 256, 176 },
    { 14, "Q6_K", 256, 210 },   { 15, "Q8_K", 256, 292 },   { 16, "IQ2_XXS", 256, 66 }, { 17, "IQ2_XS", 256, 74 },
    { 18, "IQ3_XXS", 256, 98 }, { 19, "IQ1_S", 256, 50 },   { 20, "IQ4_NL", 32, 18 },   { 21, "IQ3_S", 256, 110 },
    { 22, "IQ2_S", 256, 82 },   { 23, "IQ4_XS", 256, 136 }, { 24, "I8", 1, 1 },         { 25, "I16", 1, 2 },
    { 26, "I32", 1, 4 },        { 27, "I64", 1, 8 },        { 28, "F64", 1, 8 },        { 29, "IQ1_M", 256, 56 },
    { 30, "BF16", 1, 2 },       { 34, "TQ1_0", 256, 54 },   { 35, "TQ2_0", 256, 66 },   { 39, "MXFP4", 32, 17 },
    { 40, "NVFP4", 64, 36 },    { 41, "Q1_0", 128, 18 },    { 42, "Q2_0", 64, 18 },
  };
  guint known = 0;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr (Build) b = build_new (FALSE);
      g_autofree guint8 *data = g_malloc0 (3 * types[i].bytes);
      g_autoptr (Model) m = NULL;

      build_tensor (b, "t", types[i].id, data, 3 * types[i].bytes, (int) types[i].items, 3, -1);
      m = model_open_build (b, NULL);
      assert_opened (m);
      g_assert_cmpstr (qconv_directory_tensor (m->directory, 0)->type, ==, types[i].name);
      g_assert_cmpuint (qconv_directory_tensor (m->directory, 0)->n_bytes, ==, 3 * types[i].bytes);
    }
  for (guint32 id = 0; id < 1000; id++)
    known += qconv_gguf_type (id) != NULL;
  g_assert_cmpuint (known, ==, G_N_ELEMENTS (types));
}

static void
test_shapes (void)
{
  static const guint8 data[64];
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) m = NULL;

  build_tensor (b, "scalar", 0, data, 4, -1);
  build_tensor (b, "empty", 0, data, 0, 4, 0, 3, -1);
  build_tensor (b, "empty-blocks", 8, data, 0, 0, 3, -1);
  build_tensor (b, "eight", 0, data, 32, 1, 2, 1, 2, 1, 2, 1, 1, -1);
  m = model_open_build (b, NULL);
  model_claim (m, NULL, FALSE);
  assert_opened (m);
  g_assert_cmpuint (qconv_directory_find (m->directory, "scalar")->shape.rank, ==, 0);
  g_assert_cmpuint (qconv_directory_find (m->directory, "empty")->n_bytes, ==, 0);
  g_assert_cmpuint (qconv_directory_find (m->directory, "eight")->shape.rank, ==, 8);
  g_assert_cmpuint (qconv_directory_find (m->directory, "eight")->shape.dim[6], ==, 2);
}

static void
test_score (void)
{
  const QconvContainer *c = qconv_plugin_gguf ()->containers[0];

  g_assert_cmpuint (c->score (c, "x", (const guint8 *) "GGUF", 4, 4), ==, 100);
  g_assert_cmpuint (c->score (c, "x.gguf", (const guint8 *) "GGU", 3, 3), ==, 0);
  g_assert_cmpuint (c->score (c, "x.gguf", (const guint8 *) "FUGG", 4, 4), ==, 0);
}

int
main (int argc, char **argv)
{
  fixture_init (&argc, &argv);
  g_test_add_func ("/gguf/container/expected", test_expected);
  g_test_add_func ("/gguf/container/all-values", test_all_values);
  g_test_add_func ("/gguf/container/facts", test_facts);
  g_test_add_func ("/gguf/container/text-arrays", test_text_arrays);
  g_test_add_func ("/gguf/container/odd-texts", test_odd_texts);
  g_test_add_func ("/gguf/container/big-endian", test_big_endian);
  g_test_add_func ("/gguf/container/versions", test_versions);
  g_test_add_func ("/gguf/container/types", test_types);
  g_test_add_func ("/gguf/container/shapes", test_shapes);
  g_test_add_func ("/gguf/container/score", test_score);
  return g_test_run ();
}
