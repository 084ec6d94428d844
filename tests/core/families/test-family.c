/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads family files: whole, broken, cut, mutated and too large; and the catalogue of them. */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "families/advice.h"
#include "graph-fixture.h"
#include "small.h"

/* A complete family in few lines. Each breakage replaces one text of it. */
static const char whole[]
    = "{\"schema\": \"qconv-model-family\", \"schema_version\": 1, \"family\": \"mine\", \"title\": \"Mine\","
      " \"kind\": \"diffusion\", \"prefixes\": [\"model.\"], \"prefix_rewrites\": [[\"a.\", \"b.\"]],"
      " \"detect\": {\"priority\": 5000, \"namings\": [{\"naming\": \"original\", \"all_of\": [\"mine.weight\"]}],"
      "  \"variants\": [{\"variant\": \"one\", \"shapes\": [{\"tensor\": \"mine.weight\", \"axis\": 0, \"eq\": 64}]},"
      "   {\"variant\": \"two\", \"counts\": [{\"stem\": \"blocks.\", \"ge\": 2}]}]},"
      " \"dims\": {\"hidden\": {\"infer\": {\"shape\": [\"mine.weight\", 0]}},"
      "  \"layers\": {\"infer\": {\"count\": \"blocks.\"}}},"
      " \"variants\": {\"one\": {\"dims\": {\"hidden\": 64, \"layers\": 2}}},"
      " \"layers\": [{\"name\": \"mine.weight\", \"shape\": [\"hidden\"], \"op\": \"norm\"},"
      "  {\"name\": \"blocks.{i}.q.weight\", \"shape\": [\"2*hidden\", \"hidden\"], \"op\": \"linear\","
      "   \"index\": {\"i\": [\"0\", \"layers\"]}, \"when\": \"hidden & !layers\", \"group\": \"blocks.{i}\","
      "   \"split\": [[\"a\", \"hidden\"], [\"b\", \"hidden\"]]}],"
      " \"aliases\": [{\"match\": \"scale$\", \"replace\": \"weight\"}],"
      " \"role_rules\": [{\"match\": \"q\", \"role\": \"attn_q\", \"class\": \"core\"}],"
      " \"presets\": {\"fp8\": {\"keep\": [\"^mine$\"],"
      "  \"keep_blocks\": [{\"stem\": \"blocks\", \"first\": 1, \"last\": 1}],"
      "  \"fallback\": {\"int8\": [\"q$\"]}}}}";

static const struct {
  const char *from, *to;
  const char *message; /* a part of it */
} breakages[] = {
  { "\"schema\": \"qconv-model-family\"", "\"schema\": \"other\"", "not a family file of version 1" },
  { "\"schema_version\": 1", "\"schema_version\": 2", "not a family file of version 1" },
  { "\"schema_version\": 1", "\"schema_version\": \"1\"", "schema_version: not an integer" },
  { "\"title\": \"Mine\",", "", "member \"title\" is missing" },
  { "\"title\": \"Mine\"", "\"title\": \"Mine\", \"tilte\": \"\"", "unknown member \"tilte\"" },
  { "\"title\": \"Mine\"", "\"title\": null", "title: not text" },
  { "\"family\": \"mine\"", "\"family\": \"\"", "\"family\" is empty" },
  { "\"kind\": \"diffusion\"", "\"kind\": \"kind\"", "kind: not a known word" },
  { "[\"model.\"]", "\"model.\"", "prefixes: not a list" },
  { "[\"model.\"]", "[7]", "prefixes[0]: not text" },
  { "[\"a.\", \"b.\"]", "[\"a.\"]", "prefix_rewrites[0]: not a list of 2" },
  { "\"detect\": {", "\"notes\": [], \"detect\": [], \"dims\": {}, \"constraints\": {", "detect: not an object" },
  { "\"priority\": 5000,", "", "detect: member \"priority\" is missing" },
  { "5000", "-1", "detect.priority: out of range" },
  { "5000", "5000.5", "detect.priority: not an integer" },
  { "\"all_of\": [\"mine.weight\"]", "\"none_of\": [\"x\"]", "detect.namings[0]: neither" },
  { "\"all_of\": [\"mine.weight\"]", "\"any_of\": [\"x\"]", "detect.namings[0].any_of[0]: not a list" },
  { "\"axis\": 0, \"eq\": 64", "\"axis\": 99, \"eq\": 64", "detect.variants[0].shapes[0].axis: out of range" },
  { "\"axis\": 0, \"eq\": 64", "\"axis\": 0", "detect.variants[0].shapes[0]: none of the members" },
  { "\"eq\": 64", "\"eq\": 64, \"ne\": 1", "detect.variants[0].shapes[0]: more than one of the members" },
  { "\"ge\": 2", "\"ge\": \"2\"", "detect.variants[1].counts[0].ge: not an integer" },
  { "{\"shape\": [\"mine.weight\", 0]}", "{}", "dims.hidden.infer: none of the members" },
  { "{\"shape\": [\"mine.weight\", 0]}", "{\"shape\": [\"mine.weight\"]}", "dims.hidden.infer.shape: not a list of 2" },
  { "[\"mine.weight\", 0]}", "[\"mine.weight\", 0], \"div\": 0}", "dims.hidden.infer.div: out of range" },
  { "{\"shape\": [\"mine.weight\", 0]}", "{\"shape_re\": [\"(\", 0]}", "dims.hidden.infer.shape_re: " },
  { "{\"count\": \"blocks.\"}", "{\"same_as\": \"width\"}", "dims.layers.infer.same_as: unknown dimension" },
  { "\"layers\": 2}", "\"depth\": 2}", "variants.one.dims: unknown dimension \"depth\"" },
  { "\"layers\": 2}", "\"layers\": -2}", "variants.one.dims.layers: out of range" },
  { "[\"hidden\"]", "[\"width\"]", "layers[0].shape[0]: expression \"width\": unknown dimension" },
  { "[\"hidden\"]", "[\"hidden*\"]", "layers[0].shape[0]: expression \"hidden*\": a number or" },
  { "[\"hidden\"]", "[\"(hidden)\"]", "layers[0].shape[0]: expression \"(hidden)\": a number or" },
  { "[\"hidden\"]", "[\"hidden hidden\"]", "layers[0].shape[0]: expression \"hidden hidden\": neither" },
  { "[\"hidden\"]", "[\"99999999999999999999\"]", "too large" },
  { "[\"hidden\"]", "[\"4294967296*4294967296\"]", "too large" },
  { "[\"hidden\"]", "[1.5]", "layers[0].shape[0]: an expression is neither" },
  { "[\"hidden\"]", "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]", "layers[0].shape: more than" },
  { "\"op\": \"norm\"", "\"op\": \"normal\"", "layers[0].op: not a known word" },
  { "blocks.{i}.q", "blocks.{j}.q", "layers[1]: \"blocks.{j}.q.weight\" has a variable that \"index\" lacks" },
  { "\"group\": \"blocks.{i}\"", "\"group\": \"blocks.{i\"", "layers[1]: \"blocks.{i\" has a variable that" },
  { "[\"0\", \"layers\"]", "[\"0\"]", "layers[1].index.i: not a list of 2" },
  { "[\"0\", \"layers\"]", "{\"values\": [1]}", "layers[1].index.i.values[0]: not text" },
  { "[\"0\", \"layers\"]", "\"layers\"", "layers[1].index.i: not an object" },
  { "hidden & !layers", "hidden | layers", "layers[1].when: condition \"hidden | layers\": not of the form" },
  { "hidden & !layers", "hidden & width", "layers[1].when: condition \"hidden & width\": unknown dimension" },
  { "[\"b\", \"hidden\"]", "[\"b\", \"wide\"]", "layers[1].split[1]: expression \"wide\": unknown dimension" },
  { "\"scale$\"", "\"(scale$\"", "aliases[0].match: " },
  { "\"replace\": \"weight\"", "\"replace\": \"\\\\g<\"", "aliases[0].replace: " },
  { "\"class\": \"core\"", "\"class\": \"corn\"", "role_rules[0].class: not a known word" },
  { "\"^mine$\"", "\"[\"", "presets.fp8.keep[0]: " },
  { "\"first\": 1, ", "", "presets.fp8.keep_blocks[0]: member \"first\" is missing" },
  { "{\"int8\": [\"q$\"]}", "{\"int8\": \"q$\"}", "presets.fp8.fallback.int8: not a list" },
  { "\"keep\": [\"^mine$\"]", "\"kept\": [\"^mine$\"]", "presets.fp8: unknown member \"kept\"" },
  { "{\"schema\"", "/* \" */ {\"schema\"", "not JSON" },
  { "{\"schema\"", "[{\"schema\"", "mine.json: " },
  { "\"title\": \"Mine\"", "\"title\": \"\xff\"", "not UTF-8" },
  { "\"title\": \"Mine\"", "\"title\": [[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]", "nested too deeply" },
  { whole, "[]", "not an object" },
  { whole, "", "not an object" },
  { whole, "{\"schema\": \"qconv-model-family\"", "mine.json: " },
};

static void
test_whole (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Family) f = qconv_family_parse ("mine.json", whole, &error);
  const FamilyRegex *regex;

  g_assert_no_error (error);
  g_assert_cmpstr (qconv_family_id (f), ==, "mine");
  g_assert_cmpstr (qconv_family_title (f), ==, "Mine");
  g_assert_cmpstr (qconv_family_kind (f), ==, "diffusion");
  g_assert_cmpint (qconv_family_priority (f), ==, 5000);
  regex = &qconv_family_data (f)->presets.at[0].fallback.at[0].patterns.at[0];
  g_assert_cmpstr (regex->pattern, ==, "q$");
  g_assert_true (qconv_family_match (regex, "to_q"));
  g_assert_false (qconv_family_match (regex, "\xff"
                                             "to_q"));
}

/* Tests that every kind of member fills its field */
static void
test_fields (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Family) f = qconv_family_parse ("mine.json", whole, &error);
  const FamilyData *d = qconv_family_data (f);
  const FamilyDetectRule *two = &d->detect.variants.at[1];
  const FamilyLayer *layer = &d->layers.at[1];

  g_assert_no_error (error);
  g_assert_cmpstr (d->prefixes[0], ==, "model.");
  g_assert_null (d->prefixes[1]);
  g_assert_cmpstr (d->prefix_rewrites.at[0].to, ==, "b.");
  g_assert_cmpstr (d->detect.namings.at[0].all_of[0], ==, "mine.weight");
  g_assert_null (d->detect.namings.at[0].any_of.at);
  g_assert_cmpstr (d->detect.variants.at[0].shapes.at[0].tensors[0], ==, "mine.weight");
  g_assert_true (d->detect.variants.at[0].shapes.at[0].size.eq.given);
  g_assert_cmpstr (two->result, ==, "two");
  g_assert_false (two->counts.at[0].count.eq.given);
  g_assert_cmpint (two->counts.at[0].count.ge.value, ==, 2);
  g_assert_cmpuint (d->dims.n, ==, 2);
  g_assert_cmpstr (d->dims.at[0].infer.shape.tensor, ==, "mine.weight");
  g_assert_cmpstr (d->dims.at[1].infer.count, ==, "blocks.");
  g_assert_cmpint (d->variants.at[0].dims.at[0].value, ==, 64);
  g_assert_cmpstr (layer->shape.at[0].text, ==, "2*hidden");
  g_assert_cmpstr (layer->index.at[0].high.text, ==, "layers");
  g_assert_null (layer->index.at[0].values);
  g_assert_cmpstr (layer->split.at[1].rows.text, ==, "hidden");
  g_assert_cmpstr (d->aliases.at[0].replace, ==, "weight");
  g_assert_cmpstr (d->role_rules.at[0].class_, ==, "core");
  g_assert_cmpint (d->presets.at[0].keep_blocks.at[0].last, ==, 1);
  g_assert_cmpstr (d->presets.at[0].fallback.at[0].name, ==, "int8");
  g_assert_null (d->presets.at[0].only.at);
  g_assert_null (d->keymaps.at);
  g_assert_null (d->never_pack);
}

static void
test_breakages (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (breakages); i++)
    {
      g_autoptr (GString) text = g_string_new (whole);
      g_autoptr (GError) error = NULL;
      g_autoptr (Family) f = NULL;

      g_assert_cmpuint (g_string_replace (text, breakages[i].from, breakages[i].to, 1), ==, 1);
      f = qconv_family_parse ("mine.json", text->str, &error);
      if (f != NULL)
        g_error ("%s is taken", breakages[i].to);
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
      if (strstr (error->message, breakages[i].message) == NULL || !g_str_has_prefix (error->message, "mine.json: "))
        g_error ("%s: \"%s\" instead of \"%s\"", breakages[i].to, error->message, breakages[i].message);
    }
}

/* Tests that a file that was cut anywhere is an error, and not a crash */
static void
test_cuts (void)
{
  for (gsize n = 0; n + 1 < strlen (whole); n += test_is_small () ? 13 : 3)
    {
      g_autofree char *text = g_strndup (whole, n);
      g_autoptr (GError) error = NULL;

      g_assert_null (qconv_family_parse ("mine.json", text, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
    }
}

/* Uses an accepted family in every way in which core uses it */
static void
use_family (const Family *f)
{
  g_autoptr (Dims) dims = qconv_family_variant_dims (f, "one", NULL);
  g_autoptr (GPtrArray) tensors = dims != NULL ? qconv_family_expand (f, dims, NULL) : NULL;
  g_autoptr (Names) names = tensors != NULL ? graph_names (tensors, "") : NULL;
  g_autoptr (Dims) inferred = names != NULL ? qconv_family_infer (f, names, NULL) : NULL;

  for (guint i = 0; i < 8; i++)
    qconv_family_advise (f, inferred, i % 2 ? "fp8" : "nvfp4", i, i < 4 ? "blocks.1.q" : "mine");
}

/* Tests that a file with a few changed bytes is accepted or refused, without a crash */
static void
test_mutations (void)
{
  static const char bytes[] = "{}[]\"\\,:*+-!&019.eix ";
  g_autoptr (GRand) random = g_rand_new_with_seed (5);
  guint taken = 0, refused = 0;

  for (guint i = 0; i < (test_is_small () ? 2000 : 4000); i++)
    {
      g_autofree char *text = g_strdup (whole);
      g_autoptr (Family) f = NULL;

      for (guint k = 0; k <= i % 3; k++)
        text[g_rand_int_range (random, 0, (gint) strlen (whole))]
            = bytes[g_rand_int_range (random, 0, (gint) strlen (bytes))];
      f = qconv_family_parse ("mine.json", text, NULL);
      if (f != NULL)
        use_family (f);
      taken += f != NULL;
      refused += f == NULL;
    }
  g_test_message ("%u taken, %u refused", taken, refused);
  g_assert_cmpuint (taken, >, 100);
  g_assert_cmpuint (refused, >, 100);
}

static const struct {
  const char *from, *to;
  gint64 layers;
  const char *message;
} expansions[] = {
  { "[\"0\", \"layers\"]", "[\"0\", \"layers\"]", 20000, "counts below 0 or beyond" },
  { "[\"0\", \"layers\"]", "[\"0-1\", \"layers\"]", 2, "counts below 0 or beyond" },
  { "{\"i\": [\"0\", \"layers\"]}", "{\"i\": [\"0\", \"layers\"], \"j\": [\"0\", \"layers\"]}", 16000,
    "stands for more than" },
  { "\"shape\": [\"hidden\"]", "\"shape\": [\"0-hidden\"]", 2, "a size is below 0" },
  { "\"shape\": [\"hidden\"]", "\"shape\": [\"hidden*4294967296\", \"4294967296\"]", 2, "too many items" },
  { "\"shape\": [\"hidden\"]",
    "\"shape\": [\"hidden*hidden*hidden*hidden*hidden*hidden*hidden*hidden*hidden*hidden*hidden\"]", 2, "too large" },
  { "[\"b\", \"hidden\"]", "[\"b\", \"2*hidden\"]", 2, "have 192 rows, the tensor has 128" },
};

/* Tests that a small file cannot stand for an unlimited number of tensors or sizes */
static void
test_expansions (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (expansions); i++)
    {
      g_autoptr (GString) text = g_string_new (whole);
      g_autoptr (GError) error = NULL;
      g_autoptr (Family) f = NULL;
      g_autoptr (Dims) dims = NULL;

      g_assert_cmpuint (g_string_replace (text, " & !layers", "", 1), ==, 1);
      g_assert_cmpuint (g_string_replace (text, expansions[i].from, expansions[i].to, 1), ==, 1);
      f = qconv_family_parse ("mine.json", text->str, &error);
      g_assert_no_error (error);
      dims = qconv_family_variant_dims (f, "one", &error);
      g_assert_no_error (error);
      qconv_dims_set (dims, "layers", expansions[i].layers);
      g_assert_null (qconv_family_expand (f, dims, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
      if (strstr (error->message, expansions[i].message) == NULL)
        g_error ("\"%s\" instead of \"%s\"", error->message, expansions[i].message);
    }
}

/* Returns @n texts as a variable of an index. (transfer full) */
static char *
many_texts (guint n)
{
  g_autoptr (GString) list = g_string_new ("{\"values\": [\"0\"");

  for (guint i = 1; i < n; i++)
    g_string_append_printf (list, ", \"t%u\"", i);
  g_string_append (list, "]}");
  return g_string_free (g_steal_pointer (&list), FALSE);
}

/* Tests that the texts of a small file cannot stand for an unlimited number of names: besides
   mine.weight, 400 × 499 fit below 200,000 and 400 × 500 do not */
static void
test_many_texts (void)
{
  g_autofree char *first = many_texts (400);

  for (guint n = 499; n <= 500; n++)
    {
      g_autofree char *second = many_texts (n);
      g_autofree char *index = g_strdup_printf ("{\"i\": %s, \"j\": %s}", first, second);
      g_autoptr (GString) text = g_string_new (whole);
      g_autoptr (GError) error = NULL;
      g_autoptr (Family) f = NULL;

      g_assert_cmpuint (g_string_replace (text, "{\"i\": [\"0\", \"layers\"]}", index, 1), ==, 1);
      f = qconv_family_parse ("mine.json", text->str, &error);
      if (n == 499)
        {
          g_assert_no_error (error);
          g_assert_nonnull (qconv_family_template (f, NULL, "blocks.t399.q.weight"));
          continue;
        }
      g_assert_null (f);
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
      g_assert_nonnull (strstr (error->message, "stand for more than 200000 names"));
    }
}

static char *
write_family (const char *folder, const char *name, const char *from, const char *to)
{
  g_autoptr (GString) text = g_string_new (whole);
  g_autoptr (GError) error = NULL;
  char *path = g_build_filename (folder, name, NULL);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  g_string_replace (text, from, to, 1);
  g_file_set_contents (path, text->str, -1, &error);
  g_assert_no_error (error);
  return path;
}

static void
test_catalogue (void)
{
  g_autofree char *folder = g_build_filename (g_get_user_data_dir (), "qconv", "families", NULL);
  g_autofree char *own = write_family (folder, "own.json", "\"title\": \"Mine\"", "\"title\": \"In the folder\"");
  g_autofree char *flux
      = write_family (g_get_user_data_dir (), "flux.json", "\"family\": \"mine\"", "\"family\": \"flux1\"");
  g_autofree char *third = write_family (g_get_user_data_dir (), "third.json", "", "");
  g_autoptr (GError) error = NULL;
  g_autoptr (Families) plain = qconv_families_load (NULL, &error);
  g_autoptr (Families) with_flux = qconv_families_load (flux, NULL);
  g_autoptr (Families) with_third = qconv_families_load (third, NULL);

  g_assert_no_error (error);
  g_assert_cmpuint (qconv_families_list (plain)->len, ==, 31);
  g_assert_cmpstr (qconv_family_title (qconv_families_find (plain, "mine")), ==, "In the folder");
  /* The user's folder has a family of the same priority */
  g_assert_null (with_flux);
  g_assert_nonnull (with_third);
  g_assert_cmpstr (qconv_family_title (qconv_families_find (with_third, "mine")), ==, "Mine");
  g_assert_cmpint (g_unlink (own), ==, 0);
  with_flux = qconv_families_load (flux, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (qconv_families_list (with_flux)->len, ==, 30);
  g_assert_cmpstr (qconv_family_title (qconv_families_find (with_flux, "flux1")), ==, "Mine");
  g_assert_null (qconv_families_find (with_flux, "mine"));
  g_assert_true (qconv_family_base (qconv_families_find (with_flux, "flux1")) == qconv_families_generic (with_flux));
  for (guint i = 1; i < qconv_families_list (with_flux)->len; i++)
    g_assert_cmpint (qconv_family_priority (qconv_families_list (with_flux)->pdata[i - 1]), <,
                     qconv_family_priority (qconv_families_list (with_flux)->pdata[i]));
}

static void
test_clashes (void)
{
  g_autofree char *same = write_family (g_get_user_data_dir (), "same.json", "5000", "30");
  g_autofree char *broken = write_family (g_get_user_data_dir (), "broken.json", "5000", "true");
  g_autoptr (GError) clash = NULL, wrong = NULL, missing = NULL;

  g_assert_null (qconv_families_load (same, &clash));
  g_assert_error (clash, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_nonnull (strstr (clash->message, "same.json"));
  g_assert_nonnull (strstr (clash->message, "flux1.json"));
  g_assert_nonnull (strstr (clash->message, "detect.priority"));
  g_assert_null (qconv_families_load (broken, &wrong));
  g_assert_nonnull (strstr (wrong->message, "broken.json: detect.priority: not an integer"));
  g_assert_null (qconv_families_load ("/no/such/file.json", &missing));
  g_assert_error (missing, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

static void
test_large_file (void)
{
  g_autofree char *path = g_build_filename (g_get_user_data_dir (), "large.json", NULL);
  g_autofree char *zeros = g_malloc0 (5 << 20);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (g_get_user_data_dir (), 0700), ==, 0);
  g_file_set_contents (path, zeros, 5 << 20, &error);
  g_assert_no_error (error);
  g_assert_null (qconv_families_load (path, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_clear_error (&error);
  g_file_set_contents (path, zeros, 100, &error);
  g_assert_no_error (error);
  g_assert_null (qconv_families_load (path, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
}

static void
remove_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *inside = g_build_filename (path, name, NULL);

      remove_folder (inside);
    }
  g_assert_cmpint (g_remove (path), ==, 0);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("qconv-families-XXXXXX", &error);
  int failed;

  g_assert_no_error (error);
  g_setenv ("XDG_DATA_HOME", folder, TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/graph/family/whole", test_whole);
  g_test_add_func ("/graph/family/fields", test_fields);
  g_test_add_func ("/graph/family/breakages", test_breakages);
  g_test_add_func ("/graph/family/cuts", test_cuts);
  g_test_add_func ("/graph/family/mutations", test_mutations);
  g_test_add_func ("/graph/family/expansions", test_expansions);
  g_test_add_func ("/graph/family/many-texts", test_many_texts);
  g_test_add_func ("/graph/family/catalogue", test_catalogue);
  g_test_add_func ("/graph/family/clashes", test_clashes);
  g_test_add_func ("/graph/family/large-file", test_large_file);
  failed = g_test_run ();
  remove_folder (folder);
  return failed;
}
