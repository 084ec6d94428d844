/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the layer and the rows for a key of a LoRA file; lora-merge.c asks for each group of tensors. */
#pragma once
#include "graph/mapping.h"
#include "lora/dialects.h"
#include "lora/lora-rows.h"

/**
 * LoraName: a tensor under one of its names.
 *
 * @rows: (element-type NamedRows): its rows, in order; not empty
 * @transposed: the rows of the tensor are columns of @rows
 * @other: (nullable): a tensor of other rows with the same name in another naming; the name is then ambiguous
 */
typedef struct _LoraName LoraName;
struct _LoraName {
  char *name;
  GArray *rows;
  gboolean transposed;
  const LoraName *other;
};

typedef struct _LoraNames LoraNames;
/* Collects the names of all layers of @m: in @x, in the model's own naming and in all namings that its family maps;
   likewise for each text encoder in @x. Returns: (transfer full): must not outlive @x or @dialects */
LoraNames *qconv_lora_names_new (const QconvModel *m, const Mapping *x, const LoraDialects *dialects);
void qconv_lora_names_free (LoraNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LoraNames, qconv_lora_names_free)

/* Finds the weight of @layer or, with @bias, its bias. @layer: a key without suffix, with any prefix.
   Returns: (transfer none) (nullable): NULL if the model has no such tensor */
const LoraName *qconv_lora_names_find (const LoraNames *names, const char *layer, gboolean bias);
/* Returns whether @key is for a text encoder that is not in the mapping */
gboolean qconv_lora_names_lack_encoder (const LoraNames *names, const char *key);
