/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the JSON that plugins share: json-glib's tree of what core read, and strings as serde_json writes them. */
#include <string.h>

#include "json-node.h"
#include "json-write.h"
#include "qconv-types.h"

static void
test_tree (void)
{
  static const char text[] = " {\"a\": [1, -2, 9223372036854775807, -9223372036854775808, 2.5, 1e3, true, false, null],"
                             "\t\"b\": {\"c\": {}, \"d\": [], \"\": \"\\u00e9\\n\\ud83d\\ude00\\/\"}}\r\n";
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = qconv_json_node_parse (text, strlen (text), &error);
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

/* Tests that values without a container have their type, and that errors pass through */
static void
test_scalars (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) number = qconv_json_node_parse ("1", 1, NULL), text = qconv_json_node_parse ("\"\"", 2, NULL);
  g_autoptr (JsonNode) nothing = qconv_json_node_parse ("null", 4, NULL),
                       real = qconv_json_node_parse ("-0.0", 4, NULL);

  g_assert_true (json_node_get_value_type (number) == G_TYPE_INT64);
  g_assert_true (json_node_get_value_type (text) == G_TYPE_STRING);
  g_assert_true (json_node_get_value_type (real) == G_TYPE_DOUBLE);
  g_assert_true (JSON_NODE_HOLDS_NULL (nothing));
  g_assert_null (qconv_json_node_parse ("{\"a\":1,\"a\":1}", 13, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
}

static void
test_depth (void)
{
  g_autofree char *open = g_strnfill (128, '['), *close = g_strnfill (128, ']');
  g_autofree char *text = g_strconcat (open, close, NULL);
  g_autoptr (JsonNode) root = qconv_json_node_parse (text, 256, NULL);
  JsonNode *node = root;
  guint depth = 1;

  while (json_array_get_length (json_node_get_array (node)) > 0)
    {
      node = json_array_get_element (json_node_get_array (node), 0);
      depth++;
    }
  g_assert_cmpuint (depth, ==, 128);
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
  g_test_add_func ("/json-node/tree", test_tree);
  g_test_add_func ("/json-node/scalars", test_scalars);
  g_test_add_func ("/json-node/depth", test_depth);
  g_test_add_func ("/json-node/strings", test_strings);
  return g_test_run ();
}
