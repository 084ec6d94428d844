/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What LoRA files call the layers of a model, and which rows these are. */
#pragma once
#include "graph/mapping.h"
#include "lora/dialects.h"

/* Rows first, first + stride … of a layer of the model, @n of them */
typedef struct {
  const SourceLayer *source;
  guint64 first, stride, n;
} NamedRows;

/**
 * LoraName: a tensor under one of its names.
 *
 * @rows: (element-type NamedRows): of layers that the model has, in order
 * @transposed: its rows are the columns of these
 * @other: (nullable): what has the same name in another naming and is made of other rows
 */
typedef struct _LoraName LoraName;
struct _LoraName {
  char *name;
  GArray *rows;
  gboolean transposed;
  const LoraName *other;
};

typedef struct _LoraNames LoraNames;
/* The names of @x, of the model and of all namings that its family maps. Returns: (transfer full): must not outlive
   @x or @dialects */
LoraNames *qconv_lora_names_new (const QconvModel *m, const Mapping *x, const LoraDialects *dialects);
void qconv_lora_names_free (LoraNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LoraNames, qconv_lora_names_free)

/* @layer: as a key spells it, with any prefix; @bias: its bias. Returns: (transfer none) (nullable) */
const LoraName *qconv_lora_names_find (const LoraNames *names, const char *layer, gboolean bias);
/* Appends the rows of the model's layers that the rows of @s are: (element-type NamedRows). Returns: FALSE where some
   of them are columns */
gboolean qconv_lora_rows (const SourceLayer *s, GArray *rows);
