/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests edits of a small file: the intended changes, and that everything else stays byte for byte. */
#include "plan/edit.h"

#include <string.h>

#include "io/directory.h"
#include "toy.h"

#define FLOATS(n, r, c)                                     \
  {                                                         \
    .name = n, .dtype = QCONV_F32, .shape = { 2, { r, c } } \
  }

static const ToyTensor model[] = { FLOATS ("a.weight", 24, 16),
                                   FLOATS ("b.weight", 16, 16),
                                   { .name = "a.bias", .dtype = QCONV_F16, .shape = { 1, { 24 } } },
                                   FLOATS ("first.weight", 12, 20),
                                   { NULL } };
static const char *const metadata[] = { "author=nobody", "note=long ago", NULL };

/* Markers of the file that is edited: "a" has a hint, and "b" has none */
#define A "half|group=4,rounding=even|24|16|F32"
#define B "half|group=4,rounding=even|16|16|F32"

/**
 * Case: an edit of the model in half.
 * @hints, @n_hints, @metadata: of the job
 * @a, @b: markers afterwards
 * @author: (nullable): value of that key afterwards; NULL: it is removed
 * @changed: tensors other than markers that differ, are removed or are new; separated by blanks
 * @error: (nullable): of QCONV_ERROR_OPTION
 */
typedef struct {
  const char *title;
  QconvHintChange hints[3];
  guint n_hints;
  const char *metadata[3], *options[2];
  const char *only, *keep, *input_scale;
  const char *a, *b, *author, *changed, *error;
} Case;

#define SAME .a = A "|colour=red", .b = B, .author = "nobody"

static const Case cases[] = {
  { "nothing", SAME },
  /* Hints */
  { "set", { { "colour", "blue" } }, 1, .a = A "|colour=blue", .b = B "|colour=blue", .author = "nobody" },
  { "set for some",
    { { "colour", "blue" } },
    1,
    .only = "^b$",
    .a = A "|colour=red",
    .b = B "|colour=blue",
    .author = "nobody" },
  { "set but for some",
    { { "colour", "blue" } },
    1,
    .keep = "^a$",
    .a = A "|colour=red",
    .b = B "|colour=blue",
    .author = "nobody" },
  { "keep before only",
    { { "colour", "blue" } },
    1,
    .only = "^(a|b)$",
    .keep = "^a$",
    .a = A "|colour=red",
    .b = B "|colour=blue",
    .author = "nobody" },
  { "add", { { "colour", "blue", TRUE } }, 1, .a = A "|colour=red", .b = B "|colour=blue", .author = "nobody" },
  { "remove", { { "colour", NULL } }, 1, .a = A, .b = B, .author = "nobody" },
  { "several", { { "colour", NULL }, { "size", "3" } }, 2, .a = A "|size=3", .b = B "|size=3", .author = "nobody" },
  { "in order", { { "size", "3" }, { "size", NULL } }, 2, SAME },
  { "remove what nobody has", { { "size", NULL } }, 1, .error = "\"size\" changes nothing*" },
  { "remove where nobody has it", { { "colour", NULL } }, 1, .only = "^b$", .error = "\"colour\" changes nothing*" },
  { "add where all have it", { { "colour", "blue", TRUE } }, 1, .only = "^a$", SAME },
  { "set what files cannot store",
    { { "taste", "sweet" } },
    1,
    .only = "^b$",
    .error = "b: files of the form toy have no place for the key \"taste\"" },
  { "set for kept layers",
    { { "colour", "blue" } },
    1,
    .only = "^first$",
    .error = "--only ^first$ matches no quantized layer" },
  { "only matches nothing", { { "colour", "blue" } }, 1, .only = "^z$", .error = "--only ^z$ matches no layer*" },
  { "keep matches nothing", { { "colour", "blue" } }, 1, .keep = "^z$", .error = "--keep ^z$ matches no layer*" },
  { "key is no text", { { "\xff", "blue" } }, 1, .error = "*1*UTF-8*" },
  { "value is no text", { { "size", "3" }, { "colour", "\xff" } }, 2, .error = "*2*UTF-8*" },
  /* Metadata */
  { "metadata", .metadata = { "author=me" }, .a = A "|colour=red", .b = B, .author = "me" },
  { "metadata to nothing", .metadata = { "author=" }, .a = A "|colour=red", .b = B, .author = "" },
  { "metadata with an equals sign", .metadata = { "author=a=b" }, .a = A "|colour=red", .b = B, .author = "a=b" },
  { "metadata is removed", .metadata = { "author" }, .a = A "|colour=red", .b = B },
  { "metadata is added", .metadata = { "new=1" }, SAME },
  { "no such metadata", .metadata = { "size" }, .error = "the metadata has no key \"size\"" },
  { "metadata removed twice", .metadata = { "author", "author" }, .error = "the metadata has no key \"author\"" },
  { "metadata without key", .metadata = { "=1" }, .error = "*\"=1\"" },
  { "metadata of nothing", .metadata = { "" }, .error = "*\"\"" },
  { "metadata is no text", .metadata = { "author=\xff" }, .error = "*1*UTF-8*" },
  { "metadata of the writer", .metadata = { "toy=2" }, .error = "\"toy\" *" },
  { "metadata of the writer is removed", .metadata = { "author=me", "toy" }, .error = "*\"toy\"*" },
  { "metadata of the writer as it is", .metadata = { "toy=1" }, SAME },
  /* Options of the writer, input scales */
  { "option", .options = { "loud" }, SAME },
  { "option for some layers", .options = { "loud" }, .only = "^a$", .error = "loud is for the whole file*" },
  { "unknown option", .options = { "group=8" }, .error = "*group*" },
  { "input scale", .input_scale = "0.5", SAME, .changed = "a.input_scale b.input_scale" },
  { "input scale for some", .input_scale = "0.5", .only = "^b$", SAME, .changed = "b.input_scale" },
  { "input scale of none", .input_scale = "none", SAME },
  { "input scale that is none", .input_scale = "-1", .error = "input scale -1 *" },
};

/* Returns: (transfer full): path of the model in half, with the hint, as the toy writer writes it */
static char *
make_file (void)
{
  g_autofree char *in = toy_path ("in.box"), *path = toy_path ("half.box"), *hinted = toy_path ("hinted.box");

  toy_reset ();
  toy_write (in, model, metadata);
  toy_convert (in, path, &(QconvJob) { .target = "half-toy" });
  toy_convert (path, hinted,
               &(QconvJob) { .edit.hints = &(QconvHintChange) { "colour", "red" },
                             .edit.n_hints = 1,
                             .rules.only = QCONV_LIST ("^a$") });
  return g_steal_pointer (&hinted);
}

static void
assert_text (const char *path, const char *name, const char *want)
{
  g_autoptr (GBytes) b = toy_tensor (path, name);

  g_assert_cmpmem (g_bytes_get_data (b, NULL), g_bytes_get_size (b), want, strlen (want));
}

/* Asserts that both files have the same tensors with the same bytes, except for those in @changed and markers */
static void
assert_same (const char *from, const char *to, const char *changed)
{
  g_autoptr (QconvModel) a = toy_open (from), b = toy_open (to);
  g_auto (GStrv) listed = g_strsplit (changed != NULL ? changed : "", " ", -1);
  guint n = 0;

  for (guint i = 0; i < qconv_directory_n_tensors (qconv_model_directory (a)); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (qconv_model_directory (a), i);
      g_autoptr (GBytes) x = toy_tensor (from, t->name), y = toy_tensor (to, t->name);
      gboolean same = y != NULL && g_bytes_equal (x, y);

      n++;
      if (!g_str_has_suffix (t->name, ".scheme"))
        g_assert_cmpint (same, ==, !g_strv_contains ((const char *const *) listed, t->name));
    }
  for (guint i = 0; listed[i] != NULL; i++)
    if (*listed[i] != '\0')
      n += qconv_directory_find (qconv_model_directory (b), listed[i]) != NULL
           && qconv_directory_find (qconv_model_directory (a), listed[i]) == NULL;
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (b)), ==, n);
}

static void
assert_metadata (const char *path, const char *key, const char *want)
{
  g_autoptr (QconvModel) m = toy_open (path);
  GVariant *v = qconv_directory_metadata (qconv_model_directory (m), key);

  g_assert_cmpstr (v != NULL ? g_variant_get_string (v, NULL) : NULL, ==, want);
}

static QconvJob
make_job (const Case *k)
{
  return (QconvJob) { .edit.hints = k->hints,
                      .edit.n_hints = k->n_hints,
                      .edit.metadata = k->metadata[0] != NULL ? k->metadata : NULL,
                      .options = k->options[0] != NULL ? k->options : NULL,
                      .input_scale = k->input_scale };
}

static void
test_case (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *path = make_file (), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = toy_open (path);
  g_autoptr (GError) error = NULL;
  QconvJob job = make_job (k);
  gboolean ok;

  job.rules.only = QCONV_LIST (k->only);
  job.rules.keep = QCONV_LIST (k->keep);
  job.output = out;
  toy_reset ();
  ok = toy_run (m, &job, NULL, &error);
  if (k->error != NULL)
    {
      g_assert_false (ok);
      toy_assert_error (error, QCONV_ERROR_OPTION, k->error);
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpint (toy.calls[TOY_ENCODE], ==, 0);
  assert_text (out, "a.scheme", k->a);
  assert_text (out, "b.scheme", k->b);
  assert_metadata (out, "author", k->author);
  assert_metadata (out, "note", "long ago");
  assert_same (path, out, k->changed);
}

/* Tests that an edit takes away what another edit added: the file is as it was before */
static void
test_back (void)
{
  static const float half = 0.5f;
  g_autofree char *path = make_file (), *with = toy_path ("with.box"), *without = toy_path ("without.box");
  g_autoptr (GBytes) before = NULL, after = NULL, scale = NULL;

  toy_convert (path, with, &(QconvJob) { .input_scale = "0.5" });
  scale = toy_tensor (with, "a.input_scale");
  g_assert_cmpmem (g_bytes_get_data (scale, NULL), g_bytes_get_size (scale), &half, sizeof half);
  toy_convert (with, without, &(QconvJob) { .input_scale = "none" });
  before = toy_file (path);
  after = toy_file (without);
  g_assert_true (g_bytes_equal (before, after));
}

/* Returns: (transfer full): what the edit changes, separated by newlines */
static char *
changes_of (const char *path, const QconvJob *job)
{
  g_autoptr (QconvModel) m = toy_open (path);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) p = qconv_plan_new (m, job, &error);
  g_autoptr (GString) text = g_string_new (NULL);
  const GPtrArray *changes;

  g_assert_no_error (error);
  changes = qconv_plan_changes (p);
  for (guint i = 0; i < changes->len; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? "\n" : "", (const char *) g_ptr_array_index (changes, i));
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* Tests what edits say that they change */
static void
test_changes (void)
{
  static const struct {
    QconvHintChange hint;
    const char *metadata, *input_scale, *changes;
  } lists[] = {
    { .changes = "" },
    { .hint = { "colour", "red" }, .changes = "b: colour: none -> red" },
    { .hint = { "colour", "blue" }, .changes = "a: colour: red -> blue\nb: colour: none -> blue" },
    { .hint = { "colour", "blue", TRUE }, .changes = "b: colour: none -> blue" },
    { .hint = { "colour", NULL }, .changes = "a: colour: red -> none" },
    { .hint = { "size", "3" }, .changes = "a, b (2 in all): size: none -> 3" },
    { .metadata = "author=nobody", .changes = "" },
    { .metadata = "author=me", .changes = "metadata author: nobody -> me" },
    { .metadata = "author", .changes = "metadata author: nobody -> none" },
    { .metadata = "new=1", .changes = "metadata new: none -> 1" },
    { .input_scale = "none", .changes = "" },
    { .input_scale = "0.5", .changes = "a, b (2 in all): input_scale: none -> 0.5" },
  };
  g_autofree char *path = make_file (), *out = toy_path ("out.box");

  toy_reset ();
  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    {
      g_autofree char *got = changes_of (path, &(QconvJob) {
                                                   .output = out,
                                                   .edit.hints = &lists[i].hint,
                                                   .edit.n_hints = lists[i].hint.key != NULL,
                                                   .edit.metadata = QCONV_LIST (lists[i].metadata),
                                                   .input_scale = lists[i].input_scale,
                                               });

      g_assert_cmpstr (got, ==, lists[i].changes);
    }
}

/* Tests that without output the file itself is edited, and no other file is left */
static void
test_in_place (void)
{
  g_autofree char *path = make_file (), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) there = NULL, here = NULL;
  const QconvJob job = { .edit.hints = &(QconvHintChange) { "colour", "green" }, .edit.n_hints = 1 };
  guint n;

  toy_convert (path, out, &job);
  n = toy_n_files (path);
  m = toy_open (path);
  g_assert_true (toy_run (m, &job, NULL, &error));
  g_assert_cmpuint (toy_n_files (path), ==, n);
  there = toy_file (out);
  here = toy_file (path);
  g_assert_true (g_bytes_equal (there, here));
}

/* Tests that a file is as it was if its edit fails */
static void
test_in_place_fails (void)
{
  g_autofree char *path = make_file ();
  g_autoptr (QconvModel) m = toy_open (path);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) before = toy_file (path), after = NULL;
  guint n = toy_n_files (path);

  toy_reset ();
  toy.fail = TOY_CLAIM; /* when the check opens the written file */
  toy.code = QCONV_ERROR_INPUT;
  g_assert_false (toy_run (m, &(QconvJob) { .input_scale = "0.5" }, NULL, &error));
  toy_assert_error (error, QCONV_ERROR_CHECK, "*cannot be read back*the toy broke");
  after = toy_file (path);
  g_assert_true (g_bytes_equal (before, after));
  g_assert_cmpuint (toy_n_files (path), ==, n);
}

/* Jobs that no edit can have, by the member that is set */
static const struct {
  const char *title;
  QconvJob job;
  const char *error;
} refused[] = {
  { "component", { .names.component = "vae" }, "*takes all layers*" },
  { "naming", { .names.naming = "original" }, "*takes all layers*" },
  { "lora", { .lora.files = (const char *const[]) { "x", NULL } }, "*no LoRA*" },
  { "drop", { .names.drop = (const char *const[]) { "x", NULL } }, "*takes all layers*" },
  { "fallback", { .rules.fallback = "half" }, "*" },
};

static void
test_refused (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autofree char *path = make_file (), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = toy_open (path);
  g_autoptr (GError) error = NULL;
  QconvJob job = refused[i].job;

  job.output = out;
  g_assert_null (qconv_plan_new (m, &job, &error));
  toy_assert_error (error, QCONV_ERROR_OPTION, refused[i].error);
}

/* Tests a file without quantized layers: it has the form of its container, for which there is no writer */
static void
test_no_writer (void)
{
  g_autofree char *path = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (path, model, metadata);
  m = toy_open (path);
  g_assert_null (qconv_plan_new (m, &(QconvJob) { .output = out }, &error));
  toy_assert_error (error, QCONV_ERROR_OPTION, "nothing writes files of the form box*");
}

/* Tests that a scheme that no plugin knows cannot be written again */
static void
test_unknown_scheme (void)
{
  static const ToyTensor strange[]
      = { { .name = "a.weight", .dtype = QCONV_I8, .shape = { 2, { 4, 4 } } },
          { .name = "a.scheme", .dtype = QCONV_U8, .shape = { 1, { 20 } }, .text = "odd||4|4|F32" },
          { NULL } };
  g_autofree char *path = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (path, strange, NULL);
  m = toy_open (path);
  g_assert_null (qconv_plan_new (m, &(QconvJob) { .output = out }, &error));
  toy_assert_error (error, QCONV_ERROR_UNSUPPORTED, "*in.box: layer \"a\": no loaded plugin decodes odd: *");
}

/* Tests that tensors keep their shape even if the writer would give them another one */
static void
test_shape_stays (void)
{
  static const float scale[] = { 1, 2, 3 };
  static const ToyTensor odd[]
      = { { .name = "a.weight", .dtype = QCONV_U8, .shape = { 1, { 12 * 8 } } },
          { .name = "a.scale", .dtype = QCONV_F32, .shape = { 1, { 3 } }, .values = scale },
          { .name = "a.scheme", .dtype = QCONV_U8, .shape = { 1, { 40 } }, .text = "half|group=4|12|8|F32" },
          { NULL } };
  g_autofree char *path = toy_path ("in.box"), *out = toy_path ("out.box");
  g_autoptr (QconvModel) m = NULL;
  const QconvTensor *t;

  toy_reset ();
  toy_write (path, odd, NULL);
  toy_convert (path, out, &(QconvJob) { .edit.hints = &(QconvHintChange) { "colour", "red" }, .edit.n_hints = 1 });
  assert_same (path, out, NULL);
  m = toy_open (out);
  t = qconv_directory_find (qconv_model_directory (m), "a.weight");
  g_assert_cmpint (t->dtype, ==, QCONV_U8);
  g_assert_cmpuint (t->shape.rank, ==, 1);
}

#define ADD(prefix, table, data, func)                                                   \
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)                                       \
    {                                                                                    \
      g_autofree char *path = g_strconcat ("/core/edit/", prefix, table[i].title, NULL); \
                                                                                         \
      g_test_add_data_func (path, data, func);                                           \
    }

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  ADD ("", cases, &cases[i], test_case)
  ADD ("refused/", refused, GUINT_TO_POINTER (i), test_refused)
  g_test_add_func ("/core/edit/back", test_back);
  g_test_add_func ("/core/edit/changes", test_changes);
  g_test_add_func ("/core/edit/in-place", test_in_place);
  g_test_add_func ("/core/edit/in-place-fails", test_in_place_fails);
  g_test_add_func ("/core/edit/no-writer", test_no_writer);
  g_test_add_func ("/core/edit/unknown-scheme", test_unknown_scheme);
  g_test_add_func ("/core/edit/shape-stays", test_shape_stays);
  return g_test_run ();
}
