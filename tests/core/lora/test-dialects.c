/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests files of LoRA dialects: their members, the files that count, and the look-up of spellings. */
#include <glib/gstdio.h>
#include <string.h>

#include "lora/dialects.h"
#include "qconv-types.h"

#define HEAD "\"schema\": \"qconv-lora-dialects\", \"schema_version\": 1"
#define DIALECT(members) "{" HEAD ", \"dialects\": [{\"dialect\": \"mine\", " members "}]}"

/* ---- Faults ---- */

typedef struct {
  const char *title, *text, *message;
} Broken;

static const Broken broken[] = {
  { "not-json", "{", "mine.json: " },
  { "empty", "", "mine.json: not an object" },
  { "list", "[]", "mine.json: not an object" },
  { "no-schema", "{\"schema_version\": 1, \"dialects\": []}", "mine.json: member \"schema\" is missing" },
  { "family", "{\"schema\": \"qconv-model-family\", \"schema_version\": 1}",
    "mine.json: schema: not \"qconv-lora-dialects\"" },
  { "version", "{\"schema\": \"qconv-lora-dialects\", \"schema_version\": 2}", "mine.json: schema_version: not 1" },
  { "no-dialects", "{" HEAD "}", "mine.json: member \"dialects\" is missing" },
  { "unknown", "{" HEAD ", \"more\": 1}", "mine.json: unknown member \"more\"" },
  { "nameless", "{" HEAD ", \"dialects\": [{}]}", "mine.json: dialects[0]: member \"dialect\" is missing" },
  { "name", "{" HEAD ", \"dialects\": [{\"dialect\": 1}]}", "mine.json: dialects[0].dialect: not text" },
  { "member", DIALECT ("\"suffix\": {}"), "mine.json: dialects[0]: unknown member \"suffix\"" },
  { "role", DIALECT ("\"suffixes\": {\"middle\": []}"), "dialects[0].suffixes: unknown member \"middle\"" },
  { "role-list", DIALECT ("\"suffixes\": [\".up\"]"), "dialects[0].suffixes: not an object" },
  { "suffix-text", DIALECT ("\"suffixes\": {\"up\": \".up\"}"), "dialects[0].suffixes.up: not a list" },
  { "suffix-number", DIALECT ("\"suffixes\": {\"up\": [\".up\", 1]}"), "dialects[0].suffixes.up[1]: not text" },
  { "suffix-empty", DIALECT ("\"suffixes\": {\"up\": [\"\"]}"), "dialects[0].suffixes.up[0]: empty" },
  { "twice", DIALECT ("\"suffixes\": {\"up\": [\".a\"], \"down\": [\".a\"]}"),
    "dialects[0].suffixes.down[0]: \".a\" is listed twice" },
  { "both", DIALECT ("\"suffixes\": {\"up\": [\".a\"]}, \"refused\": {\"it\": [\".a\"]}"),
    "dialects[0].refused.it[0]: \".a\" is listed twice" },
  { "refused", DIALECT ("\"refused\": [\".a\"]"), "dialects[0].refused: not an object" },
  { "prefix", DIALECT ("\"prefixes\": [\"\"]"), "dialects[0].prefixes[0]: empty" },
  { "flat-prefix", DIALECT ("\"flat_prefixes\": [\"a_\", \"a_\"]"),
    "dialects[0].flat_prefixes[1]: \"a_\" is listed twice" },
  { "regex", DIALECT ("\"rewrites\": [{\"match\": \"(\", \"replace\": \"a\"}]"), "dialects[0].rewrites[0].match: " },
  { "replacement", DIALECT ("\"rewrites\": [{\"match\": \"a\", \"replace\": \"\\\\g<\"}]"),
    "dialects[0].rewrites[0].replace: " },
  { "half", DIALECT ("\"rewrites\": [{\"match\": \"a\"}]"), "dialects[0].rewrites[0]: member \"replace\" is missing" },
  { "metadata", DIALECT ("\"adapter_metadata\": {\"key\": \"a\", \"alpha\": \"b\", \"rank\": \"r\"}"),
    "dialects[0].adapter_metadata: member \"other_models\" is missing" },
  { "encoders", DIALECT ("\"encoders\": [{\"starts\": [\"te_\"]}]"),
    "dialects[0].encoders[0]: member \"models\" is missing" },
  { "starts", DIALECT ("\"encoders\": [{\"starts\": [\"te_\", \"\"], \"models\": []}]"),
    "dialects[0].encoders[0].starts[1]: empty" },
  { "rows", DIALECT ("\"rewrites\": [{\"match\": \"a\", \"replace\": \"b\", \"rows_per_column\": 0}]"),
    "dialects[0].rewrites[0].rows_per_column: not a number from 1 to 1024" },
  { "models", DIALECT ("\"adapter_metadata\": {\"other_models\": [1]}"),
    "dialects[0].adapter_metadata.other_models[0]: not text" },
};

static void
test_broken (gconstpointer data)
{
  const Broken *b = data;
  g_autoptr (LoraDialects) d = qconv_lora_dialects_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (qconv_lora_dialects_add (d, "mine.json", b->text, strlen (b->text), &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_true (g_str_has_prefix (error->message, "mine.json: "));
  g_assert_nonnull (strstr (error->message, b->message));
}

/* ---- Look-up ---- */

static LoraDialects *
parse (const char *text)
{
  g_autoptr (LoraDialects) d = qconv_lora_dialects_new ();
  g_autoptr (GError) error = NULL;

  qconv_lora_dialects_add (d, "mine.json", text, strlen (text), &error);
  g_assert_no_error (error);
  return g_steal_pointer (&d);
}

static void
test_suffix (void)
{
  gsize n;
  g_autoptr (LoraDialects) d = parse (
      DIALECT ("\"suffixes\": {\"up\": [\".a\", \".b.a\"], \"diff\": [\".d\"]}, \"refused\": {\"it\": [\".c.b.a\"]}"));

  g_assert_null (qconv_lora_dialects_suffix (d, "", &n));
  g_assert_null (qconv_lora_dialects_suffix (d, ".a", &n));
  g_assert_null (qconv_lora_dialects_suffix (d, "layer.A", &n));
  g_assert_cmpstr (qconv_lora_dialects_suffix (d, "layer.a", &n)->text, ==, ".a");
  g_assert_cmpstr (qconv_lora_dialects_suffix (d, "layer.b.a", &n)->text, ==, ".b.a");
  g_assert_cmpstr (qconv_lora_dialects_suffix (d, ".b.a", &n)->text, ==, ".a");
  g_assert_cmpint (qconv_lora_dialects_suffix (d, "layer.d", &n)->role, ==, LORA_DIFF);
  g_assert_cmpint (qconv_lora_dialects_suffix (d, "layer.c.b.a", &n)->role, ==, LORA_REFUSED);
  g_assert_cmpstr (qconv_lora_dialects_suffix (d, "layer.c.b.a", &n)->refused, ==, "it");
  g_assert_null (qconv_lora_dialects_suffix (d, "layer.d", &n)->refused);
}

/* Tests that "*" stands for one name, which may not be empty or missing */
static void
test_any_name (void)
{
  g_autoptr (LoraDialects) d = parse (DIALECT ("\"suffixes\": {\"up\": [\".a.*.w\", \".a.w\"], \"down\": [\".w\"]}"));
  gsize n;

  g_assert_cmpstr (qconv_lora_dialects_suffix (d, "layer.1.a.my-style.w", &n)->text, ==, ".a.*.w");
  g_assert_cmpuint (n, ==, strlen ("layer.1"));
  g_assert_cmpstr (qconv_lora_dialects_suffix (d, "layer.a.w", &n)->text, ==, ".a.w");
  g_assert_cmpuint (n, ==, strlen ("layer"));
  g_assert_cmpstr (qconv_lora_dialects_suffix (d, "layer.a.x.y.w", &n)->text, ==, ".w");
  g_assert_cmpstr (qconv_lora_dialects_suffix (d, "a.x.w", &n)->text, ==, ".w");
  g_assert_null (qconv_lora_dialects_suffix (d, ".a.x.v", &n));
}

static void
test_prefix (void)
{
  g_autoptr (LoraDialects) d = parse (DIALECT ("\"prefixes\": [\"a.\", \"a.b.\"], \"flat_prefixes\": [\"a_\"]"));

  g_assert_cmpstr (qconv_lora_dialects_strip (d->prefixes, "a.b.c"), ==, "c");
  g_assert_cmpstr (qconv_lora_dialects_strip (d->prefixes, "a.c"), ==, "c");
  g_assert_cmpstr (qconv_lora_dialects_strip (d->prefixes, "a."), ==, "");
  g_assert_null (qconv_lora_dialects_strip (d->prefixes, "a_c"));
  g_assert_cmpstr (qconv_lora_dialects_strip (d->flat_prefixes, "a_c"), ==, "c");
}

static void
test_rewrite (void)
{
  g_autoptr (LoraDialects) d = parse (
      "{" HEAD ", \"dialects\": [{\"dialect\": \"one\", \"rewrites\": [{\"match\": \"a\", \"replace\": \"b\"}, "
      "{\"match\": \"^b\", \"replace\": \"\"}]}, "
      "{\"dialect\": \"other\", \"rewrites\": [{\"match\": \"c\", \"replace\": \"d\", \"why\": \"so\", "
      "\"rows_per_column\": 3}]}]}");
  g_autoptr (GArray) none = qconv_lora_dialects_rewrite (d, "xyz");
  g_autoptr (GArray) one = qconv_lora_dialects_rewrite (d, "axa");
  g_autoptr (GArray) two = qconv_lora_dialects_rewrite (d, "xac");

  g_assert_cmpuint (none->len, ==, 0);
  g_assert_cmpuint (one->len, ==, 1);
  g_assert_cmpstr (g_array_index (one, LoraAlias, 0).name, ==, "xb");
  g_assert_cmpuint (two->len, ==, 2);
  g_assert_cmpstr (g_array_index (two, LoraAlias, 0).name, ==, "xbc");
  g_assert_cmpuint (g_array_index (two, LoraAlias, 0).rows_per_column, ==, 0);
  g_assert_cmpstr (g_array_index (two, LoraAlias, 1).name, ==, "xad");
  g_assert_cmpuint (g_array_index (two, LoraAlias, 1).rows_per_column, ==, 3);
}

/* ---- Files ---- */

static void
write_file (const char *folder, const char *text)
{
  g_autofree char *path = g_build_filename (folder, "mine.json", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static void
remove_file (const char *folder)
{
  g_autofree char *path = g_build_filename (folder, "mine.json", NULL);

  g_assert_cmpint (g_remove (path), ==, 0);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* Tests that the user's files come before those of the program and add to them */
static void
test_files (void)
{
  gsize n;
  g_autofree char *folder = g_build_filename (g_get_user_data_dir (), "qconv", "lora", NULL);
  g_autoptr (GError) error = NULL, wrong = NULL;
  g_autoptr (LoraDialects) d = NULL;

  write_file (folder, DIALECT ("\"suffixes\": {\"down\": [\".lora_B\"], \"up\": [\".mine\"]}"));
  d = qconv_lora_dialects_load (&error);
  g_assert_no_error (error);
  g_assert_cmpint (qconv_lora_dialects_suffix (d, "layer.mine", &n)->role, ==, LORA_UP);
  g_assert_cmpint (qconv_lora_dialects_suffix (d, "layer.lora_B", &n)->role, ==, LORA_DOWN);
  g_assert_cmpint (qconv_lora_dialects_suffix (d, "layer.lora_A", &n)->role, ==, LORA_DOWN);
  g_assert_cmpint (qconv_lora_dialects_suffix (d, "layer.dora_scale", &n)->role, ==, LORA_REFUSED);
  write_file (folder, DIALECT ("\"more\": 1"));
  g_assert_null (qconv_lora_dialects_load (&wrong));
  g_assert_error (wrong, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_nonnull (strstr (wrong->message, folder));
  g_assert_nonnull (strstr (wrong->message, "mine.json: dialects[0]: unknown member \"more\""));
  remove_file (folder);
}

/* Tests that nothing can be merged without the program's own dialects */
static void
test_missing (void)
{
  g_autofree char *before = g_strdup (g_getenv ("QCONV_DATA_PATH"));
  g_autofree char *data = g_dir_make_tmp ("qconv-dialects-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename (data, "lora", NULL);
  g_autoptr (GError) missing = NULL, empty = NULL;

  g_setenv ("QCONV_DATA_PATH", data, TRUE);
  g_assert_null (qconv_lora_dialects_load (&missing));
  g_assert_error (missing, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_assert_nonnull (strstr (missing->message, folder));
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_null (qconv_lora_dialects_load (&empty));
  g_assert_error (empty, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_nonnull (strstr (empty->message, folder));
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  g_assert_cmpint (g_rmdir (data), ==, 0);
  g_setenv ("QCONV_DATA_PATH", before, TRUE);
}

int
main (int argc, char **argv)
{
  g_autofree char *users = g_dir_make_tmp ("qconv-users-XXXXXX", NULL);
  g_autofree char *ours = g_build_filename (users, "qconv", NULL);
  int result;

  g_setenv ("XDG_DATA_HOME", users, TRUE);
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (broken); i++)
    {
      g_autofree char *path = g_strconcat ("/lora-dialects/broken/", broken[i].title, NULL);

      g_test_add_data_func (path, &broken[i], test_broken);
    }
  g_test_add_func ("/lora-dialects/suffix", test_suffix);
  g_test_add_func ("/lora-dialects/any-name", test_any_name);
  g_test_add_func ("/lora-dialects/prefix", test_prefix);
  g_test_add_func ("/lora-dialects/rewrite", test_rewrite);
  g_test_add_func ("/lora-dialects/files", test_files);
  g_test_add_func ("/lora-dialects/missing", test_missing);
  result = g_test_run ();
  g_rmdir (ours);
  g_rmdir (users);
  return result;
}
