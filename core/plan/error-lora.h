/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan of an error LoRA: a second file with the best low-rank approximation of what encoding takes from the layers.
   plan.c plans it, run/write-error-lora.c writes it. */
#pragma once
#include "plan/plan.h"

/**
 * ErrorLoraLayer: one encoded layer, and its tensors in the directory of the LoRA.
 *
 * @planned: the layer
 * @rank: of its product
 * @width: columns that the steps take: a few more than @rank, so that the first ones are exact
 * @up, @down, @alpha: numbers of the tensors
 */
typedef struct {
  const PlannedLayer *planned;
  guint rank, width;
  guint up, down, alpha;
} ErrorLoraLayer;

/**
 * ErrorLora:
 *
 * @path, @rank: as the user gave them
 * @container: of the file
 * @layers: (element-type ErrorLoraLayer): in the order of the output
 * @directory, @layout: the planned tensors and the start of the file
 */
typedef struct _ErrorLora {
  char *path;
  guint rank;
  const QconvContainer *container;
  GArray *layers;
  QconvDirectory *directory;
  Layout layout;
} ErrorLora;

/* Sets the error LoRA of @p, whose layers are planned. @text: (nullable): "FILE[:RANK]"; NULL: there is none.
   QCONV_ERROR_OPTION: RANK is out of range, or no layer is encoded */
gboolean qconv_error_lora_plan (QconvPlan *p, const char *text, GError **error);
void qconv_error_lora_free (ErrorLora *e);
/* Returns the bytes of the matrices that @l needs at once: its whole error and the two factors */
gsize qconv_error_lora_matrices (const ErrorLoraLayer *l);
/* Fails with QCONV_ERROR_LIMIT if a layer does not fit @limits; the error names the memory that it needs */
gboolean qconv_error_lora_cost (const ErrorLora *e, const Limits *limits, GError **error);
/* Returns the bytes of working memory that all threads together can use */
guint64 qconv_error_lora_peak (const ErrorLora *e, const Limits *limits);
