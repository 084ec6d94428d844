/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells the user what of a LoRA file is not merged: keys and layers that are left out, an alpha that is not applied.
   lora.c calls it after each file. */
#include <glib/gi18n-lib.h>

#include "lora/lora-report.h"

/* Warns of what is left out */
static void
warn_left_out (const LoraFile *f, const LoraCounts *n, const LoraJob *job)
{
  if (n->n_unmatched > 0)
    qconv_warn (&job->warn, _ ("%s: %u of %u keys belong to no layer and are left out: the first is %s"), f->path,
                n->n_unmatched, f->tensors->len, n->unmatched);
  if (n->n_misfits > 0)
    qconv_warn (&job->warn, _ ("%s: %u layers for which it has another shape are left out: the first is %s"), f->path,
                n->n_misfits, n->misfit);
  if (n->n_other > 0)
    qconv_warn (&job->warn, _ ("%s: %u keys are for a text encoder, which this file lacks, and are left out"), f->path,
                n->n_other);
}

gboolean
qconv_lora_report (const LoraFile *f, const LoraCounts *n, const LoraJob *job, GError **error)
{
  guint n_keys = f->tensors->len;

  if (n_keys == 0 || n->n_unmatched + n->n_other == n_keys)
    return qconv_fail (error, QCONV_ERROR_OPTION, "none of its %u keys belongs to this model%s%s", n_keys,
                       n->unmatched != NULL ? ": the first is " : "", n->unmatched != NULL ? n->unmatched : "");
  if (n->n_misfits > 0 && n->n_merged == 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "it fits no layer of this model: %s", n->misfit);
  if (n->n_unmatched > 0 && !job->partial)
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       "%u of %u keys belong to no layer of this model: the first is %s; --lora-partial leaves "
                       "them out",
                       n->n_unmatched, n_keys, n->unmatched);
  warn_left_out (f, n, job);
  return TRUE;
}

void
qconv_lora_report_alpha (const LoraFile *f, const LoraDialects *dialects, const LoraJob *job)
{
  double ratio = qconv_lora_file_ratio (f, dialects);

  for (guint i = 0; i < f->groups->len; i++)
    if (((const LoraGroup *) g_ptr_array_index (f->groups, i))->roles[LORA_ALPHA] != NULL)
      return;
  if (f->missing != NULL && ratio == 1)
    qconv_warn (&job->warn,
                _ ("%s: alpha is not known, because %s is not beside it: it is taken to be equal to the rank; if it is "
                   "not, multiply the strength by alpha / rank"),
                f->path, f->missing);
  if (ratio != 1 && f->config == NULL)
    qconv_warn (&job->warn, _ ("%s: the alpha in its metadata is ignored; to apply it, use strength %g"), f->path,
                f->strength * ratio);
}
