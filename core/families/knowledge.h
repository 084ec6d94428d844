/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The family files that a process and a model know. The model opens them, graph/identify.c looks the model up in
   them. */
#pragma once
#include "families/catalogue.h"
#include "families/identity.h"

/**
 * Knowledge: the families that one model is looked up in, and the identity of the model. Only one thread may use it at
 * a time.
 *
 * @family_file: (nullable): --family-file
 * @families: (nullable): the families of @family_file and all others; NULL until qconv_knowledge_families() needs them
 * @identity: (nullable): the model itself; NULL until qconv_model_identity() has found it
 */
typedef struct _Knowledge {
  char *family_file;
  Families *families;
  Identity *identity;
} Knowledge;

/* Returns all installed families and those of the user's folder. Reads them at the first call of any thread; later
   calls return the same families or the same error. (transfer none) */
const Families *qconv_families_known (GError **error);

/* Makes the knowledge of one model. @family_file: --family-file, or NULL; it is read when the families are first
   needed */
Knowledge *qconv_knowledge_new (const char *family_file);
void qconv_knowledge_free (Knowledge *k);
/* Returns the families in which the model is looked up: those of --family-file and the known ones. (transfer none) */
const Families *qconv_knowledge_families (Knowledge *k, GError **error);
