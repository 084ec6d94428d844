/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expands the templates of a family into tensors. Identification, the mapping, rules and tests call it. */
#pragma once
#include "families/dims.h"
#include "families/family.h"
#include "qconv-types.h"

/**
 * GraphTensor: one tensor of a model, in the original naming and without prefix.
 *
 * @op: "linear", "norm", "bias", "conv3d" …; only "linear" may be quantized
 * @role, @class_, @group, @stream: (nullable)
 * @group: tensors of equal groups read the same activation
 * @n_parts: 0 if the rows are one part
 * @part_rows: rows of the parts that are fused in this tensor, from the first row on
 * @layer: (transfer none): the template in the family file
 */
typedef struct {
  char *name;
  QconvShape shape;
  const char *op, *role, *class_, *stream;
  char *group;
  guint n_parts;
  guint64 *part_rows;
  const FamilyLayer *layer;
} GraphTensor;

/* Returns the tensors of a model with these dimensions, in the order of the family. The list must not outlive @f.
   (transfer full) (element-type GraphTensor) */
GPtrArray *qconv_family_expand (const Family *f, const Dims *dims, GError **error);
/* Returns the variant with the name @name, else the variant with the alias @name, else NULL. (transfer none) */
const FamilyVariant *qconv_family_variant (const Family *f, const char *name);
/* Returns the dimensions of a variant; dimensions that it does not state are 0. @variant: name or alias. (transfer
   full) */
Dims *qconv_family_variant_dims (const Family *f, const char *variant, GError **error);
/* Returns the template that makes @name, or NULL. @dims: if NULL, its condition need not hold and numbers may lie
   outside the ranges. (transfer none) */
const FamilyLayer *qconv_family_template (const Family *f, const Dims *dims, const char *name);
