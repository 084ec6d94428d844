/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the problems that a check and the readers find. The files of this folder fill reports, the program shows
   them. */
#include "check/report.h"

#include <math.h>
#include <string.h>

#include "base/gather.h"

/* OwnReport: a report as this file keeps it; the public part comes first. @gather: owns the warnings */
typedef struct {
  QconvReport pub;
  Gather *gather;
} OwnReport;

/* Readers add to a report through this */
struct _QconvProblems {
  QconvReport *report;
  gboolean of_run;
};

static void
free_problem (gpointer data)
{
  QconvProblem *p = data;

  g_free (p->layer);
  g_free (p->code);
  g_free (p->message);
  g_free (p);
}

static void
free_layer_error (gpointer data)
{
  QconvLayerError *e = data;

  g_free (e->name);
  g_free (e->scheme);
  g_free (e);
}

QconvReport *
qconv_report_new (void)
{
  OwnReport *own = g_new0 (OwnReport, 1);
  QconvReport *r = &own->pub;

  own->gather = qconv_gather_new ();
  r->ok = TRUE;
  r->problems = g_ptr_array_new_with_free_func (free_problem);
  r->layers = g_ptr_array_new_with_free_func (free_layer_error);
  r->warnings = qconv_gather_lines (own->gather);
  r->notes = g_ptr_array_new_with_free_func (g_free);
  r->lora_before = r->lora_after = -1;
  return r;
}

void
qconv_report_free (QconvReport *r)
{
  g_clear_pointer (&r->problems, g_ptr_array_unref);
  g_clear_pointer (&r->layers, g_ptr_array_unref);
  g_ptr_array_unref (r->notes);
  qconv_gather_free (((OwnReport *) r)->gather);
  g_free (r);
}

static void
add_problem (QconvReport *r, const char *layer, const char *code, char *message)
{
  QconvProblem *p = g_new (QconvProblem, 1);

  *p = (QconvProblem) { g_strdup (layer), g_strdup (code), message };
  g_ptr_array_add (r->problems, p);
  r->ok = FALSE;
}

void
qconv_report_problem (QconvReport *r, const char *layer, const char *code, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  add_problem (r, layer, code, g_strdup_vprintf (format, args));
  va_end (args);
}

GHashTable *
qconv_report_names (const QconvReport *r, const char *code)
{
  GHashTable *names = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < r->problems->len; i++)
    {
      const QconvProblem *p = g_ptr_array_index (r->problems, i);

      if (p->layer != NULL && (code == NULL || strcmp (p->code, code) == 0))
        g_hash_table_add (names, p->layer);
    }
  return names;
}

void
qconv_problems_add (QconvProblems *p, const char *layer, const char *code, const char *format, ...)
{
  va_list args;

  g_return_if_fail (p != NULL && code != NULL && format != NULL);
  va_start (args, format);
  add_problem (p->report, layer, code, g_strdup_vprintf (format, args));
  va_end (args);
}

void
qconv_report_warning (QconvReport *r, const char *name, const char *code, const char *text)
{
  qconv_gather_add (((OwnReport *) r)->gather, name, code, text);
}

void
qconv_problems_warn_each (QconvProblems *p, const char *name, const char *code, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  g_return_if_fail (p != NULL && code != NULL && format != NULL);
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  qconv_report_warning (p->report, name, code, text);
}

void
qconv_problems_note (QconvProblems *p, const char *format, ...)
{
  va_list args;

  g_return_if_fail (p != NULL && format != NULL);
  va_start (args, format);
  g_ptr_array_add (p->report->notes, g_strdup_vprintf (format, args));
  va_end (args);
}

gboolean
qconv_problems_of_run (const QconvProblems *p)
{
  return p->of_run;
}

void
qconv_report_layer (QconvReport *r, const char *name, const char *scheme, double relmse)
{
  QconvLayerError *e = g_new (QconvLayerError, 1);

  *e = (QconvLayerError) { g_strdup (name), g_strdup (scheme), relmse, relmse > 0 ? -10 * log10 (relmse) : INFINITY };
  g_ptr_array_add (r->layers, e);
}

/* A model of fewer problems than this has them listed, whatever its size */
enum { FEW_PROBLEMS = 8 };

void
qconv_report_differences (QconvReport *r, QconvReport *differences, guint n)
{
  GPtrArray *found = differences->problems;
  const QconvProblem *first = found->len > 0 ? g_ptr_array_index (found, 0) : NULL;
  g_autoptr (GHashTable) names = qconv_report_names (differences, NULL);
  guint n_names = g_hash_table_size (names);

  r->ok &= differences->ok;
  g_ptr_array_extend_and_steal (r->layers, g_steal_pointer (&differences->layers));
  if (n_names > FEW_PROBLEMS && n_names > n / 2)
    qconv_report_problem (
        r, NULL, "other-model",
        "%u of %u tensors do not fit the original, such as %s: %s. It is another model, or LoRAs were "
        "merged into one of the two",
        found->len, n, first->layer, first->message);
  else
    g_ptr_array_extend_and_steal (r->problems, g_steal_pointer (&differences->problems));
  qconv_report_free (differences);
}

gboolean
qconv_report_fail (const QconvReport *r, const char *path, GError **error)
{
  const QconvProblem *first = g_ptr_array_index (r->problems, 0);
  gboolean source = strcmp (first->code, QCONV_PROBLEM_NON_FINITE) == 0;

  return qconv_fail (error, source ? QCONV_ERROR_NON_FINITE : QCONV_ERROR_CHECK,
                     "%s: the written file failed its check: %s%s%s (%u problems)", path,
                     first->layer != NULL ? first->layer : "", first->layer != NULL ? ": " : "", first->message,
                     r->problems->len);
}

/* Returns whether a problem of @r is the reason of @error */
static gboolean
is_reported (const QconvReport *r, const GError *error)
{
  for (guint i = 0; i < r->problems->len; i++)
    if (strstr (error->message, ((const QconvProblem *) g_ptr_array_index (r->problems, i))->message) != NULL)
      return TRUE;
  return FALSE;
}

void
qconv_report_structure (QconvReport *r, const QconvModel *m, gboolean of_run)
{
  QconvProblems problems = { r, of_run };

  for (guint i = 0; i < m->readers->len; i++)
    {
      const QconvReader *reader = g_ptr_array_index (m->readers, i);

      if (reader->check != NULL)
        reader->check (reader, m->directory, &problems);
    }
  if (m->unclaimed != NULL && !is_reported (r, m->unclaimed))
    qconv_report_problem (r, NULL, "unreadable", "%s", m->unclaimed->message);
}
