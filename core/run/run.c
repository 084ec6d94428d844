/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a plan: writes beside the destination, checks, renames. The program calls qconv_plan_run(). */
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

static gboolean
check_output (QconvPlan *p, GError **error)
{
  ErrorLora *e = p->error_lora;
  g_autofree char *whole = g_canonicalize_filename (p->path, NULL), *second = NULL;

  if (!check_path (p, &p->path, error))
    return FALSE;
  if (e == NULL)
    return TRUE;
  second = g_canonicalize_filename (e->path, NULL);
  if (strcmp (whole, second) == 0 || same_file (p->path, e->path))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: the error LoRA is the output: choose another name", e->path);
  return check_path (p, &e->path, error);
}

gboolean
qconv_plan_check_output (QconvPlan *p, GError **error)
{
  guint64 size = p->layout.file_size;

  if (!check_output (p, error))
    return FALSE;
  if (p->resume)
    size -= MIN (size, qconv_save_kept_bytes (p->path));
  return qconv_save_check (p->path, size, error)
         && (p->error_lora == NULL || qconv_save_check (p->error_lora->path, p->error_lora->layout.file_size, error));
}

/* Writes the header, which states the checksums of the tensors and so comes last */
static gboolean
write_header (QconvPlan *p, const OutputFile *file, GError **error)
{
  return qconv_output_file_complete (file, error) && (!p->verify || qconv_output_file_check_copies (file, error))
         && qconv_plan_set_checksums (p, file->sums, error)
         && qconv_save_write (file->save, 0, p->layout.header->data, p->layout.header->len, error);
}

static gboolean
complete (const QconvPlan *p, Save *save, const Listener *listener, GError **error)
{
  const QconvContainer *c = qconv_registry_container (p->target->writer->container);

  return qconv_complete_file (c, &p->layout, save, listener->cancellable, error);
}

static gboolean
write_file (QconvPlan *p, OutputFile *file, const Listener *listener, GError **error)
{
  Progress counter;
  gboolean ok;

  if (file->resume != NULL && !qconv_resume_take (file->resume, file, listener, error))
    return FALSE;
  qconv_progress_init (&counter, qconv_convert_bytes (p), "converting", listener);
  ok = qconv_write_given (file, error) && qconv_convert_layers (p, file, &counter, listener->cancellable, error)
       && write_header (p, file, error) && complete (p, file->save, listener, error);
  if (ok)
    qconv_progress_finish (&counter);
  else
    qconv_error_name_file (error, qconv_source_path (p->model->source));
  qconv_progress_clear (&counter);
  return ok;
}

/* Writes and checks the temporary file of the output. Returns: (transfer full): what the check found */
static QconvReport *
write_and_check (QconvPlan *p, Save *save, Resume *resume, const Listener *listener, GError **error)
{
  OutputFile file;
  QconvReport *report = NULL;

  qconv_output_file_init (&file, &p->output, save, resume);
  if (write_file (p, &file, listener, error))
    report = qconv_check_plan (p, &(Written) { qconv_save_temporary (save), file.sums }, listener, error);
  qconv_output_file_clear (&file);
  return report;
}

/* Writes the output and the error LoRA beside their destinations, then gives them their names: the output is the last.
   @resume: (nullable); @report: (out) (nullable): what the check found */
static gboolean
make_file (QconvPlan *p, Save *save, Resume *resume, const Listener *listener, QconvReport **report, GError **error)
{
  const ErrorLora *e = p->error_lora;
  g_autoptr (Save) lora = e != NULL ? qconv_save_new (e->path, e->layout.file_size, error) : NULL;
  g_autoptr (QconvReport) own = NULL;
  gboolean ok, replace = p->force || p->in_place;

  if (e == NULL || lora != NULL)
    own = write_and_check (p, save, resume, listener, error);
  ok = own != NULL && (own->ok || qconv_report_fail (own, p->path, error))
       && (e == NULL
           || (qconv_write_error_lora (p, qconv_save_temporary (save), lora, listener, own, error)
               && qconv_save_sync (lora, error)));
  if (report != NULL)
    *report = g_steal_pointer (&own);
  return ok && qconv_save_sync (save, error) && !g_cancellable_set_error_if_cancelled (listener->cancellable, error)
         && (e == NULL || qconv_save_commit (lora, replace, error)) && qconv_save_commit (save, replace, error);
}

/* Runs so that the next run can go on if this one ends early */
static gboolean
run_resumable (QconvPlan *p, const Listener *listener, QconvReport **report, GError **error)
{
  g_autoptr (Resume) resume = qconv_resume_open (p, error);
  GError *failed = NULL;

  if (resume == NULL)
    return FALSE;
  make_file (p, qconv_resume_save (resume), resume, listener, report, &failed);
  qconv_resume_end (resume, failed);
  if (failed == NULL)
    return TRUE;
  g_propagate_error (error, failed);
  return FALSE;
}

gboolean
qconv_plan_run (QconvPlan *p, QconvProgressFunc progress, gpointer user_data, GCancellable *cancellable,
                QconvReport **report, GError **error)
{
  Listener listener = { progress, user_data, cancellable };
  g_autoptr (Save) save = NULL;

  if (!check_output (p, error))
    return FALSE;
  if (p->resume)
    return run_resumable (p, &listener, report, error);
  save = qconv_save_new (p->path, p->layout.file_size, error);
  return save != NULL && make_file (p, save, NULL, &listener, report, error);
}
