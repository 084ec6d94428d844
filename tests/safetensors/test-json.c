/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the JSON that plugins share: strict reading into json-glib's tree, and strings as serde_json writes them. */
#include <string.h>

#include "json-parse.h"
#include "json-write.h"
#include "qconv-types.h"

static void
assert_bad (const char *text, gsize n, const char *word)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (qconv_json_parse (text, n, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  if (strstr (error->message, word) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, word);
}

static void
test_tree (void)
{
  static const char text[] = " {\"a\": [1, -2, 9223372036854775807, -9223372036854775808, 2.5, 1e3, true, false, null],"
                             "\t\"b\": {\"c\": {}, \"d\": [], \"\": \"\\u00e9\\n\\ud83d\\ude00\\/\"}}\r\n";
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = qconv_json_parse (text, strlen (text), &error);
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autofree char *again = NULL;
  JsonObject *b;

  g_assert_no_error (error);
  b = json_object_get_object_member (json_node_get_object (root), "b");
  g_assert_cmpstr (json_object_get_string_member (b, ""), ==, "\xc3\xa9\n\xf0\x9f\x98\x80/");
  json_object_remove_member (b, "");
  json_generator_set_root (generator, root);
  again = json_generator_to_data (generator, NULL);
  g_assert_cmpstr (again, ==,
                   "{\"a\":[1,-2,9223372036854775807,-9223372036854775808,2.5,1000.0,true,false,null],"
                   "\"b\":{\"c\":{},\"d\":[]}}");
}

static void
test_scalars (void)
{
  static const char *const texts[] = { "1", " null ", "\"\"", "[]", "{}", "-0.0e-5", "1e-999", "0" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (JsonNode) root = qconv_json_parse (texts[i], strlen (texts[i]), &error);

      g_assert_no_error (error);
      g_assert_nonnull (root);
    }
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
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *many = g_strnfill (1000000, '[');

  for (guint i = 0; i < 64; i++)
    g_string_append (text, "[{\"a\":");
  g_string_append_c (text, '1');
  for (guint i = 0; i < 64; i++)
    g_string_append (text, "}]");
  root = qconv_json_parse (text->str, text->len, NULL);
  g_assert_nonnull (root);
  g_string_prepend_c (text, '[');
  g_string_append_c (text, ']');
  assert_bad (text->str, text->len, "128");
  assert_bad (many, 1000000, "128");
}

static void
test_strings (void)
{
  g_autoptr (GString) out = g_string_new (NULL);

  qconv_json_append_string (out, "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xe2\x80\xa8");
  g_assert_cmpstr (out->str, ==, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\xe2\x80\xa8\"");
  g_string_truncate (out, 0);
  qconv_json_append_string (out, "");
  g_assert_cmpstr (out->str, ==, "\"\"");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/json/tree", test_tree);
  g_test_add_func ("/json/scalars", test_scalars);
  g_test_add_func ("/json/bad", test_bad);
  g_test_add_func ("/json/depth", test_depth);
  g_test_add_func ("/json/strings", test_strings);
  return g_test_run ();
}
