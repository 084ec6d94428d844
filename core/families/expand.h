/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensors that the templates of a family stand for. */
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
 * @n_parts: 0 where the rows are one part
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
  JsonObject *layer;
} GraphTensor;

/* Returns: (transfer full) (element-type GraphTensor): it must not outlive @f */
GPtrArray *qconv_family_expand (const Family *f, const Dims *dims, GError **error);
/* @variant: name or alias. Dimensions that the variant does not name are 0 */
Dims *qconv_family_variant_dims (const Family *f, const char *variant, GError **error);
/* Whether @template with @index (nullable, see qconv_dims_fill()) stands for @name; without @dims (nullable) the ends
   of ranges are not looked at */
gboolean qconv_template_fits (const char *template, JsonObject *index, const Dims *dims, const char *name);
/* Returns: (transfer none) (nullable): the template that makes @name; without @dims (nullable) its condition and
   the ends of its ranges are not looked at */
JsonObject *qconv_family_template (const Family *f, const Dims *dims, const char *name);
