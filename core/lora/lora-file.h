/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A LoRA file, its tensors grouped by the layers that they are for. */
#pragma once
#include "graph/model.h"
#include "lora/dialects.h"

/**
 * LoraGroup: the tensors of a file that are for one layer.
 *
 * @layer: as the keys spell it
 * @roles: (nullable) each
 * @refused: (nullable): what one of them is for that cannot be merged
 */
typedef struct {
  char *layer;
  const SourceLayer *roles[LORA_N_ROLES];
  const char *refused;
} LoraGroup;

/**
 * LoraFile:
 * @tensors: (element-type SourceLayer): every tensor by itself
 * @groups: (element-type LoraGroup): in the order of the file
 * @strangers: (element-type SourceLayer): tensors whose names do not end as those of LoRAs do
 */
typedef struct {
  char *path;
  double strength;
  QconvModel *model;
  GPtrArray *tensors, *groups, *strangers;
} LoraFile;

/* @text: "FILE[:STRENGTH]". QCONV_ERROR_INPUT, QCONV_ERROR_UNSUPPORTED: tensors that are no floats, or two for one
   purpose. Returns: (transfer full): must not outlive @dialects; errors name the file */
LoraFile *qconv_lora_file_open (const char *text, const LoraDialects *dialects, GError **error);
void qconv_lora_file_free (LoraFile *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LoraFile, qconv_lora_file_free)
/* Returns: what the strength would have to be multiplied by for the alpha that is beside the tensors, in the metadata;
   1: there is none */
double qconv_lora_file_ratio (const LoraFile *f, const LoraDialects *dialects);
/* Reads the one number that @s is */
gboolean qconv_lora_alpha (const SourceLayer *s, double *alpha, GError **error);
