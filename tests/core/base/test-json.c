/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the strict JSON that plugins read: the tree, what is refused, and single tokens. */
#include <string.h>

#include "qconv-json.h"

static void
assert_bad (const char *text, gsize n, const char *word)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (qconv_json_parse (text, n, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  if (strstr (error->message, word) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, word);
}

/* Asserts that @text reads as @want, in the text form of GVariant */
static void
assert_reads (const char *text, const char *want)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) root = qconv_json_parse (text, strlen (text), &error);
  g_autofree char *printed = NULL;

  g_assert_no_error (error);
  g_assert_false (g_variant_is_floating (root));
  printed = g_variant_print (root, TRUE);
  g_assert_cmpstr (printed, ==, want);
}

static void
test_values (void)
{
  static const char *const rows[][2] = {
    { "1", "int64 1" },
    { " null ", "@mv nothing" },
    { "\"\"", "''" },
    { "[]", "@av []" },
    { "{}", "@a{sv} {}" },
    { "-0", "int64 0" },
    { "-0.0e-5", "-0.0" },
    { "1e-999", "0.0" },
    { "1e3", "1000.0" },
    { "9223372036854775807", "int64 9223372036854775807" },
    { "-9223372036854775808", "int64 -9223372036854775808" },
    { "\"\\u00e9\\n\\ud83d\\ude00\\/\"", "'\xc3\xa9\\n\xf0\x9f\x98\x80/'" },
    { "[1, true, [null], {\"\": 2.5}]", "[<int64 1>, <true>, <[<@mv nothing>]>, <{'': <2.5>}>]" },
    { "{\"b\": 1,\t\"a\": {\"c\": {}, \"d\": []},\r\n\"B\": false}",
      "{'b': <int64 1>, 'a': <{'c': <@a{sv} {}>, 'd': <@av []>}>, 'B': <false>}" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    assert_reads (rows[i][0], rows[i][1]);
}

/* Tests the lookups of the header's example */
static void
test_lookup (void)
{
  static const char text[] = "{\"shape\": [2, 3], \"dtype\": \"F32\"}";
  g_autoptr (GVariant) root = qconv_json_parse (text, strlen (text), NULL);
  g_autoptr (GVariant) shape = g_variant_lookup_value (root, "shape", G_VARIANT_TYPE ("av")), first = NULL;
  const char *dtype = NULL;

  g_assert_true (g_variant_is_of_type (root, G_VARIANT_TYPE_VARDICT));
  g_assert_cmpuint (g_variant_n_children (shape), ==, 2);
  g_variant_get_child (shape, 1, "v", &first);
  g_assert_cmpint (g_variant_get_int64 (first), ==, 3);
  g_assert_true (g_variant_lookup (root, "dtype", "&s", &dtype));
  g_assert_cmpstr (dtype, ==, "F32");
  g_assert_null (g_variant_lookup_value (root, "dtype", G_VARIANT_TYPE_INT64));
}

static void
test_bad (void)
{
  static const struct {
    const char *text, *word;
  } rows[] = {
    { "", "ends too early" },
    { " ", "ends too early" },
    { "{", "ends too early" },
    { "[1,", "ends too early" },
    { "\"a", "ends too early" },
    { "{\"a\"", "ends too early" },
    { "{\"a\":1,\"b\":{\"a\":1,\"a\":2}}", "duplicate key \"a\"" },
    { "{\"a\":1,\"\\u0061\":2}", "duplicate key" },
    { "{} {}", "follows" },
    { "[1 2]", "comma" },
    { "[1,]", "no JSON value" },
    { "{\"a\":1,}", "key" },
    { "{a:1}", "key" },
    { "{'a':1}", "key" },
    { "{\"a\" 1}", "colon" },
    { "{\"a\":}", "no JSON value" },
    { "[/**/]", "no JSON value" },
    { "[nul]", "no JSON value" },
    { "[True]", "no JSON value" },
    { "[nulll]", "comma" },
    { "]", "no JSON value" },
    { "[}", "no JSON value" },
    { "{]", "key" },
    { "[01]", "leading zero" },
    { "[-]", "bad number" },
    { "[1.]", "bad number" },
    { "[1e+]", "bad number" },
    { "[0x10]", "comma" },
    { "[9223372036854775808]", "out of range" },
    { "[-9223372036854775809]", "out of range" },
    { "[1e999]", "out of range" },
    { "[\"\\q\"]", "escape" },
    { "[\"\\u12\"]", "escape" },
    { "[\"\\ud800\"]", "escape" },
    { "[\"\\ud800\\u0041\"]", "escape" },
    { "[\"\\udc00\"]", "escape" },
    { "[\"\\u0000\"]", "NUL" },
    { "{\"\\u0000\":1}", "NUL" },
    { "[\"\n\"]", "control" },
    { "[\"\xc0\x80\"]", "UTF-8" },
    { "\xef\xbb\xbf{}", "no JSON value" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    assert_bad (rows[i].text, strlen (rows[i].text), rows[i].word);
  assert_bad ("{}\0", 3, "follows");
  assert_bad ("[\"\\\0\"]", 6, "escape");
}

static void
test_depth (void)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GVariant) root = NULL;
  g_autofree char *many = g_strnfill (1000000, '['), *printed = NULL;

  for (guint i = 0; i < 64; i++)
    g_string_append (text, "[{\"a\":");
  g_string_append_c (text, '1');
  for (guint i = 0; i < 64; i++)
    g_string_append (text, "}]");
  root = qconv_json_parse (text->str, text->len, NULL);
  g_assert_nonnull (root);
  /* No level is lost where GVariant itself is that deep */
  printed = g_variant_print (root, FALSE);
  g_assert_nonnull (strstr (printed, "{'a': <int64 1>}"));
  g_assert_true (g_variant_is_normal_form (root));
  g_string_prepend_c (text, '[');
  g_string_append_c (text, ']');
  assert_bad (text->str, text->len, "128");
  assert_bad (many, 1000000, "128");
}

/* Tests that keys of one object only are compared, in memory that stays small for many keys */
static void
test_many_keys (void)
{
  enum { N = 20000 };
  g_autoptr (GString) text = g_string_new ("[{\"k0\": 0}, {");
  g_autoptr (GVariant) root = NULL, second = NULL;

  for (guint i = 0; i < N; i++)
    g_string_append_printf (text, "%s\"k%u\": %u", i > 0 ? "," : "", i, i);
  g_string_append (text, "}]");
  root = qconv_json_parse (text->str, text->len, NULL);
  g_variant_get_child (root, 1, "v", &second);
  g_assert_cmpuint (g_variant_n_children (second), ==, N);
  g_string_truncate (text, text->len - 2);
  g_string_append (text, ",\"k7\":0}]");
  assert_bad (text->str, text->len, "duplicate key \"k7\"");
}

/* Tests that every cut and every changed byte gives a value or an error, never both */
static void
test_damage (void)
{
  static const char text[] = "{\"a\": [1, -2.5e3, \"\\u00e9\\n\"], \"b\": {\"c\": null, \"d\": true}}";
  const gsize n = strlen (text);

  for (gsize i = 0; i <= n; i++)
    for (guint c = 0; c < 256; c++)
      {
        g_autofree char *copy = g_memdup2 (text, n);
        g_autoptr (GError) error = NULL;
        g_autoptr (GVariant) root = NULL;
        gsize length = i < n && c > 0 ? n : i;

        if (length == n && i < n)
          copy[i] = (char) c;
        root = qconv_json_parse (copy, length, &error);
        g_assert_true ((root == NULL) == (error != NULL));
        g_assert_true (error == NULL || g_error_matches (error, QCONV_ERROR, QCONV_ERROR_INPUT));
      }
}

static void
test_tokens (void)
{
  static const char text[] = "{\"a\": [18446744073709551615, -1], \"skip\": [[{\"x\": [1]}]], \"n\\u0000\": 3} ";
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvJsonScan) s = qconv_json_scan_new (text, strlen (text), NULL);
  guint64 number = 0;

  g_assert_true (qconv_json_scan_expect (s, QCONV_JSON_OBJECT, "object", NULL));
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_KEY);
  g_assert_cmpstr (qconv_json_scan_text (s), ==, "a");
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_ARRAY);
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_NUMBER);
  g_assert_true (qconv_json_scan_uint64 (s, &number));
  g_assert_cmpuint (number, ==, G_MAXUINT64);
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_NUMBER);
  g_assert_false (qconv_json_scan_uint64 (s, &number));
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_ARRAY_END);
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_KEY);
  g_assert_true (qconv_json_scan_skip (s, qconv_json_scan_next (s, NULL), NULL));
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_KEY);
  g_assert_true (qconv_json_scan_has_nul (s));
  g_assert_false (qconv_json_scan_expect (s, QCONV_JSON_STRING, "text", &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_true (g_str_has_prefix (error->message, "no text at byte "));
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_OBJECT_END);
  g_assert_cmpint (qconv_json_scan_next (s, NULL), ==, QCONV_JSON_END);
  g_assert_null (qconv_json_scan_new ("\xff", 1, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/json/values", test_values);
  g_test_add_func ("/json/lookup", test_lookup);
  g_test_add_func ("/json/bad", test_bad);
  g_test_add_func ("/json/depth", test_depth);
  g_test_add_func ("/json/many-keys", test_many_keys);
  g_test_add_func ("/json/damage", test_damage);
  g_test_add_func ("/json/tokens", test_tokens);
  return g_test_run ();
}
