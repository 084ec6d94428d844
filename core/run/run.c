/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a plan: writes beside the destinations, checks, renames. The program calls qconv_plan_run(). */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "check/check.h"
#include "check/report.h"
#include "plan/error-lora.h"
#include "plan/plan-checksums.h"
#include "run/complete.h"
#include "run/convert-layers.h"
#include "run/resume.h"
#include "run/write-error-lora.h"
#include "run/write-tensors.h"

/* Makes the file behind the link *path the output, so that the link stays */
static gboolean
follow_link (char **path, GError **error)
{
  char *target = realpath (*path, NULL);

  if (target == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: is a link to nothing", *path);
  g_free (*path);
  *path = g_strdup (target);
  free (target);
  return TRUE;
}

/* Returns whether @a and @b are paths of one file */
static gboolean
same_file (const char *a, const char *b)
{
  struct stat x, y;

  return stat (a, &x) == 0 && stat (b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Fails if @path would take the place of a file that the run reads besides the model */
static gboolean
check_inputs (const QconvPlan *p, const char *path, GError **error)
{
  for (guint i = 0; !p->in_place && i < p->inputs->len; i++)
    if (same_file (path, g_ptr_array_index (p->inputs, i)))
      return qconv_fail (error, QCONV_ERROR_OPTION, "%s: the output is a file that this run reads: choose another name",
                         path);
  return TRUE;
}

/* Returns whether @path names a pipe, a terminal or a device. /dev/shm is a folder in memory like any other */
static gboolean
is_stream (const char *path)
{
  g_autofree char *whole = g_canonicalize_filename (path, NULL);

  return strcmp (path, "-") == 0 || g_str_has_prefix (whole, "/proc/")
         || (g_str_has_prefix (whole, "/dev/") && !g_str_has_prefix (whole, "/dev/shm/"));
}

/* Checks *path, which the run will write */
static gboolean
check_path (const QconvPlan *p, char **path, GError **error)
{
  struct stat st;

  if (is_stream (*path))
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       "the output is written in any order, which no pipe can take: name a file");
  if (!p->in_place && qconv_source_is_file (p->model->source, *path))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: the output is the input: choose another name", *path);
  if (!check_inputs (p, *path, error))
    return FALSE;
  if (lstat (*path, &st) != 0)
    return TRUE;
  if (S_ISLNK (st.st_mode) && !follow_link (path, error))
    return FALSE;
  if (stat (*path, &st) != 0 || !S_ISREG (st.st_mode))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: exists and is not a file", *path);
  return p->force || p->in_place || qconv_fail (error, QCONV_ERROR_OPTION, "%s: exists; --force overwrites it", *path);
}

/* Checks the path of the error LoRA, which must not be one of the output */
static gboolean
check_error_lora (QconvPlan *p, GError **error)
{
  ErrorLora *e = p->error_lora;
  g_autofree char *whole = g_canonicalize_filename (e->path, NULL);

  for (guint i = 0; i < p->files->len; i++)
    {
      const char *path = qconv_plan_file (p, i)->path;
      g_autofree char *other = g_canonicalize_filename (path, NULL);

      if (strcmp (whole, other) == 0 || same_file (path, e->path))
        return qconv_fail (error, QCONV_ERROR_OPTION, "%s: the error LoRA is the output: choose another name", e->path);
    }
  return check_path (p, &e->path, error);
}

static gboolean
check_output (QconvPlan *p, GError **error)
{
  for (guint i = 0; i < p->files->len; i++)
    if (!check_path (p, &qconv_plan_file (p, i)->path, error))
      return FALSE;
  return p->error_lora == NULL || check_error_lora (p, error);
}

/* Checks that the folder can take all files together, and that each can be written */
static gboolean
check_room (const QconvPlan *p, GError **error)
{
  guint64 kept = 0, bytes = qconv_files_bytes (p->files);
  gboolean new_folder = qconv_plan_is_folder (p) && !g_file_test (p->path, G_FILE_TEST_EXISTS);

  for (guint i = 0; p->resume && i < p->files->len; i++)
    kept += qconv_save_kept_bytes (qconv_plan_file (p, i)->path);
  bytes -= MIN (bytes, kept);
  if (!qconv_save_check (new_folder ? p->path : qconv_plan_output (p), bytes, error))
    return FALSE;
  for (guint i = 1; !new_folder && i < p->files->len; i++)
    if (!qconv_save_check (qconv_plan_file (p, i)->path, 0, error))
      return FALSE;
  return p->error_lora == NULL || qconv_save_check (p->error_lora->path, p->error_lora->layout.file_size, error);
}

gboolean
qconv_plan_check_output (QconvPlan *p, GError **error)
{
  return check_output (p, error) && check_room (p, error);
}

/* Writes the headers, which state the checksums of the tensors and so come last */
static gboolean
write_headers (QconvPlan *p, const OutputFile *file, GError **error)
{
  gboolean ok = qconv_output_file_complete (file, error) && (!p->verify || qconv_output_file_check_copies (file, error))
                && qconv_plan_set_checksums (p, file->sums, error);

  for (guint i = 0; ok && i < p->files->len; i++)
    {
      const GByteArray *header = qconv_plan_file (p, i)->layout.header;

      ok = qconv_save_write (file->saves[i], 0, header->data, header->len, error);
    }
  return ok;
}

static gboolean
complete (const QconvPlan *p, const OutputFile *file, const Listener *listener, GError **error)
{
  for (guint i = 0; i < p->files->len; i++)
    {
      const PlannedFile *f = qconv_plan_file (p, i);

      if (f->container != NULL
          && !qconv_complete_file (f->container, &f->layout, file->saves[i], listener->cancellable, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
write_files (QconvPlan *p, OutputFile *file, const Listener *listener, GError **error)
{
  Progress counter;
  gboolean ok;

  if (file->resume != NULL && !qconv_resume_take (file->resume, file, listener, error))
    return FALSE;
  qconv_progress_init (&counter, qconv_convert_bytes (p), "converting", listener);
  ok = qconv_write_given (file, error) && qconv_convert_layers (p, file, &counter, listener->cancellable, error)
       && write_headers (p, file, error) && complete (p, file, listener, error);
  if (ok)
    qconv_progress_finish (&counter);
  else
    qconv_error_name_file (error, qconv_source_path (p->model->source));
  qconv_progress_clear (&counter);
  return ok;
}

/* Returns: (transfer container): the paths of the temporary files of the output */
static const char **
temporaries (const QconvPlan *p, Save *const *saves)
{
  const char **paths = g_new0 (const char *, p->files->len + 1);

  for (guint i = 0; i < p->files->len; i++)
    paths[i] = qconv_save_temporary (saves[i]);
  return paths;
}

/* Writes and checks the temporary files of the output. Returns: (transfer full): what the check found */
static QconvReport *
write_and_check (QconvPlan *p, Save *const *saves, Resume *resume, const Listener *listener, GError **error)
{
  OutputFile file;
  QconvReport *report = NULL;
  g_autofree const char **paths = temporaries (p, saves);

  qconv_output_file_init (&file, &p->output, saves, resume);
  if (write_files (p, &file, listener, error))
    report = qconv_check_plan (p, &(Written) { paths, file.sums }, listener, error);
  qconv_output_file_clear (&file);
  return report;
}

/* Waits until the files are on the disk, and gives them their names: the error LoRA first, if there is one, then those
   of the output. @lora: (nullable) */
static gboolean
name_files (const QconvPlan *p, Save *const *saves, Save *lora, GCancellable *cancellable, GError **error)
{
  g_autofree Save **all = g_new (Save *, p->files->len + 1);
  guint n = 0;

  if (lora != NULL)
    all[n++] = lora;
  for (guint i = 0; i < p->files->len; i++)
    all[n++] = saves[i];
  for (guint i = 0; i < n; i++)
    if (!qconv_save_sync (all[i], error))
      return FALSE;
  return !g_cancellable_set_error_if_cancelled (cancellable, error)
         && qconv_save_commit (all, n, p->force || p->in_place, error);
}

/* Writes the output and the error LoRA beside their destinations, then gives them their names. @saves: (array): of the
   output; @resume: (nullable); @report: (out) (nullable): what the check found */
static gboolean
make_files (QconvPlan *p, Save *const *saves, Resume *resume, const Listener *listener, QconvReport **report,
            GError **error)
{
  const ErrorLora *e = p->error_lora;
  g_autoptr (Save) lora = e != NULL ? qconv_save_new (e->path, e->layout.file_size, error) : NULL;
  g_autoptr (QconvReport) own = NULL;
  g_autofree const char **paths = temporaries (p, saves);
  gboolean ok;

  if (e == NULL || lora != NULL)
    own = write_and_check (p, saves, resume, listener, error);
  ok = own != NULL && (own->ok || qconv_report_fail (own, qconv_plan_output (p), error))
       && (e == NULL || qconv_write_error_lora (p, paths, lora, listener, own, error));
  if (report != NULL)
    *report = g_steal_pointer (&own);
  return ok && name_files (p, saves, lora, listener->cancellable, error);
}

/* Runs so that the next run can go on if this one ends early */
static gboolean
run_resumable (QconvPlan *p, const Listener *listener, QconvReport **report, GError **error)
{
  g_autoptr (Resume) resume = qconv_resume_open (p, error);
  GError *failed = NULL;

  if (resume == NULL)
    return FALSE;
  make_files (p, qconv_resume_saves (resume), resume, listener, report, &failed);
  qconv_resume_end (resume, failed);
  if (failed == NULL)
    return TRUE;
  g_propagate_error (error, failed);
  return FALSE;
}

static gboolean
run_once (QconvPlan *p, const Listener *listener, QconvReport **report, GError **error)
{
  g_autoptr (GPtrArray) saves = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_save_free);

  for (guint i = 0; i < p->files->len; i++)
    {
      const PlannedFile *f = qconv_plan_file (p, i);
      Save *s = qconv_save_new (f->path, f->layout.file_size, error);

      if (s == NULL)
        return FALSE;
      g_ptr_array_add (saves, s);
    }
  return make_files (p, (Save *const *) saves->pdata, NULL, listener, report, error);
}

gboolean
qconv_plan_run (QconvPlan *p, QconvProgressFunc progress, gpointer user_data, GCancellable *cancellable,
                QconvReport **report, GError **error)
{
  Listener listener = { progress, user_data, cancellable };
  g_autoptr (SaveFolder) folder = NULL;

  if (!check_output (p, error) || (p->files->len > 1 && !check_room (p, error)))
    return FALSE;
  if (qconv_plan_is_folder (p) && (folder = qconv_save_folder_new (p->path, error)) == NULL)
    return FALSE;
  return p->resume ? run_resumable (p, &listener, report, error) : run_once (p, &listener, report, error);
}
