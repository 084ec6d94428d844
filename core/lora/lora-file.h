/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens a LoRA file and groups its tensors by layer; lora.c merges the groups. */
#pragma once
#include "graph/model.h"
#include "lora/lora-config.h"

/**
 * LoraGroup: the tensors of a file whose keys differ only in the suffix.
 *
 * @layer: the keys without suffix
 * @roles: (nullable) the tensor of each role
 * @refused: (nullable): the kind of LoRA that cannot be merged, for people; set if and only if a tensor has
 *   LORA_REFUSED
 */
typedef struct {
  char *layer;
  const SourceLayer *roles[LORA_N_ROLES];
  const char *refused;
} LoraGroup;

/**
 * LoraFile: an open file. Every tensor is in one group or in @unknown.
 *
 * @strength: the number after the path, or 1
 * @tensors: (element-type SourceLayer): every tensor as a layer of its own
 * @groups: (element-type LoraGroup): in the order of the file
 * @unknown: (element-type SourceLayer): tensors whose keys do not end with a suffix of a dialect
 * @beside: (nullable): the path of the file beside it that holds alpha
 * @config: (nullable): what it holds
 * @missing: (nullable): the name of that file, if it is missing though the keys are of a dialect that has one
 */
typedef struct {
  char *path, *beside;
  double strength;
  QconvModel *model;
  GPtrArray *tensors, *groups, *unknown;
  LoraConfig *config;
  const char *missing;
} LoraFile;

/* Opens @text, "FILE[:STRENGTH]"; FILE may be a folder. Returns: (transfer full): must not outlive @dialects. Errors
   name the file; QCONV_ERROR_UNSUPPORTED: a tensor does not hold floats; QCONV_ERROR_INPUT: two tensors have one role,
   or the file that holds alpha is broken */
LoraFile *qconv_lora_file_open (const char *text, const LoraDialects *dialects, GError **error);
void qconv_lora_file_free (LoraFile *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LoraFile, qconv_lora_file_free)
/* Returns alpha divided by rank, or by its root, from the metadata; 1 if the metadata lack alpha. Sets @patterns if
   some layers have an alpha or a rank of their own */
double qconv_lora_file_ratio (const LoraFile *f, const LoraDialects *dialects, gboolean *patterns);
/* Reads the number in @s. QCONV_ERROR_INPUT: @s does not hold exactly one item, or the item is not finite */
gboolean qconv_lora_alpha (const SourceLayer *s, double *alpha, GError **error);
