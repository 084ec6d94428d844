/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which model a file holds, by the names and shapes of its tensors. */
#pragma once
#include "families/catalogue.h"
#include "families/dims.h"
#include "families/tensor-names.h"

/**
 * Identity: what a file was recognised as.
 *
 * @variant: (nullable)
 * @naming: "original", or another one that the family's rules tell apart
 * @prefix: what the model's names start with
 * @dims: (nullable): of the original naming; NULL where the names cannot be mapped to it
 */
typedef struct {
  const Family *family;
  const char *variant, *naming;
  char *prefix;
  Dims *dims;
} Identity;

/* Never NULL without error: the generic family where no other fits. It must not outlive @families */
Identity *qconv_identify (const Families *families, const Names *names, GError **error);
void qconv_identity_free (Identity *id);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Identity, qconv_identity_free)

/* How many i from 0 on there are with a name that starts with @stem, i and "." and, with @with (nullable), how many of
   them have a tensor @stem + i + "." + @with */
guint qconv_names_count (const Names *names, const char *stem, const char *with);
/* Values of all dimensions of @f from the tensors of a file in the original naming. Returns: (transfer full) */
Dims *qconv_family_infer (const Family *f, const Names *names, GError **error);
/* Names and shapes in the original naming. Returns: (transfer full) (nullable): NULL without error where the family
   cannot map */
Names *qconv_identity_names (const Identity *id, const Names *behind, GError **error);
