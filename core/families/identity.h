/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognizes the model in a file by the names and shapes of its tensors. graph/identify.c calls it. */
#pragma once
#include "families/catalogue.h"
#include "families/dims.h"
#include "families/tensor-names.h"

/**
 * Identity: the model that a file was recognised as.
 *
 * @variant: (nullable)
 * @naming: "original", or another naming that the rules of the family recognise
 * @prefix: the start of the model's names
 * @foreign: bytes at the start of @prefix that no loader knows, such as "_orig_mod."
 * @dims: (nullable): of the original naming; NULL if the names cannot be mapped to it
 */
typedef struct {
  const Family *family;
  const char *variant, *naming;
  char *prefix;
  gsize foreign;
  Dims *dims;
} Identity;

/* Returns the identity of the model, or the generic family if no other fits; NULL only with an error. The result must
   not outlive @families. (transfer full) */
Identity *qconv_identify (const Families *families, const Names *names, GError **error);
/* Does the same for the model whose names start with @start, such as "text_encoders.t5xxl."; a prefix that its family
   knows may follow */
Identity *qconv_identify_behind (const Families *families, const Names *names, const char *start, GError **error);
/* Returns TRUE if loaders tell models apart by the stored shape of the weight of @layer, whose name lacks the prefix.
   In a model of no known family, any prefix without a number may stand before the name that loaders know */
gboolean qconv_identity_probes (const Identity *id, const char *layer);
/* Returns the architecture that files of the model state; NULL if the family has none, or if the numbers of a file with
   these names depend on what it states. (transfer none) */
const char *qconv_identity_architecture (const Identity *id);
/* Returns: (transfer full): a copy, which must not outlive the families either */
Identity *qconv_identity_copy (const Identity *id);
void qconv_identity_free (Identity *id);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Identity, qconv_identity_free)

/* Counts blocks: the numbers i from 0 on for which a name starts with @stem, i and ".". With @with (nullable), counts
   only those that have a tensor called @stem, i, "." and @with. */
guint qconv_names_count (const Names *names, const char *stem, const char *with);
/* Returns the values of all dimensions of @f, inferred from tensors in the original naming. (transfer full) */
Dims *qconv_family_infer (const Family *f, const Names *names, GError **error);
/* Returns the names and shapes in the original naming; NULL without an error if the family lacks such a keymap.
   (transfer full) */
Names *qconv_identity_names (const Identity *id, const Names *behind, GError **error);
