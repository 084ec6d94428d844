/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells the user what of a LoRA file is not merged; lora.c calls it after each file. */
#pragma once
#include "lora/lora-file.h"
#include "lora/lora.h"

/**
 * LoraCounts: what became of the keys and layers of one file.
 *
 * @n_unmatched, @unmatched: keys that belong to no layer, and the first of them
 * @n_other: keys that belong to another model, such as a text encoder
 * @n_misfits, @misfit: layers that are left out because the LoRA has another shape, and the first error
 * @n_merged: layers that the file changes
 */
typedef struct {
  guint n_unmatched, n_other, n_misfits, n_merged;
  const char *unmatched;
  char *misfit;
} LoraCounts;

/* Warns of what is left out. Fails with QCONV_ERROR_OPTION if nothing is merged, or if keys are left out that the user
   did not allow to be */
gboolean qconv_lora_report (const LoraFile *f, const LoraCounts *n, const LoraJob *job, GError **error);
/* Warns of an alpha that is not applied: the file that holds it is missing, or it stands in the metadata. Loaders
   disagree on whether that counts: it is ignored, and the user is told which strength would apply it */
void qconv_lora_report_alpha (const LoraFile *f, const LoraDialects *dialects, const LoraJob *job);
