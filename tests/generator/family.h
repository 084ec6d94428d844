/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensors of a model: expanded from the templates of a family file, or a plain list of equal layers. */
#pragma once
#include <glib.h>

enum { MODEL_MAX_RANK = 8 };

/**
 * ModelTensor:
 * @op: as in family files: "linear", "norm", "bias", "conv3d" …
 */
typedef struct {
  char *name;
  char *op;
  guint rank;
  guint64 dim[MODEL_MAX_RANK];
  guint64 n_items;
} ModelTensor;

/* Returns: (transfer full) (element-type ModelTensor): @sets: (nullable): NULL-terminated "dim=value", which win over
   the variant's. @architecture: (out): for GGUF metadata */
GPtrArray *model_expand_family (const char *path, const char *variant, const char *const *sets, const char *prefix,
                                char **architecture, GError **error);
/* @n layers of one shape, called layers.I.weight */
GPtrArray *model_plain_layers (guint n, guint64 rows, guint64 cols, const char *prefix);
