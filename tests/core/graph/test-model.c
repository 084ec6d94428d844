/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests opening files: the container and the readers that take part, the messages, and the faults that verify
   tolerates. */
#include "graph/model.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "toy.h"

#define FLOATS(n, r, c)                                     \
  {                                                         \
    .name = n, .dtype = QCONV_F32, .shape = { 2, { r, c } } \
  }

static const ToyTensor plain[] = { FLOATS ("a.weight", 16, 16), { NULL } };
static const float ones[] = { 1, 1, 1 };
static const ToyTensor half[]
    = { { .name = "a.weight", .dtype = QCONV_I8, .shape = { 2, { 12, 16 } } },
        { .name = "a.scale", .dtype = QCONV_F32, .shape = { 1, { 3 } }, .values = ones },
        { .name = "a.scheme", .dtype = QCONV_U8, .shape = { 1, { 40 } }, .text = "half|group=4|12|16|F32" },
        FLOATS ("b.weight", 16, 16),
        { NULL } };
static const ToyTensor incomplete[]
    = { { .name = "a.weight", .dtype = QCONV_I8, .shape = { 2, { 12, 16 } } },
        { .name = "a.scheme", .dtype = QCONV_U8, .shape = { 1, { 40 } }, .text = "half|group=4|12|16|F32" },
        { NULL } };

/**
 * Case: a file is opened.
 * @tensors: (nullable): of it; NULL: it holds @bytes
 * @name: of the file
 * @format: the format of the model; NULL: opening fails with @code, or with an error of I/O if that is -1
 * @verify: the file opens with @for_verify
 */
typedef struct {
  const char *title;
  const ToyTensor *tensors;
  const char *name, *bytes;
  QconvOpenOptions options;
  const char *format;
  gint code;
  const char *error;
  gboolean verify;
} Case;

static const Case cases[] = {
  { "plain", plain, "in.box", .format = "box" },
  { "quantized", half, "in.box", .format = "toy" },
  { "another suffix", half, "in.bin", .format = "toy" },
  { "from the reader", half, "in.box", .options = { .from = "toy" }, .format = "toy" },
  { "from the container", half, "in.box", .options = { .from = "box" }, .format = "toy" },
  { "from a reader that finds nothing", plain, "in.box", .options = { .from = "toy" }, .format = "box" },
  { "from nobody", half, "in.box", .options = { .from = "toys" }, .code = QCONV_ERROR_NO_PLUGIN,
    .error = "*unknown format \"toys\"*" },
  { "no model", NULL, "in.txt", "\1\2\3", .code = QCONV_ERROR_INPUT, .error = "*in.txt: not a model*" },
  { "text", NULL, "in.txt", "hello\nyou", .code = QCONV_ERROR_INPUT, .error = "*in.txt: *text*: hello" },
  { "text of other letters", NULL, "in.txt", "h\xc3\xa9llo", .code = QCONV_ERROR_INPUT,
    .error = "*text*: h\xc3\xa9llo" },
  { "JSON", NULL, "in.box", " {\"error\":1}", .code = QCONV_ERROR_INPUT, .error = "*in.box: *JSON*{\"error\":1}" },
  { "a web page", NULL, "in.box", "\n<HTML>", .code = QCONV_ERROR_INPUT, .error = "*in.box: *HTML*" },
  { "Git LFS", NULL, "in.box", "version https://git-lfs.github.com/spec/v1\n", .code = QCONV_ERROR_INPUT,
    .error = "*in.box: *git lfs pull*" },
  { "an archive", NULL, "in.box", "Rar!\1", .code = QCONV_ERROR_INPUT, .error = "*in.box: *archive*" },
  { "a piece", NULL, "in.box.part2of3", "BOX 000000000000009999 \n", .code = QCONV_ERROR_INPUT,
    .error = "*part2of3: *piece of \"in.box\"*" },
  { "another piece", NULL, "in.box-split-aa", "BOX 000000000000009999 \n", .code = QCONV_ERROR_INPUT,
    .error = "*: *piece of \"in.box\"*" },
  { "an unfinished download", NULL, "in.box.part", "BOX 000000000000009999 \n", .code = QCONV_ERROR_INPUT,
    .error = "*: *unfinished*\"in.box\"*" },
  { "complete, with the name of a piece", half, "in.box.1", .format = "toy" },
  { "a name like that of a piece", half, "in.box.backup", .format = "toy" },
  { "empty", NULL, "in.txt", "", .code = QCONV_ERROR_INPUT, .error = "*in.txt: the file is empty" },
  { "broken, known by its suffix", NULL, "in.box", "BO", .code = QCONV_ERROR_INPUT, .error = "*in.box: *" },
  { "header is longer than the file", NULL, "in.box", "BOX 000000000000009999 \n", .code = QCONV_ERROR_INPUT,
    .error = "*in.box: the header is longer than the file" },
  { "header is cut", NULL, "in.box", "BOX 0000", .code = QCONV_ERROR_INPUT, .error = "*in.box: *" },
  { "tensor outside", NULL, "in.box", "BOX 000000000000000039 \nT a U8 48 1 1\n\n", .code = QCONV_ERROR_INPUT,
    .error = "*in.box: *\"a\"*" },
  { "pickle", NULL, "in.pt", "\x80\x02}q", .code = QCONV_ERROR_UNSUPPORTED, .error = "*in.pt: *pickle*" },
  { "pickle in a zip", NULL, "in.pt", "PK\x03\x04 archive/data.pkl", .code = QCONV_ERROR_UNSUPPORTED,
    .error = "*in.pt: *pickle*" },
  { "component is missing", incomplete, "in.box", .code = QCONV_ERROR_INPUT,
    .error = "*in.box: layer \"a\": component scale is missing", .verify = TRUE },
};

/* Returns: (transfer full): the file of @k */
static char *
make_file (const Case *k)
{
  char *path = toy_path (k->name);

  if (k->tensors != NULL)
    toy_write (path, k->tensors, NULL);
  else
    toy_write_text (path, k->bytes);
  return path;
}

static void
test_case (gconstpointer data)
{
  const Case *k = data;
  g_autofree char *path = NULL;
  g_autoptr (QconvModel) m = NULL, tolerated = NULL;
  g_autoptr (GError) error = NULL;
  QconvOpenOptions options = k->options;

  toy_reset ();
  path = make_file (k);
  m = qconv_model_open (path, &options, &error);
  if (k->format != NULL)
    {
      g_assert_no_error (error);
      g_assert_cmpstr (qconv_model_format (m), ==, k->format);
      return;
    }
  g_assert_null (m);
  toy_assert_error (error, k->code, k->error);
  if (qconv_error_exit_status (error) == 3) /* the file is named once */
    g_assert_null (strstr (strstr (error->message, path) + 1, path));
  options.for_verify = TRUE;
  tolerated = qconv_model_open (path, &options, NULL);
  g_assert_cmpint (tolerated != NULL, ==, k->verify);
}

static void
test_missing (void)
{
  g_autofree char *path = toy_path ("in.box");
  g_autoptr (GError) error = NULL;

  g_assert_null (qconv_model_open (path, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpint (qconv_error_exit_status (error), ==, 1);
  g_assert_nonnull (strstr (error->message, path));
}

/* ---- Reports of plugins when a file is opened ---- */

static const struct {
  const char *title;
  ToyHook hook;
  QconvError code;
  gboolean verify; /* verify tolerates it */
} faults[] = {
  { "container", TOY_OPEN, QCONV_ERROR_INPUT, FALSE },
  { "container is broken", TOY_OPEN, QCONV_ERROR_BUG, FALSE },
  { "reader", TOY_CLAIM, QCONV_ERROR_INPUT, TRUE },
  { "reader cannot", TOY_CLAIM, QCONV_ERROR_UNSUPPORTED, TRUE },
  { "reader is broken", TOY_CLAIM, QCONV_ERROR_BUG, FALSE },
  { "quantizer", TOY_COMPONENTS, QCONV_ERROR_UNSUPPORTED, TRUE },
  { "quantizer is broken", TOY_COMPONENTS, QCONV_ERROR_BUG, FALSE },
};

static void
test_fault (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autofree char *path = toy_path ("in.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (path, half, NULL);
  toy.fail = faults[i].hook;
  toy.code = faults[i].code;
  g_assert_null (qconv_model_open (path, NULL, &error));
  toy_assert_error (error, (gint) faults[i].code,
                    faults[i].hook == TOY_COMPONENTS ? "*in.box: layer \"a\": the toy broke"
                                                     : "*in.box: the toy broke");
  m = qconv_model_open (path, &(QconvOpenOptions) { .for_verify = TRUE }, NULL);
  g_assert_cmpint (m != NULL, ==, faults[i].verify);
  if (m != NULL)
    {
      g_autoptr (QconvReport) r = NULL;

      toy_reset ();
      r = qconv_model_verify (m, NULL, NULL);
      g_assert_true (toy_reported (r, NULL, "unreadable"));
      g_assert_cmpuint (r->problems->len, ==, 1);
      g_assert_cmpuint (r->layers->len, ==, 0);
    }
}

/* ---- Questions about an open model ---- */

static void
test_weights (void)
{
  g_autofree char *path = toy_path ("in.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GArray) weights = NULL;
  const QconvWeightInfo *w;

  toy_reset ();
  toy_write (path, half, NULL);
  m = toy_open (path);
  weights = qconv_model_weights (m);
  g_assert_cmpuint (weights->len, ==, 2);
  w = &g_array_index (weights, QconvWeightInfo, 0);
  g_assert_cmpstr (w->name, ==, "a");
  g_assert_cmpstr (w->scheme, ==, "half");
  g_assert_cmpstr (w->dtype, ==, "F32");
  g_assert_cmpuint (w->bytes, ==, 12 * 16 + 3 * sizeof (float));
  w = &g_array_index (weights, QconvWeightInfo, 1);
  g_assert_cmpstr (w->name, ==, "b");
  g_assert_cmpstr (w->scheme, ==, "plain");
  g_assert_cmpuint (w->bytes, ==, 16 * 16 * sizeof (float));
}

/* Tests that names are found behind a prefix, and that exact names come first */
static void
test_find (void)
{
  static const ToyTensor tensors[] = { FLOATS ("model.a.weight", 4, 4), FLOATS ("b.weight", 4, 4), { NULL } };
  static const struct {
    const char *name;
    gboolean by_name, by_tensor;
  } names[] = { { "a", TRUE, FALSE },
                { "model.a", TRUE, FALSE },
                { "a.weight", TRUE, FALSE },
                { "b", TRUE, FALSE },
                { "model.a.weight", TRUE, TRUE },
                { "b.weight", TRUE, TRUE },
                { "model.b", TRUE, FALSE },
                { "c", FALSE, FALSE },
                { "", FALSE, FALSE } };
  g_autofree char *path = toy_path ("in.box");
  g_autoptr (QconvModel) m = NULL;

  toy_reset ();
  toy_write (path, tensors, NULL);
  m = toy_open (path);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_assert_cmpint (qconv_model_find (m, names[i].name) != NULL, ==, names[i].by_name);
      g_assert_cmpint (qconv_model_find_tensor (m, names[i].name) != NULL, ==, names[i].by_tensor);
    }
}

static void
test_family (void)
{
  static const ToyTensor toyland[]
      = { FLOATS ("model.door.weight", 16, 16), FLOATS ("model.tables.0.up.weight", 4, 8), { NULL } };
  g_autofree char *path = toy_path ("in.box");
  g_autoptr (QconvModel) known = NULL, unknown = NULL;

  toy_reset ();
  toy_write (path, toyland, NULL);
  known = toy_open (path);
  g_assert_cmpstr (qconv_model_family (known), ==, "toyland");
  g_assert_cmpstr (qconv_model_variant (known), ==, "only");
  toy_write (path, plain, NULL);
  unknown = toy_open (path);
  g_assert_null (qconv_model_family (unknown));
  g_assert_null (qconv_model_variant (unknown));
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/core/model/open/", cases[i].title, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *path = g_strconcat ("/core/model/fault/", faults[i].title, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_fault);
    }
  g_test_add_func ("/core/model/missing", test_missing);
  g_test_add_func ("/core/model/weights", test_weights);
  g_test_add_func ("/core/model/find", test_find);
  g_test_add_func ("/core/model/family", test_family);
  return g_test_run ();
}
