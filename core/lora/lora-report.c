/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells the user what of a LoRA file is not merged: keys and layers that are left out, an alpha that is not applied.
   lora.c calls it after each file. */
#include <glib/gi18n-lib.h>

#include "base/names.h"
#include "lora/lora-report.h"

/* Warns of what is left out, one line for each reason */
static void
warn_left_out (const LoraFile *f, const LoraCounts *n, const LoraJob *job)
{
  g_autofree char *no_layer = qconv_first_names (n->left_out[LORA_NO_LAYER]);
  g_autofree char *no_bias = qconv_first_names (n->left_out[LORA_NO_BIAS]);
  g_autofree char *misfits = qconv_first_names (n->left_out[LORA_MISFIT]);
  g_autofree char *others = qconv_first_names (n->left_out[LORA_OTHER_MODEL]);

  if (n->left_out[LORA_NO_LAYER]->len > 0)
    qconv_warn (&job->warn, _ ("%s: %u of %u keys belong to no layer and are left out: %s"), f->path,
                n->left_out[LORA_NO_LAYER]->len, f->tensors->len, no_layer);
  if (n->left_out[LORA_NO_BIAS]->len > 0)
    qconv_warn (&job->warn, _ ("%s: %u keys change a bias that their layer lacks and are left out: %s"), f->path,
                n->left_out[LORA_NO_BIAS]->len, no_bias);
  if (n->left_out[LORA_MISFIT]->len > 0)
    qconv_warn (&job->warn, _ ("%s: %u layers for which it has another shape are left out: %s; the first: %s"), f->path,
                n->left_out[LORA_MISFIT]->len, misfits, n->misfit);
  if (n->left_out[LORA_OTHER_MODEL]->len > 0)
    qconv_warn (&job->warn,
                _ ("%s: %u keys are for a text encoder that is not among the converted layers and are left out: %s"),
                f->path, n->left_out[LORA_OTHER_MODEL]->len, others);
  if (n->n_replaced > 0 && f->strength != 1 && f->strength != 0)
    qconv_warn (&job->warn, _ ("%s: %u tensors replace those of the model, whatever the strength is"), f->path,
                n->n_replaced);
}

gboolean
qconv_lora_report (const LoraFile *f, const LoraCounts *n, const LoraJob *job, GError **error)
{
  guint n_keys = f->tensors->len, n_no_layer = n->left_out[LORA_NO_LAYER]->len;
  guint n_no_bias = n->left_out[LORA_NO_BIAS]->len, n_other = n->left_out[LORA_OTHER_MODEL]->len;
  g_autofree char *no_layer = qconv_first_names (n->left_out[LORA_NO_LAYER]);
  g_autofree char *no_bias = qconv_first_names (n->left_out[LORA_NO_BIAS]);

  if (n_keys == 0 || n_no_layer + n_no_bias + n_other == n_keys)
    return qconv_fail (error, QCONV_ERROR_OPTION, "none of its %u keys belongs to this model%s%s", n_keys,
                       n_no_layer > 0 ? ": " : "", no_layer);
  if (n->left_out[LORA_MISFIT]->len > 0 && n->n_merged == 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "it fits no layer of this model: %s", n->misfit);
  if (n_no_layer > 0 && !job->partial)
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       "%u of %u keys belong to no layer of this model: %s; --lora-partial leaves them out", n_no_layer,
                       n_keys, no_layer);
  if (n_no_bias > 0 && !job->partial)
    return qconv_fail (error, QCONV_ERROR_OPTION,
                       "%u of %u keys change a bias that their layer lacks: %s; --lora-partial leaves them out",
                       n_no_bias, n_keys, no_bias);
  warn_left_out (f, n, job);
  return TRUE;
}

void
qconv_lora_report_alpha (const LoraFile *f, const LoraDialects *dialects, const LoraJob *job)
{
  gboolean patterns;
  double ratio = qconv_lora_file_ratio (f, dialects, &patterns);

  for (guint i = 0; i < f->groups->len; i++)
    if (((const LoraGroup *) g_ptr_array_index (f->groups, i))->roles[LORA_ALPHA] != NULL)
      return;
  if (f->missing != NULL && ratio == 1)
    qconv_warn (&job->warn,
                _ ("%s: alpha is not known, because %s is not beside it: it is taken to be equal to the rank; if it is "
                   "not, multiply the strength by alpha / rank"),
                f->path, f->missing);
  if (patterns && f->config == NULL)
    qconv_warn (&job->warn,
                _ ("%s: the alpha in its metadata is ignored; some layers have an alpha or a rank of their own, so no "
                   "single strength applies it"),
                f->path);
  else if (ratio != 1 && f->config == NULL)
    qconv_warn (&job->warn, _ ("%s: the alpha in its metadata is ignored; to apply it, use strength %g"), f->path,
                f->strength * ratio);
}
