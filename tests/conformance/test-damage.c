/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Damages what each target writes: between the writing and the check, and after the run. The check and verify must
 * find every fault, and no damaged file may get its name. */
#include <glib/gstdio.h>
#include <string.h>

#include "sample.h"
#include "small.h"

/* Fault: @bits are turned over in @n bytes from @offset on; 0: the bytes become zero */
typedef struct {
  guint64 offset, n;
  guint8 bits;
  gboolean injected;
} Fault;

static char *input, *family_input, *output;

/* Writes into the file itself, which a run may hold open */
static void
inject (const char *path, Fault *f)
{
  FILE *file = g_fopen (path, "r+b");

  g_assert_nonnull (file);
  for (guint64 i = 0; i < f->n; i++)
    {
      int before, after;

      g_assert_cmpint (fseek (file, (long) (f->offset + i), SEEK_SET), ==, 0);
      before = fgetc (file);
      g_assert_cmpint (before, !=, EOF);
      after = f->bits != 0 ? before ^ f->bits : 0;
      f->injected |= after != before;
      g_assert_cmpint (fseek (file, (long) (f->offset + i), SEEK_SET), ==, 0);
      g_assert_cmpint (fputc (after, file), ==, after);
    }
  g_assert_cmpint (fclose (file), ==, 0);
}

/* Injects the fault when all is written and nothing is checked: the last report of a phase names no layer */
static void
follow (const QconvProgress *progress, gpointer data)
{
  Fault *f = data;
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (strcmp (progress->phase, "converting") != 0 || progress->layer != NULL || f->injected)
    return;
  dir = g_dir_open (sample_folder (), 0, NULL);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".qconv-part"))
      {
        g_autofree char *path = g_build_filename (sample_folder (), name, NULL);

        inject (path, f);
      }
}

static QconvModel *
open_model (const char *path)
{
  g_autoptr (GError) error = NULL;
  QconvModel *m = qconv_model_open (path, &(QconvOpenOptions) { .for_verify = TRUE }, &error);

  g_assert_no_error (error);
  return m;
}

static gboolean
convert (const char *target, Fault *fault, GError **error)
{
  g_autoptr (QconvModel) model = open_model (sample_needs_family (target) ? family_input : input);
  QconvJob job = {
    .target = target,
    .options = sample_quick_options (target),
    .output = output,
    .run.force = TRUE,
    .run.n_threads = 2,
    .rules.only = sample_only (target),
  };
  g_autoptr (QconvPlan) plan = qconv_plan_new (model, &job, error);

  return plan != NULL && qconv_plan_run (plan, follow, fault, NULL, NULL, error);
}

/* Tests that a run with the fault fails and leaves no file. Returns whether the fault changed a byte */
static gboolean
is_refused (const char *target, Fault fault, const char *what)
{
  g_autoptr (GError) error = NULL;

  g_remove (output);
  if (convert (target, &fault, &error) && fault.injected)
    g_error ("%s: nobody saw what was done to byte %" G_GUINT64_FORMAT ", %s", target, fault.offset, what);
  if (!fault.injected)
    return FALSE;
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_CHECK);
  g_assert_false (g_file_test (output, G_FILE_TEST_EXISTS));
  return TRUE;
}

/* Tests that verify names @tensor if the written file has the fault */
static void
check_reported (const char *target, Fault fault, const char *tensor)
{
  g_autoptr (QconvModel) model = NULL;
  g_autoptr (QconvReport) report = NULL;
  g_autoptr (GError) error = NULL;
  gboolean found = FALSE;

  inject (output, &fault);
  model = open_model (output);
  report = qconv_model_verify (model, NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < report->problems->len; i++)
    {
      const QconvProblem *p = g_ptr_array_index (report->problems, i);

      found |= strcmp (p->code, "checksum") == 0 && g_strcmp0 (p->layer, tensor) == 0;
    }
  if (!found)
    g_error ("%s: verify sees nothing at byte %" G_GUINT64_FORMAT " of \"%s\"", target, fault.offset, tensor);
  inject (output, &fault); /* turns the bits back */
}

/* Returns whether the container of @d keeps metadata. That of the template cannot, so verify knows no checksums */
static gboolean
keeps_metadata (const QconvDirectory *d)
{
  gboolean stated = qconv_directory_metadata (d, "qconv_checksums") != NULL;

  g_assert_true (stated || strcmp (qconv_directory_container (d), "safetensors") != 0);
  return stated;
}

/* Returns the distance of the tensors that are tested. A layer of SVDQuant has eight, with which no distance has a
   common divisor, so that those of each kind have their turn */
static guint
stride_of (const char *target)
{
  return !sample_needs_family (target) ? 1 : test_is_small () ? 43 : 5;
}

/* Tests each tensor: one bit of the first, middle and last byte, and all bytes zero */
static void
test_target (gconstpointer data)
{
  const char *target = data;
  g_autoptr (QconvModel) written = NULL;
  g_autoptr (GError) error = NULL;
  Fault none = { 0 };
  const QconvDirectory *d;
  guint n = 0, n_tested = 0, stride = stride_of (target);

  g_free (output);
  output = sample_output (target, "out");
  g_assert_true (convert (target, &none, &error));
  g_assert_no_error (error);
  written = open_model (output); /* keeps its file open, so the places stay known */
  d = qconv_model_directory (written);
  for (guint i = 0; i < qconv_directory_n_tensors (d); i += stride)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (t->n_bytes == 0 || !keeps_metadata (d))
        continue;
      check_reported (target, (Fault) { t->offset, 1, 0x01 }, t->name);
      check_reported (target, (Fault) { t->offset + t->n_bytes - 1, 1, 0x80 }, t->name);
    }
  for (guint i = 0; i < qconv_directory_n_tensors (d); i += stride)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      n_tested++;
      if (t->n_bytes == 0)
        continue;
      n += is_refused (target, (Fault) { t->offset + t->n_bytes / 2, 1, 0x10 }, t->name);
      n += is_refused (target, (Fault) { t->offset, t->n_bytes, 0 }, t->name);
    }
  g_assert_cmpuint (n, >, n_tested);
  g_assert_true (is_refused (target, (Fault) { 20, 1, 0x01 }, "the header"));
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  input = sample_generate ("--layers 1 --rows 128 --cols 256", "input.safetensors");
  family_input = sample_generate (SAMPLE_FAMILY_MODEL, "family.safetensors");
  sample_add_targets ("/damage/", test_target, NULL);
  status = g_test_run ();
  g_free (input);
  g_free (family_input);
  g_free (output);
  sample_finish ();
  return status;
}
