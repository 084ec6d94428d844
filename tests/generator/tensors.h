/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the tensors of a synthetic model for make-model.c: those of a family, in any naming that the family maps, or
   equal layers. */
#pragma once
#include "families/expand.h"

/**
 * ModelPart: rows first, first + stride, … (n of them) of a source tensor. Data depend on the source tensor: a row
 * has the same data in every naming and every format.
 *
 * @source: name that the data depend on
 * @row: number of items of a row
 * @skip, @width: of each row, the part has @width items from item @skip on
 * @beside: its rows follow those of the part before it, to the right
 * @mean: of the data
 */
typedef struct {
  char *source;
  guint64 row, first, stride, n, skip, width;
  gboolean beside;
  float mean;
} ModelPart;

/**
 * ModelTensor: one tensor of the file.
 *
 * @op: as in family files: "linear", "norm", "bias", "conv3d" …
 * @parts: (element-type ModelPart): its rows
 * @transposed: its rows are the columns of its only part
 */
typedef struct {
  char *name, *op;
  QconvShape shape;
  guint64 n_items;
  GArray *parts;
  gboolean transposed;
} ModelTensor;

/**
 * ModelFamily: the family and variant to expand.
 *
 * @path: of the family file
 * @variant: name or alias
 * @sets: (nullable): NULL-terminated "dim=value"; they replace values of the variant
 * @naming: (nullable): NULL: "original"
 * @architecture: (nullable): general.architecture of a GGUF file; NULL: the family's first
 * @prefix: in front of all names
 */
typedef struct {
  const char *path, *variant, *naming, *architecture, *prefix;
  const char *const *sets;
} ModelFamily;

/**
 * ModelFacts: what headers state about a model.
 *
 * @architecture: (transfer full): general.architecture of a GGUF file
 * @config: (transfer full) (nullable): JSON text of "config" of a safetensors header; NULL if the variant needs none
 * @head_rows: rows of an attention head, which files of llama.cpp state; 0: not stated
 */
typedef struct {
  char *architecture, *config;
  guint32 head_rows;
} ModelFacts;

/* Expands a family and fills @facts. Returns: (transfer full) (element-type ModelTensor) */
GPtrArray *model_expand_family (const ModelFamily *from, ModelFacts *facts, GError **error);
void model_facts_clear (ModelFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ModelFacts, model_facts_clear)
/* Returns: (transfer full) (element-type ModelTensor): @n layers of one shape, named layers.I.weight */
GPtrArray *model_plain_layers (guint n, guint64 rows, guint64 cols, const char *prefix);
