/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The step between what readers claimed and the plan: the layers of a model in one naming, fused or split as that has
   them, with the shapes that its loader expects. */
#pragma once
#include "identify.h"

/**
 * Mapping:
 * @layers: (element-type SourceLayer): what is to be written, in order; some belong to the model
 * @naming: (nullable): of @layers; NULL: unknown
 */
typedef struct {
  const Identity *identity;
  const char *naming;
  GPtrArray *layers, *composed;
  GHashTable *originals; /* SourceLayer -> its short name in the original naming */
} Mapping;

/* @naming: (nullable): NULL: as it is. QCONV_ERROR_UNSUPPORTED: the family cannot write @naming, or tensors are
   missing. Returns: (transfer full): must not outlive @m */
Mapping *qconv_mapping_new (const QconvModel *m, const char *naming, GError **error);
void qconv_mapping_free (Mapping *x);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Mapping, qconv_mapping_free)
/* Returns: (transfer none): short name of @s as the family's original naming has it */
const char *qconv_mapping_original (const Mapping *x, const SourceLayer *s);
