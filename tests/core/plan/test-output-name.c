/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the derived name of an output, and outputs that are refused before any work. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "toy.h"

static const ToyTensor model[] = { { .name = "a.weight", .dtype = QCONV_F32, .shape = { 2, { 16, 16 } } }, { NULL } };

static const struct {
  const char *input, *target, *output;
} names[] = {
  { "model.box", "half-toy", "model-half-toy.box" },
  { "model", "half-toy", "model-half-toy.box" },
  { "model-Q8_0.box", "half-toy", "model-half-toy.box" },
  { "model-Q4_K_M.box", "half-toy", "model-half-toy.box" },
  { "model_bf16.box", "half-toy", "model-half-toy.box" },
  { "model.fp16.box", "half-toy", "model-half-toy.box" },
  { "model-FP8.box", "f32-toy", "model-f32-toy.box" },
  { "model-half-toy.box", "whole-toy", "model-whole-toy.box" },
  { "model-half8-toy.box", "half-toy", "model-half-toy.box" },
  { "model-00001-of-00003.box", "half-toy", "model-half-toy.box" },
  { "model-BF16-00001-of-00003.box", "half-toy", "model-half-toy.box" },
  { "model-1.box", "half-toy", "model-1-half-toy.box" },
  { "v1.5.box", "half-toy", "v1.5-half-toy.box" },
  { "-Q8_0.box", "half-toy", "-Q8_0-half-toy.box" },
  { "half-toy.box", "half-toy", "half-toy-half-toy.box" },
  { "a b.box", "copy-toy", "a b-copy-toy.box" },
};

static void
test_name (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autofree char *in = toy_path (names[i].input), *want = toy_path (names[i].output);
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) p = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (in, model, NULL);
  m = toy_open (in);
  p = qconv_plan_new (m, &(QconvJob) { .target = names[i].target }, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (qconv_plan_output (p), ==, want);
  g_assert_cmpstr (qconv_plan_target (p), ==, names[i].target);
}

/* ---- Outputs that are refused ---- */

typedef enum {
  OUT_NEW,
  OUT_THERE,
  OUT_INPUT,
  OUT_FOLDER,
  OUT_PIPE,
  OUT_DEVICE,
  OUT_LINK,
  OUT_INPUT_LINK,
  OUT_DANGLING
} Output;

static const struct {
  const char *title;
  Output output;
  gboolean force;
  const char *error; /* (nullable) */
} outputs[] = {
  { "new", OUT_NEW, FALSE, NULL },
  { "there", OUT_THERE, FALSE, "*out.box: exists*--force*" },
  { "there, forced", OUT_THERE, TRUE, NULL },
  { "input", OUT_INPUT, FALSE, "*in.box: the output is the input*" },
  { "input, forced", OUT_INPUT, TRUE, "*in.box: the output is the input*" },
  { "link to the input, forced", OUT_INPUT_LINK, TRUE, "*out.box: the output is the input*" },
  { "folder", OUT_FOLDER, FALSE, NULL },
  { "device, forced", OUT_DEVICE, TRUE, "*name a file" },
  { "pipe", OUT_PIPE, TRUE, "*" },
  { "link to a file", OUT_LINK, FALSE, "*exists*--force*" },
  { "link to a file, forced", OUT_LINK, TRUE, NULL },
  { "link to nothing, forced", OUT_DANGLING, TRUE, "*out.box: is a link to nothing" },
};

/* Returns: (transfer full): the path of the output, which is made as @output states */
static char *
make_output (Output output, const char *in)
{
  g_autofree char *out = toy_path ("out.box"), *other = toy_path ("other.box");

  if (output == OUT_THERE)
    toy_write_text (out, "precious");
  if (output == OUT_LINK)
    toy_write_text (other, "precious");
  if (output == OUT_LINK || output == OUT_DANGLING)
    g_assert_cmpint (symlink (other, out), ==, 0);
  if (output == OUT_INPUT_LINK)
    g_assert_cmpint (symlink (in, out), ==, 0);
  return output == OUT_PIPE     ? g_strdup ("-")
         : output == OUT_DEVICE ? g_strdup ("/dev/stdout")
         : output == OUT_FOLDER ? g_path_get_dirname (in)
         : output == OUT_INPUT  ? g_strdup (in)
                                : g_steal_pointer (&out);
}

static void
test_output (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autofree char *in = toy_path ("in.box"), *out = NULL, *other = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) before = NULL, after = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok;

  toy_reset ();
  toy_write (in, model, NULL);
  out = make_output (outputs[i].output, in);
  before = toy_file (in);
  m = toy_open (in);
  ok = toy_run (m, &(QconvJob) { .target = "half-toy", .output = out, .run.force = outputs[i].force }, NULL, &error);
  after = toy_file (in);
  g_assert_true (g_bytes_equal (before, after));
  g_assert_cmpint (ok, ==, outputs[i].error == NULL);
  if (!ok)
    toy_assert_error (error, QCONV_ERROR_OPTION, outputs[i].error);
  if (!ok)
    g_assert_cmpint (toy.calls[TOY_ENCODE], ==, 0);
  if (outputs[i].output == OUT_LINK)
    g_assert_true (g_file_test (out, G_FILE_TEST_IS_SYMLINK));
  if (!ok && outputs[i].output == OUT_THERE)
    g_assert_true (g_file_get_contents (out, &other, NULL, NULL) && strcmp (other, "precious") == 0);
}

/* ---- Folders and caches ---- */

#define COMMIT "hub/models--org--name/snapshots/0123"

/* An input, the output that is asked for, and the path that is planned. @blob: the input is a link to it */
static const struct {
  const char *title, *input, *output, *blob, *want;
} places[] = {
  { "folder with a slash", "in.box", "out/", NULL, "out/in-half-toy.box" },
  { "folder", "in.box", "out", NULL, "out/in-half-toy.box" },
  { "no such folder", "in.box", "none/", NULL, NULL },
  { "file of a cache", COMMIT "/in.box", NULL, NULL, "in-half-toy.box" },
  { "link of a cache", COMMIT "/in.box", NULL, "hub/models--org--name/blobs/0a", "in-half-toy.box" },
  { "asked for in a cache", COMMIT "/in.box", COMMIT "/out.box", NULL, COMMIT "/out.box" },
  { "blob", "hub/models--org--name/blobs/0a", NULL, NULL, "name-half-toy.box" },
  { "blob of another cache", ".ollama/models/blobs/sha256-0a", NULL, NULL, "sha256-0a-half-toy.box" },
  { "name like a cache", "models--org--name/in.box", NULL, NULL, "models--org--name/in-half-toy.box" },
  { "link into a cache", "in.box", NULL, COMMIT "/in.box", "in-half-toy.box" },
};

static void
make_folder (const char *file)
{
  g_autofree char *folder = g_path_get_dirname (file);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0777), ==, 0);
}

static void
test_place (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autofree char *here = g_get_current_dir (), *top = toy_path ("in.box"), *out = toy_path ("out");
  g_autofree char *folder = g_path_get_dirname (top), *real = g_canonicalize_filename (folder, NULL);
  g_autofree char *blob = places[i].blob != NULL ? g_build_filename (real, places[i].blob, NULL) : NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) p = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  g_mkdir (out, 0777);
  g_assert_cmpint (g_chdir (folder), ==, 0);
  make_folder (places[i].input);
  if (blob != NULL)
    make_folder (blob);
  toy_write (blob != NULL ? blob : places[i].input, model, NULL);
  if (blob != NULL)
    g_assert_cmpint (symlink (blob, places[i].input), ==, 0);
  m = qconv_model_open (places[i].input, NULL, &error);
  g_assert_no_error (error);
  p = qconv_plan_new (m, &(QconvJob) { .target = "half-toy", .output = places[i].output }, &error);
  if (places[i].want != NULL)
    g_assert_no_error (error);
  else
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpstr (p != NULL ? qconv_plan_output (p) : NULL, ==, places[i].want);
  g_unlink (places[i].input);
  g_assert_cmpint (g_chdir (here), ==, 0);
}

/* Tests that the error suggests the nearest target */
static void
test_unknown (void)
{
  g_autofree char *in = toy_path ("in.box");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GError) error = NULL;

  toy_reset ();
  toy_write (in, model, NULL);
  m = toy_open (in);
  g_assert_null (qconv_plan_new (m, &(QconvJob) { .target = "halv-toy" }, &error));
  toy_assert_error (error, QCONV_ERROR_NO_PLUGIN, "unknown target \"halv-toy\"; did you mean half-toy?");
  g_clear_error (&error);
  /* a target whose quantizer cannot encode */
  g_assert_null (qconv_plan_new (m, &(QconvJob) { .target = "light-toy" }, &error));
  toy_assert_error (error, QCONV_ERROR_NO_PLUGIN,
                    "target \"light-toy\" is not offered: the scheme \"light\" only decodes");
}

#define ADD(prefix, table, title, func)                                              \
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)                                   \
    {                                                                                \
      g_autofree char *path = g_strconcat ("/core/output/" prefix "/", title, NULL); \
                                                                                     \
      g_test_add_data_func (path, GUINT_TO_POINTER (i), func);                       \
    }

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  ADD ("name", names, names[i].input, test_name)
  ADD ("place", places, places[i].title, test_place)
  ADD ("refused", outputs, outputs[i].title, test_output)
  g_test_add_func ("/core/output/unknown", test_unknown);
  return g_test_run ();
}
