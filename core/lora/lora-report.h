/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells the user what of a LoRA file is not merged; lora.c calls it after each file. */
#pragma once
#include "lora/lora-file.h"
#include "lora/lora.h"

/**
 * LoraLeftOut: why keys are left out.
 *
 * @LORA_NO_LAYER: they belong to no layer
 * @LORA_NO_BIAS: they change a bias, which their layer lacks
 * @LORA_MISFIT: they have another shape than their layer; these are names of layers, without suffixes
 * @LORA_OTHER_MODEL: they are for a text encoder that is not converted
 */
typedef enum { LORA_NO_LAYER, LORA_NO_BIAS, LORA_MISFIT, LORA_OTHER_MODEL, LORA_N_LEFT_OUT } LoraLeftOut;

/**
 * LoraCounts: what became of the keys and layers of one file.
 *
 * @left_out: (element-type utf8): the keys that are left out
 * @misfit: (nullable): the first error of LORA_MISFIT
 * @n_merged: tensors of the model that the file changes
 * @n_replaced: tensors that the file replaces
 */
typedef struct {
  GPtrArray *left_out[LORA_N_LEFT_OUT];
  char *misfit;
  guint n_merged, n_replaced;
} LoraCounts;

/* Warns of what is left out. Fails with QCONV_ERROR_OPTION if nothing is merged, or if keys are left out that the user
   did not allow to be */
gboolean qconv_lora_report (const LoraFile *f, const LoraCounts *n, const LoraJob *job, GError **error);
/* Warns of an alpha that is not applied: the file that holds it is missing, or it stands in the metadata. Loaders
   disagree on whether that counts: it is ignored, and the user is told which strength would apply it */
void qconv_lora_report_alpha (const LoraFile *f, const LoraDialects *dialects, const LoraJob *job);
