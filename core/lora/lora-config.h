/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the file beside a LoRA that holds its alpha, such as PEFT's adapter_config.json; lora-file.c opens it. */
#pragma once
#include "lora/dialects.h"

typedef struct _LoraConfig LoraConfig;
/* Reads @path, which has @form. Returns: (transfer full) (nullable): must not outlive @form; NULL without an error if
   there is no such file. QCONV_ERROR_INPUT: the file is broken or has no alpha; QCONV_ERROR_UNSUPPORTED: it states what
   cannot be merged; G_IO_ERROR_NOT_REGULAR_FILE: it is no file, but a pipe, for example */
LoraConfig *qconv_lora_config_read (const char *path, const LoraConfigForm *form, GError **error);
void qconv_lora_config_free (LoraConfig *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LoraConfig, qconv_lora_config_free)
/* Finds the factor of the product for @layer, a key without suffix. @rank: of its factors; 0: the rank that the file
   states. QCONV_ERROR_INPUT: the file states no rank */
gboolean qconv_lora_config_factor (const LoraConfig *c, const char *layer, guint64 rank, double *factor,
                                   GError **error);
