/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The step between what readers claimed and the plan: the layers of a model in one naming, fused or split as that has
   them, with the shapes that its loader expects. */
#pragma once
#include "graph/identify.h"

/**
 * MappingOptions: zero is the default.
 * @naming: (nullable): NULL: as it is
 * @component, @drop: (nullable): as in QconvJob
 * @for_loader: what loaders have no use for is left out
 */
typedef struct {
  const char *naming, *component;
  const char *const *drop;
  gboolean for_loader;
} MappingOptions;

/**
 * Mapping:
 * @identity: of the model, or of the component
 * @prefix: what names of the model start with in the output
 * @layers: (element-type SourceLayer): what is to be written, in order; some belong to the model
 * @naming: of @layers
 * @n_useless: tensors that were left out for the loader
 */
typedef struct {
  Identity *identity;
  const char *prefix;
  guint n_useless;
  const char *naming;
  GPtrArray *layers, *composed;
  GHashTable *originals; /* SourceLayer -> its short name in the original naming */
} Mapping;

/* QCONV_ERROR_UNSUPPORTED: the family cannot write the naming, or tensors are missing.
   Returns: (transfer full): must not outlive @m */
Mapping *qconv_mapping_new (const QconvModel *m, const MappingOptions *options, GError **error);
void qconv_mapping_free (Mapping *x);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Mapping, qconv_mapping_free)
/* Returns: (transfer none): short name of @s as the family's original naming has it */
const char *qconv_mapping_original (const Mapping *x, const SourceLayer *s);
