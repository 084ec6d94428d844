/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv verify`: checks a quantized file, and measures its error against the original. */
#include <glib/gi18n.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/open-model.h"
#include "cli/show.h"
#include "cli/term.h"
#include "qconv.h"

static void
print_report (const char *path, const QconvReport *report, gboolean compared)
{
  if (report->ok && report->layers->len == 0 && report->n_checksums == 0)
    cli_print (_ ("%s: nothing to check: no layer is quantized, and the metadata hold no checksums; --against compares "
                  "it with an original\n"),
               path);
  else if (report->ok)
    cli_print (_ ("%s: no problems in %u layers and the checksums of %u tensors\n"), path, report->layers->len,
               report->n_checksums);
  else
    cli_print (_ ("%s: problems: %u\n"), path, report->problems->len);
  for (guint i = 0; i < report->notes->len; i++)
    {
      g_autofree char *note = cli_text_clean (report->notes->pdata[i]);

      cli_print ("  %s\n", note);
    }
  cli_report_problems (report);
  if (!compared)
    return;
  cli_report_schemes (report, NULL);
  cli_report_layers (report, 0);
}

gboolean
cli_verify (const CliSettings *s, const char *const *words, GError **error)
{
  g_autoptr (QconvModel) model = cli_model_open (&s->input, words[0], s->input.from, TRUE, NULL, error);
  g_autoptr (QconvModel) original = NULL;
  g_autoptr (QconvReport) report = NULL;

  if (model == NULL)
    return FALSE;
  if (s->input.against != NULL)
    {
      original = cli_model_open (&s->input, s->input.against, NULL, FALSE, NULL, error);
      if (original == NULL)
        return FALSE;
    }
  {
    g_autoptr (CliProgress) progress = cli_progress_new (s->show.progress);

    report = qconv_model_verify (model,
                                 &(QconvVerifyOptions) {
                                     .original = original,
                                     .memory = s->run.memory,
                                     .n_threads = s->run.n_threads,
                                     .progress = cli_progress_update,
                                     .progress_data = progress,
                                     .cancellable = cli_interrupt_begin (),
                                     .allow_incomplete = s->output.allow_incomplete,
                                 },
                                 error);
  }
  if (report == NULL)
    return FALSE;
  cli_report_warnings (report, words[0], NULL);
  if (s->show.json)
    cli_report_json (report);
  else
    print_report (words[0], report, original != NULL);
  return report->ok || qconv_fail (error, QCONV_ERROR_CHECK, _ ("%s: the check failed"), words[0]);
}
