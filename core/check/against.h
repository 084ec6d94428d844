/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pairs the tensors of a file with those of an original. verify.c calls it. */
#pragma once
#include "check/expected.h"
#include "families/family-data.h"
#include "graph/mapping.h"

/**
 * Against: a comparison with an original.
 * @original: the original
 * @mapping: (nullable) (owned): its layers in the naming of the file
 * @aliases: (nullable): spellings of names in the file that @mapping does not have
 * @by_name: (owned): name, and name without prefix → SourceLayer of @mapping
 * @bare: (owned): name in a file of one part of the original → SourceLayer of the original, or NULL
 * @found: (owned): the SourceLayers of the original that the file has
 * @lossy: the file says that its weights were decoded from codes
 * @n: tensors of the file and of the original, each pair once
 */
typedef struct {
  const QconvModel *original;
  Mapping *mapping;
  const FamilyAliases *aliases;
  GHashTable *by_name, *bare, *found;
  gboolean lossy;
  guint n;
} Against;

/* Adds to @e each tensor of its file with that of @original, and the problems of tensors that are only in one of the
   files, or have another type or shape there. Fails if the names of @original cannot be changed. Returns: (transfer
   full): must not outlive @original, and owns what it added to @e */
Against *qconv_against_new (Expected *e, const QconvModel *original, GError **error);
void qconv_against_free (Against *a);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Against, qconv_against_free)
