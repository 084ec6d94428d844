/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scratch folders, and the promises of a run, for the fuzz targets that write. */
#include "trial.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Resources of the two runs */
static const QconvRunOptions resources[]
    = { { .n_threads = 1, .memory = 256 << 20 }, { .n_threads = 3, .memory = 64 << 20 } };

static char *inputs, *outputs;
static guint n_written;

/* Removes all files of a folder. Returns how many there were */
static guint
empty_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL; n++)
    {
      g_autofree char *file = g_build_filename (path, name, NULL);

      g_assert_true (g_unlink (file) == 0);
    }
  return n;
}

static char *
make_folder (void)
{
  g_autoptr (GError) error = NULL;
  char *path = g_dir_make_tmp ("qconv-fuzz-XXXXXX", &error);

  g_assert_no_error (error);
  return path;
}

static void
remove_folders (void)
{
  empty_folder (inputs);
  empty_folder (outputs);
  g_rmdir (inputs);
  g_rmdir (outputs);
  g_clear_pointer (&inputs, g_free);
  g_clear_pointer (&outputs, g_free);
}

/* GLib ends a program by a trap, for which libFuzzer saves no input */
static void
end_by_abort (int number)
{
  abort ();
}

void
trial_begin (void)
{
  if (inputs == NULL)
    {
      /* A g_critical() is a finding. Messages and warnings are none, and there would be thousands of them */
      g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
      signal (SIGTRAP, end_by_abort);
      g_assert_true (qconv_registry_targets ()->len > 0); /* else QCONV_PLUGIN_PATH is wrong */
      inputs = make_folder ();
      outputs = make_folder ();
      atexit (remove_folders);
    }
  empty_folder (inputs);
  g_assert_true (empty_folder (outputs) == 0);
}

char *
trial_path (const char *name)
{
  return g_build_filename (inputs, name, NULL);
}

char *
trial_write (const char *name, gconstpointer bytes, gsize n)
{
  char *path = trial_path (name);
  g_autoptr (GError) error = NULL;

  g_file_set_contents_full (path, bytes, (gssize) n, G_FILE_SET_CONTENTS_NONE, 0600, &error);
  g_assert_no_error (error);
  return path;
}

void
trial_write_files (const Recipe *r)
{
  for (guint i = 0; i < r->files->len; i++)
    {
      const RecipeFile *f = &g_array_index (r->files, RecipeFile, i);
      g_autoptr (GByteArray) bytes = recipe_bytes (f);

      g_free (trial_write (f->name, bytes->data, bytes->len));
    }
}

/* Names in messages may hold anything, but no bytes that are not UTF-8 */
static void
check_message (const char *message, gpointer data)
{
  if (!g_utf8_validate (message, -1, NULL))
    g_error ("not UTF-8: \"%s\"", message);
}

/* Returns: (transfer full): what verifying @path finds, against @original (nullable) */
static QconvReport *
verify (const Trial *t, const char *path, const char *original)
{
  QconvOpenOptions open = { .for_verify = TRUE, .warn = check_message, .family_file = t->open.family_file };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (path, &open, &error);
  g_autoptr (QconvModel) other = original != NULL ? qconv_model_open (original, &t->open, &error) : NULL;
  QconvVerifyOptions options = { .original = other, .memory = 64 << 20, .n_threads = 1, .allow_incomplete = TRUE };
  QconvReport *report;

  g_assert_no_error (error);
  report = qconv_model_verify (model, &options, &error);
  g_assert_no_error (error);
  return report;
}

/* Returns whether a check may find such an error: some weights cannot be held by a scheme as well as its bound says,
   such as those near the end of F32, and what is wrong with the input may be wrong with the output */
static gboolean
may_fail_check (const Trial *t)
{
  g_autoptr (QconvReport) input = NULL;

  if (strstr (t->error->message, "beyond the bound") != NULL)
    return TRUE;
  input = verify (t, t->input, NULL);
  return input->problems->len > 0;
}

static void
check_error (const Trial *t)
{
  gboolean bug = g_error_matches (t->error, QCONV_ERROR, QCONV_ERROR_BUG)
                 || (g_error_matches (t->error, QCONV_ERROR, QCONV_ERROR_CHECK) && !may_fail_check (t));

  /* G_MESSAGES_DEBUG=all shows why an input writes nothing */
  g_log (G_LOG_DOMAIN, bug ? G_LOG_LEVEL_CRITICAL : G_LOG_LEVEL_DEBUG, "refused: %s", t->error->message);
  check_message (t->error->message, NULL);
}

/* Opens, plans and runs once. Returns: (transfer full) (nullable): the bytes of the output; NULL with t->error */
static GBytes *
run_once (Trial *t, const QconvRunOptions *with)
{
  g_autofree char *path = g_build_filename (outputs, "out.safetensors", NULL), *bytes = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (t->input, &t->open, &t->error);
  QconvJob job = t->job;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (QconvReport) report = NULL;
  gsize n;

  job.output = path;
  job.warn = check_message;
  job.run.n_threads = with->n_threads;
  job.run.memory = with->memory;
  plan = model != NULL ? qconv_plan_new (model, &job, &t->error) : NULL;
  g_assert_true ((plan == NULL) == (t->error != NULL));
  if (plan == NULL || !qconv_plan_run (plan, NULL, NULL, NULL, &report, &t->error))
    {
      check_error (t);
      g_assert_true (empty_folder (outputs) == 0);
      return NULL;
    }
  g_assert_no_error (t->error);
  g_assert_true (report == NULL || report->ok);
  g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
  g_assert_true (n == qconv_plan_output_bytes (plan));
  return g_bytes_new_take (g_steal_pointer (&bytes), n);
}

/* Verifies an output alone, and against its input if the job left all numbers as they were. The output of an input with
   problems may have them too */
static void
check_output (const Trial *t, const char *path)
{
  const QconvJob *j = &t->job;
  gboolean same = j->names.drop == NULL && j->lora.files == NULL && j->names.component == NULL;
  g_autoptr (QconvReport) before = verify (t, t->input, NULL);

  for (guint against = 0; before->problems->len == 0 && against < (same ? 2 : 1); against++)
    {
      g_autoptr (QconvReport) after = verify (t, path, against > 0 ? t->input : NULL);
      const QconvProblem *p = after->problems->len > 0 ? g_ptr_array_index (after->problems, 0) : NULL;

      if (p != NULL)
        g_error ("%s: %s: %s: %s", against > 0 ? "against the input" : "alone", p->layer, p->code, p->message);
    }
}

void
trial_run (Trial *t)
{
  g_autofree char *path = g_build_filename (outputs, "out.safetensors", NULL);
  g_autoptr (GBytes) first = NULL, second = NULL;
  g_autoptr (GError) error = NULL;

  t->open.warn = check_message;
  first = run_once (t, &resources[0]);
  error = g_steal_pointer (&t->error);
  g_assert_true (empty_folder (outputs) == (first != NULL ? 1 : 0));
  second = run_once (t, &resources[1]);
  if (error != NULL)
    {
      g_assert_true (second == NULL && t->error->domain == error->domain && t->error->code == error->code);
      g_assert_cmpstr (t->error->message, ==, error->message);
      return;
    }
  g_assert_no_error (t->error);
  g_assert_true (g_bytes_equal (first, second));
  check_output (t, path);
  t->output = g_steal_pointer (&path);
  n_written++;
}

void
trial_clear (Trial *t)
{
  guint n = t->output != NULL ? 1 : 0;

  g_assert_true (empty_folder (outputs) == n);
  g_clear_pointer (&t->output, g_free);
  g_clear_error (&t->error);
}

guint
trial_n_written (void)
{
  return n_written;
}
