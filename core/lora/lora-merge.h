/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Merges the tensors that a LoRA file has for one layer; lora.c calls it for each layer of a file. */
#pragma once
#include "lora/lora-file.h"
#include "lora/lora-names.h"
#include "lora/lora-report.h"

/**
 * Baking: the state of one run of qconv_loras_apply(). From @file on, the members are about the file at hand.
 *
 * @users: layer of the model -> GPtrArray of the mapped layers that contain rows of it
 * @sums: mapped layer -> GPtrArray of Delta
 * @changed: rows that the file changes -> the file's spelling of them
 * @counts: of the file's keys and layers
 * @misfits: the last failure was a LoRA of another shape than its layer
 */
typedef struct {
  const LoraJob *job;
  LoraNames *names;
  GHashTable *users, *sums;
  const LoraFile *file;
  GHashTable *changed;
  LoraCounts counts;
  gboolean misfits;
} Baking;

/* Merges @g, or counts the keys that belong to no layer. QCONV_ERROR_INPUT: shapes do not fit, or a factor is missing;
   QCONV_ERROR_UNSUPPORTED: a kind of LoRA that cannot be merged */
gboolean qconv_lora_merge_group (Baking *b, const LoraGroup *g, GError **error);
/* Replaces a tensor of the model by @s, whose key has no known suffix. Counts @s if the model has no such tensor, or if
   the file holds nothing but such tensors, so that it is no LoRA */
gboolean qconv_lora_merge_whole (Baking *b, const SourceLayer *s, GError **error);
