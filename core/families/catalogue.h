/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All family files that a run knows, in the order in which they are tried. knowledge.c loads them. */
#pragma once
#include "families/family.h"

typedef struct _Families Families;

/* Loads @file (nullable), then the files of the user's data folder, then those of QCONV_DATA_PATH or the installed
   ones. The first of several with the same id counts. Fails if a file is broken or if two families have one priority.
 */
Families *qconv_families_load (const char *file, GError **error);
void qconv_families_free (Families *families);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Families, qconv_families_free)

/* Returns the family called @id, or NULL. (transfer none) */
const Family *qconv_families_find (const Families *families, const char *id);
/* Returns the family for models of no known family. (transfer none) */
const Family *qconv_families_generic (const Families *families);
/* Returns all families but the generic one, by priority. (transfer none) (element-type Family) */
GPtrArray *qconv_families_list (const Families *families);
