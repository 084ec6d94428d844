/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the text of --layers and of --layer-config files: the rules that it means, and its faults. */
#include "rules/layer-config.h"

#include <string.h>

#include "registry/target.h"
#include "toy.h"

/* One row that a text gives. @scheme: NULL if it keeps layers */
typedef struct {
  const char *match, *scheme, *options, *rule;
} Want;

typedef struct {
  const char *title, *text;
  Want want[3];
  const char *error;
} Case;

static const Case lines[] = {
  { "scheme", "half:^a$", { { "^a$", "half", NULL, "layers" } } },
  { "options", "half,group=8,rounding=down:a", { { "a", "half", "group=8,rounding=down", "layers" } } },
  { "keep", "keep:a", { { "a", NULL, NULL, "layers" } } },
  { "colon in the expression", "half:(?:a|b):c", { { "(?:a|b):c", "half", NULL, "layers" } } },
  { "comma in the expression", "half:a{1,2}", { { "a{1,2}", "half", NULL, "layers" } } },
  { "no options behind a comma", "half,:a", { { "a", "half", NULL, "layers" } } },
  { "no colon", "half", .error = "--layers half: not of the form SCHEME*:REGEX" },
  { "no scheme", ":a", .error = "--layers :a: not of the form *" },
  { "no expression", "half:", .error = "--layers half:: not of the form *" },
  { "broken expression", "half:(", .error = "--layers half:(: (: *" },
  { "unknown scheme", "hafl:a",
    .error = "--layers hafl:a: half-toy cannot hold the scheme \"hafl\"*did you mean half*" },
  { "unknown option", "half,grope=1:a", .error = "--layers half,grope=1:a: *grope*group*" },
  { "option of another scheme", "whole,group=1:a", .error = "--layers whole,group=1:a: *group*" },
  { "option without value", "half,group:a", .error = "--layers half,group:a: *group*" },
  { "options of keep", "keep,group=1:a", .error = "--layers keep,group=1:a: *no options" },
};

static const Case files[] = {
  { "nothing", "[]" },
  { "rows",
    "[{\"match\": \"^a$\", \"scheme\": \"half\"}, {\"scheme\": \"keep\", \"match\": \"b\"}]",
    { { "^a$", "half", NULL, "config:1" }, { "b", NULL, NULL, "config:2" } } },
  { "options",
    "[{\"match\": \"a\", \"scheme\": \"half\", \"options\": {\"group\": 8, \"rounding\": \"down\"}}]",
    { { "a", "half", "group=8,rounding=down", "config:1" } } },
  { "no options",
    "[{\"match\": \"a\", \"scheme\": \"half\", \"options\": {}}]",
    { { "a", "half", NULL, "config:1" } } },
  { "object", "{}", .error = "*config.json: not a JSON array*" },
  { "number", "3", .error = "*config.json: not a JSON array*" },
  { "no JSON", "[{]", .error = "*config.json: *" },
  { "empty", "", .error = "*config.json: *" },
  { "row is a text", "[\"a\"]", .error = "*config.json: row 1: not an object" },
  { "second row is a number", "[{\"match\": \"a\", \"scheme\": \"half\"}, 3]",
    .error = "*config.json: row 2: not an object" },
  { "unknown key", "[{\"match\": \"a\", \"schema\": \"half\"}]",
    .error = "*config.json: row 1: unknown key \"schema\"*did you mean scheme*" },
  { "no match", "[{\"scheme\": \"half\"}]", .error = "*config.json: row 1: \"match\" and \"scheme\"*" },
  { "no scheme", "[{\"match\": \"a\"}]", .error = "*config.json: row 1: \"match\" and \"scheme\"*" },
  { "match is a number", "[{\"match\": 1, \"scheme\": \"half\"}]",
    .error = "*config.json: row 1: \"match\" and \"scheme\"*" },
  { "scheme is null", "[{\"match\": \"a\", \"scheme\": null}]",
    .error = "*config.json: row 1: \"match\" and \"scheme\"*" },
  { "unknown scheme", "[{\"match\": \"a\", \"scheme\": \"hafl\"}]",
    .error = "*config.json: row 1: half-toy cannot hold the scheme \"hafl\"*" },
  { "broken expression", "[{\"match\": \"(\", \"scheme\": \"half\"}]", .error = "*config.json: row 1: (: *" },
  { "options are a list", "[{\"match\": \"a\", \"scheme\": \"half\", \"options\": []}]",
    .error = "*config.json: row 1: \"options\" is not an object" },
  { "option is a list", "[{\"match\": \"a\", \"scheme\": \"half\", \"options\": {\"group\": [8]}}]",
    .error = "*config.json: row 1: an option is neither*" },
  { "option with a comma", "[{\"match\": \"a\", \"scheme\": \"half\", \"options\": {\"rounding\": \"even,group=8\"}}]",
    .error = "*config.json: row 1: *comma" },
  { "option out of range", "[{\"match\": \"a\", \"scheme\": \"half\", \"options\": {\"group\": 99}}]",
    .error = "*config.json: row 1: *group*" },
  { "option is a fraction", "[{\"match\": \"a\", \"scheme\": \"half\", \"options\": {\"group\": 1.5}}]",
    .error = "*config.json: row 1: *group*" },
  { "option is a truth", "[{\"match\": \"a\", \"scheme\": \"half\", \"options\": {\"group\": true}}]",
    .error = "*config.json: row 1: *group*" },
  { "options of keep", "[{\"match\": \"a\", \"scheme\": \"keep\", \"options\": {\"group\": 8}}]",
    .error = "*config.json: row 1: *no options" },
};

static void
assert_rows (const Case *k, gboolean ok, const GPtrArray *rows, const GError *error)
{
  guint n = 0;

  if (k->error != NULL)
    {
      g_assert_false (ok);
      toy_assert_error (error, QCONV_ERROR_OPTION, k->error);
      return;
    }
  g_assert_no_error (error);
  for (; k->want[n].match != NULL; n++)
    {
      const LayerRow *row = g_ptr_array_index (rows, n);

      g_assert_cmpstr (g_regex_get_pattern (row->match), ==, k->want[n].match);
      g_assert_cmpstr (row->scheme != NULL ? row->scheme->quantizer->id : NULL, ==, k->want[n].scheme);
      g_assert_cmpstr (row->options, ==, k->want[n].options);
      g_assert_cmpstr (row->rule, ==, k->want[n].rule);
      g_assert_false (row->matched || row->unfit);
    }
  g_assert_cmpuint (rows->len, ==, n);
}

static void
test_line (gconstpointer data)
{
  const Case *k = data;
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_layer_row_free);
  g_autoptr (GError) error = NULL;
  gboolean ok;
  Schemes s;

  qconv_schemes_init (&s, qconv_target_find ("half-toy", NULL));
  ok = qconv_layer_config_add (rows, k->text, &s, &error);
  assert_rows (k, ok, rows, error);
  qconv_schemes_clear (&s);
}

static void
test_file (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *path = toy_path ("config.json");
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_layer_row_free);
  g_autoptr (GError) error = NULL;
  gboolean ok;
  Schemes s;

  toy_write_text (path, k->text);
  qconv_schemes_init (&s, qconv_target_find ("half-toy", NULL));
  ok = qconv_layer_config_read (rows, path, &s, &error);
  assert_rows (k, ok, rows, error);
  qconv_schemes_clear (&s);
}

static void
test_missing (void)
{
  g_autofree char *path = toy_path ("config.json");
  g_autoptr (GPtrArray) rows = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  Schemes s;

  qconv_schemes_init (&s, qconv_target_find ("half-toy", NULL));
  g_assert_false (qconv_layer_config_read (rows, path, &s, &error));
  g_assert_nonnull (strstr (error->message, path));
  g_assert_cmpint (qconv_error_exit_status (error), ==, 1);
  qconv_schemes_clear (&s);
}

#define ADD(prefix, table, func)                                                                 \
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)                                               \
    {                                                                                            \
      g_autofree char *path = g_strconcat ("/core/layer-config/", prefix, table[i].title, NULL); \
                                                                                                 \
      g_test_add_data_func (path, &table[i], func);                                              \
    }

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  ADD ("line/", lines, test_line)
  ADD ("file/", files, test_file)
  g_test_add_func ("/core/layer-config/missing", test_missing);
  return g_test_run ();
}
