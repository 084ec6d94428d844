/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests files that equal those of the reference serializer byte for byte, and tensors that cannot be written. */
#include <string.h>

#include "fixture.h"

static void
assert_file (GByteArray *got, const char *header, const char *data, gsize n_data)
{
  guint64 length = GUINT64_TO_LE ((guint64) strlen (header));

  g_assert_nonnull (got);
  g_assert_cmpmem (got->data, MIN (got->len, 8), &length, 8);
  g_assert_cmpmem (got->data + 8, MIN (got->len - 8, strlen (header)), header, strlen (header));
  g_assert_cmpmem (got->data + 8 + strlen (header), got->len - 8 - strlen (header), data, n_data);
}

static GByteArray *
lay_out_example (void)
{
  static const char *const data[] = { "\x01\x02\x03", "\x00\x00\xc0\x3f", "\x00\x3c\x00\xc0", NULL, "\x21" };
  g_autoptr (QconvDirectory) d = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GError) error = NULL;
  GByteArray *bytes;

  plan_tensor (d, "a", QCONV_U8, &QCONV_SHAPE1 (3));
  plan_tensor (d, "b", QCONV_F32, &QCONV_SHAPE0);
  plan_tensor (d, "c", QCONV_F16, &QCONV_SHAPE1 (2));
  plan_tensor (d, "z", QCONV_F16, &QCONV_SHAPE2 (0, 4));
  plan_tensor (d, "f", QCONV_F4, &QCONV_SHAPE2 (1, 2));
  qconv_directory_replace_metadata (d, "format", g_variant_new_string ("pt"));
  bytes = lay_out (d, data, &error);
  g_assert_no_error (error);
  return bytes;
}

static void
test_example (void)
{
  g_autoptr (GByteArray) bytes = lay_out_example ();

  g_assert_cmpuint (bytes->len, ==, 324);
  assert_file (bytes,
               "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
               "\"c\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]},"
               "\"z\":{\"dtype\":\"F16\",\"shape\":[0,4],\"data_offsets\":[8,8]},"
               "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]},"
               "\"f\":{\"dtype\":\"F4\",\"shape\":[1,2],\"data_offsets\":[11,12]}}   ",
               "\x00\x00\xc0\x3f\x00\x3c\x00\xc0\x01\x02\x03\x21", 12);
}

static void
test_truncated (void)
{
  g_autoptr (GByteArray) bytes = lay_out_example ();
  g_autoptr (Model) whole = model_open_bytes (bytes->data, bytes->len), longer = NULL;

  assert_opened (whole);
  for (guint n = 0; n < bytes->len; n++)
    {
      g_autoptr (Model) m = model_open_bytes (bytes->data, n);

      g_assert_error (m->error, QCONV_ERROR, QCONV_ERROR_INPUT);
    }
  g_byte_array_append (bytes, (const guint8 *) "", 1);
  longer = model_open_bytes (bytes->data, bytes->len);
  assert_refused (longer, "bytes after the last tensor");
}

static void
test_empty (void)
{
  g_autoptr (QconvDirectory) d = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GByteArray) none = lay_out (d, NULL, NULL), metadata = NULL;

  assert_file (none, "{}      ", "", 0);
  qconv_directory_replace_metadata (d, "framework", g_variant_new_string ("pt"));
  metadata = lay_out (d, NULL, NULL);
  assert_file (metadata, "{\"__metadata__\":{\"framework\":\"pt\"}}     ", "", 0);
}

static void
test_padding (void)
{
  static const QconvShape rank4 = { 4, { 1, 1, 2, 3 } }, rank3 = { 3, { 1, 2, 3 } };
  static const float numbers[6] = { 0, 1, 2, 3, 4, 5 };
  static const char *const data[] = { (const char *) numbers };
  g_autoptr (QconvDirectory) none = qconv_directory_new ("safetensors", NULL);
  g_autoptr (QconvDirectory) seven = qconv_directory_new ("safetensors", NULL);
  g_autoptr (QconvDirectory) four = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GByteArray) a = NULL, b = NULL, c = NULL;

  plan_tensor (none, "attn.0", QCONV_F32, &rank3);
  a = lay_out (none, data, NULL);
  assert_file (a, "{\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}", data[0], 24);
  plan_tensor (seven, "attn0", QCONV_F32, &rank4);
  b = lay_out (seven, data, NULL);
  assert_file (b, "{\"attn0\":{\"dtype\":\"F32\",\"shape\":[1,1,2,3],\"data_offsets\":[0,24]}}       ", data[0], 24);
  plan_tensor (four, "attn.0", QCONV_F4, &QCONV_SHAPE2 (1, 2));
  c = lay_out (four, NULL, NULL);
  assert_file (c, "{\"attn.0\":{\"dtype\":\"F4\",\"shape\":[1,2],\"data_offsets\":[0,1]}}    ", "", 1);
}

static void
test_order (void)
{
  g_autoptr (QconvDirectory) d = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GByteArray) bytes = NULL;

  plan_tensor (d, "b", QCONV_BOOL, &QCONV_SHAPE1 (1));
  plan_tensor (d, "\xc3\xbc", QCONV_BF16, &QCONV_SHAPE1 (1));
  plan_tensor (d, "a/\"\\\x01\n\x7f", QCONV_BF16, &QCONV_SHAPE1 (1));
  plan_tensor (d, "Z", QCONV_BF16, &QCONV_SHAPE1 (1));
  plan_tensor (d, "u", QCONV_U64, &QCONV_SHAPE1 (1));
  bytes = lay_out (d, NULL, NULL);
  assert_file (bytes,
               "{\"u\":{\"dtype\":\"U64\",\"shape\":[1],\"data_offsets\":[0,8]},"
               "\"Z\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[8,10]},"
               "\"a/\\\"\\\\\\u0001\\n\x7f\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[10,12]},"
               "\"\xc3\xbc\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[12,14]},"
               "\"b\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[14,15]}}    ",
               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
}

static void
test_metadata (void)
{
  g_autoptr (QconvDirectory) d = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GByteArray) bytes = NULL, arrays_only = NULL;

  qconv_directory_replace_metadata (d, "array", g_variant_new_parsed ("[1, 2]"));
  arrays_only = lay_out (d, NULL, NULL);
  assert_file (arrays_only, "{}      ", "", 0);
  qconv_directory_replace_metadata (d, "string", g_variant_new_string ("{\"a\": 1}"));
  qconv_directory_replace_metadata (d, "byte", g_variant_new_byte (200));
  qconv_directory_replace_metadata (d, "int", g_variant_new_int64 (G_MININT64));
  qconv_directory_replace_metadata (d, "uint", g_variant_new_uint64 (G_MAXUINT64));
  qconv_directory_replace_metadata (d, "double", g_variant_new_double (0.5));
  qconv_directory_replace_metadata (d, "boolean", g_variant_new_boolean (TRUE));
  bytes = lay_out (d, NULL, NULL);
  assert_file (bytes,
               "{\"__metadata__\":{\"boolean\":\"true\",\"byte\":\"200\",\"double\":\"0.5\","
               "\"int\":\"-9223372036854775808\",\"string\":\"{\\\"a\\\": 1}\",\"uint\":\"18446744073709551615\"}}",
               "", 0);
}

static void
assert_not_written (const char *name, QconvDType dtype, const QconvShape *shape, const char *reason)
{
  g_autoptr (QconvDirectory) d = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GError) error = NULL;

  plan_tensor (d, name, dtype, shape);
  g_assert_null (lay_out (d, NULL, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, reason));
}

static void
test_refused (void)
{
  assert_not_written ("__metadata__", QCONV_F32, &QCONV_SHAPE1 (1), "name");
  assert_not_written ("a\xff", QCONV_F32, &QCONV_SHAPE1 (1), "name");
  assert_not_written ("a", QCONV_OPAQUE, &QCONV_SHAPE1 (1), "OPAQUE");
  assert_not_written ("a", QCONV_U4, &QCONV_SHAPE1 (2), "U4");
  assert_not_written ("a", QCONV_F4, &QCONV_SHAPE2 (1, 3), "sub-byte");
  assert_not_written ("a", QCONV_F6_E2M3, &QCONV_SHAPE1 (2), "sub-byte");
  assert_not_written ("a", QCONV_F32, &QCONV_SHAPE2 (G_MAXUINT32, G_MAXUINT64), "overflow");
}

static void
test_refused_metadata (void)
{
  g_autoptr (QconvDirectory) key = qconv_directory_new ("safetensors", NULL);
  g_autoptr (QconvDirectory) large = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GError) error = NULL, too_large = NULL;
  char *text = g_malloc (100000001);

  qconv_directory_replace_metadata (key, "\xff", g_variant_new_string ("x"));
  g_assert_null (lay_out (key, NULL, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
  memset (text, 'a', 100000000);
  text[100000000] = '\0';
  qconv_directory_replace_metadata (large, "framework", g_variant_new_take_string (text));
  g_assert_null (lay_out (large, NULL, &too_large));
  g_assert_error (too_large, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (too_large->message, "header too large"));
}

static void
test_bad_plan (void)
{
  g_autoptr (QconvDirectory) d = qconv_directory_new ("safetensors", NULL);
  g_autoptr (GError) error = NULL;

  plan_tensor (d, "a", QCONV_F32, &QCONV_SHAPE1 (2));
  qconv_directory_planned (d, 0)->n_bytes = 7;
  g_assert_null (lay_out (d, NULL, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/safetensors/write/example", test_example);
  g_test_add_func ("/safetensors/write/truncated", test_truncated);
  g_test_add_func ("/safetensors/write/empty", test_empty);
  g_test_add_func ("/safetensors/write/padding", test_padding);
  g_test_add_func ("/safetensors/write/order", test_order);
  g_test_add_func ("/safetensors/write/metadata", test_metadata);
  g_test_add_func ("/safetensors/write/refused", test_refused);
  g_test_add_func ("/safetensors/write/refused-metadata", test_refused_metadata);
  g_test_add_func ("/safetensors/write/bad-plan", test_bad_plan);
  return g_test_run ();
}
