/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All family files that are known to a run. */
#pragma once
#include "families/family.h"

typedef struct _Families Families;

/* @file: (nullable): a family file of the user; then those of the user's data folder; then those of QCONV_DATA_PATH or
   the installed ones. Of several with the same id the first is taken; of those that are, no two have one priority */
Families *qconv_families_load (const char *file, GError **error);
void qconv_families_free (Families *families);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Families, qconv_families_free)

/* Returns: (transfer none) (nullable) */
const Family *qconv_families_find (const Families *families, const char *id);
/* Returns: (transfer none): what holds for models of no known family */
const Family *qconv_families_generic (const Families *families);
/* Returns: (transfer none) (element-type Family): by priority, without the generic one */
GPtrArray *qconv_families_list (const Families *families);
