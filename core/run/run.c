/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a plan to a file that is there. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check/check.h"
#include "check/report.h"
#include "run/convert-layers.h"
#include "run/write-tensors.h"

/* A link keeps being one: the file that it names is written, if it is a file */
static gboolean
follow_link (QconvPlan *p, GError **error)
{
  char *target = realpath (p->path, NULL);

  if (target == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: is a link to nothing", p->path);
  g_free (p->path);
  p->path = g_strdup (target);
  free (target);
  return TRUE;
}

static gboolean
check_output (QconvPlan *p, GError **error)
{
  struct stat st;

  if (strcmp (p->path, "-") == 0)
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       "the output is written in any order, which no pipe can take: name a file");
  if (!p->in_place && qconv_source_is_file (p->model->source, p->path))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: the output is the input: choose another name", p->path);
  if (lstat (p->path, &st) != 0)
    return TRUE;
  if (S_ISLNK (st.st_mode) && !follow_link (p, error))
    return FALSE;
  if (stat (p->path, &st) != 0 || !S_ISREG (st.st_mode))
    return qconv_fail (error, QCONV_ERROR_OPTION, "%s: exists and is not a file", p->path);
  return p->force || p->in_place
         || qconv_fail (error, QCONV_ERROR_OPTION, "%s: exists; --force overwrites it", p->path);
}

/* The written file is what was planned, and as close to the source as its schemes promise */
static gboolean
check_written (QconvPlan *p, Save *save, QconvProgressFunc progress, gpointer user_data, GCancellable *cancellable,
               QconvReport **report, GError **error)
{
  QconvReport *r = qconv_check_plan (p, qconv_save_temporary (save), progress, user_data, cancellable, error);
  const QconvProblem *first;

  if (r == NULL)
    return FALSE;
  *report = r;
  if (r->ok)
    return TRUE;
  first = g_ptr_array_index (r->problems, 0);
  return qconv_fail (
      error, strcmp (first->code, QCONV_PROBLEM_NON_FINITE) == 0 ? QCONV_ERROR_NON_FINITE : QCONV_ERROR_CHECK,
      "%s: the written file failed its check: %s%s%s (%u problems)", p->path, first->layer != NULL ? first->layer : "",
      first->layer != NULL ? ": " : "", first->message, r->problems->len);
}

static gboolean
write_file (QconvPlan *p, Save *save, QconvProgressFunc progress, gpointer user_data, GCancellable *cancellable,
            GError **error)
{
  Progress counter;
  gboolean ok;

  qconv_progress_init (&counter, qconv_convert_bytes (p), "converting", progress, user_data);
  ok = qconv_pack_file (p, save, error) && qconv_convert_layers (p, save, &counter, cancellable, error);
  if (ok)
    qconv_progress_finish (&counter);
  qconv_progress_clear (&counter);
  return ok;
}

gboolean
qconv_plan_run (QconvPlan *p, QconvProgressFunc progress, gpointer user_data, GCancellable *cancellable,
                QconvReport **report, GError **error)
{
  g_autoptr (QconvReport) own = NULL;
  g_autoptr (Save) save = NULL;
  gboolean ok;

  if (!check_output (p, error))
    return FALSE;
  save = qconv_save_new (p->path, p->file_size, error);
  if (save == NULL)
    return FALSE;
  if (!write_file (p, save, progress, user_data, cancellable, error))
    {
      const char *path = qconv_source_path (p->model->source);

      if (error != NULL && (*error)->domain == QCONV_ERROR)
        g_prefix_error (error, "%s: ", path);
      return FALSE;
    }
  ok = check_written (p, save, progress, user_data, cancellable, &own, error);
  if (report != NULL)
    *report = g_steal_pointer (&own);
  return ok && qconv_save_sync (save, error) && !g_cancellable_set_error_if_cancelled (cancellable, error)
         && qconv_save_commit (save, p->force || p->in_place, error);
}
