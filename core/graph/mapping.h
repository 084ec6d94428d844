/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The step between claims and the plan: the layers of a model in one naming, fused or split for that naming, with the
   shapes that its loader expects. */
#pragma once
#include "graph/identify.h"

/**
 * MappingOptions: zero is the default.
 * @namings: (nullable): the first that the model's family has; NULL: names stay as they are
 * @asked: the user asked for the only one of @namings: it is an error if names cannot be changed
 * @component, @drop: (nullable): as in QconvNameOptions
 * @left_out: (nullable): GRegex of names behind the prefix that are left out, as #QconvWriter has it
 * @keep_prefix: names keep a prefix that no loader knows
 * @for_loader: leave out tensors that loaders do not use
 */
typedef struct {
  const char *const *namings;
  const char *component;
  const char *const *drop, *const *left_out;
  gboolean asked, keep_prefix, for_loader;
} MappingOptions;

/**
 * Mapping:
 * @identity: of the model, or of the component
 * @prefix: the start of the model's names in the output
 * @layers: (element-type SourceLayer): the layers to write, in order; the model owns some of them
 * @naming: of @layers
 * @missing: (element-type utf8): tensors that loaders need and the model lacks. What the user drops does not count
 * @missing_of: (nullable): the family that has them; not that of @identity if the model cannot be recognised without
 *   them
 * @n_useless: tensors that were left out for the loader
 * @n_left_out: tensors that were left out for the files
 * @n_ema: tensors of an averaged copy that were left out
 */
typedef struct {
  Identity *identity;
  const char *prefix;
  guint n_useless, n_left_out, n_ema;
  const char *naming;
  GPtrArray *layers, *composed, *missing;
  const Family *missing_of;
  GHashTable *originals; /* SourceLayer -> its short name in the original naming */
} Mapping;

/* Maps the layers of @m. QCONV_ERROR_UNSUPPORTED: the family cannot write the naming, tensors are missing,
   or the order of rows is unknown. Returns:
   (transfer full): must not outlive @m */
Mapping *qconv_mapping_new (const QconvModel *m, const MappingOptions *options, GError **error);
void qconv_mapping_free (Mapping *x);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Mapping, qconv_mapping_free)
/* Returns: (transfer none): the short name of @s in the original naming of the family */
const char *qconv_mapping_original (const Mapping *x, const SourceLayer *s);
