/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensors of a model: expanded from the templates of a family file, in any naming that the family maps, or a plain
   list of equal layers. */
#pragma once
#include "families/expand.h"

/**
 * ModelPart: rows first, first + stride, … (n of them) of a source tensor. Data belong to source tensors, so that
 * they are the same in whatever tensors and files their rows are.
 *
 * @source: name that the data depend on
 * @row: items of a row
 * @mean: of the data
 */
typedef struct {
  char *source;
  guint64 row, first, stride, n;
  float mean;
} ModelPart;

/**
 * ModelTensor:
 * @op: as in family files: "linear", "norm", "bias", "conv3d" …
 * @parts: (element-type ModelPart): its rows
 * @transposed: the columns of its one part are its rows
 */
typedef struct {
  char *name, *op;
  QconvShape shape;
  guint64 n_items;
  GArray *parts;
  gboolean transposed;
} ModelTensor;

/**
 * ModelFamily: what is to be expanded.
 *
 * @path: of the family file
 * @variant: name or alias
 * @sets: (nullable): NULL-terminated "dim=value", which win over the variant's
 * @naming: (nullable): "original" where absent
 * @architecture: (nullable): for a GGUF file; the family's first where absent
 * @prefix: in front of all names
 */
typedef struct {
  const char *path, *variant, *naming, *architecture, *prefix;
  const char *const *sets;
} ModelFamily;

/* Returns: (transfer full) (element-type ModelTensor). @architecture: (out): general.architecture.
   @config: (out) (nullable): JSON text of the header's "config", where the variant needs one */
GPtrArray *model_expand_family (const ModelFamily *from, char **architecture, char **config, GError **error);
/* @n layers of one shape, called layers.I.weight */
GPtrArray *model_plain_layers (guint n, guint64 rows, guint64 cols, const char *prefix);
