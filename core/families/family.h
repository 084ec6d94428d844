/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One family file: the knowledge about the models of one architecture. The catalogue loads it; the rest of core reads
   its data. Checked whole when read, never changed, so any thread may read it. */
#pragma once
#include "families/family-data.h"

typedef struct _Family Family;

/* Reads a family file. Errors name the file and the member */
Family *qconv_family_load (const char *path, GError **error);
/* Reads a family from @text, which must end with NUL. @path: for messages */
Family *qconv_family_parse (const char *path, const char *text, GError **error);
void qconv_family_free (Family *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Family, qconv_family_free)

/* Returns the contents of the file. (transfer none) */
const FamilyData *qconv_family_data (const Family *f);
const char *qconv_family_path (const Family *f);
const char *qconv_family_id (const Family *f);
const char *qconv_family_title (const Family *f);
const char *qconv_family_kind (const Family *f);
/* Returns the family's place in the order of trying, ascending; G_MAXINT64 if it is never recognised */
gint64 qconv_family_priority (const Family *f);
/* Returns qconv_template_index_new() of the family's layers, made when first asked for. (transfer none) */
GHashTable *qconv_family_template_index (const Family *f);

/* Returns the generic family, whose members count if a family lacks them; NULL before the catalogue has set it.
   (transfer none) */
const Family *qconv_family_base (const Family *f);
void qconv_family_set_base (Family *f, const Family *base);

/* Returns TRUE if @regex matches anywhere in @name */
gboolean qconv_family_match (const FamilyRegex *regex, const char *name);
/* Returns the pattern of the first of @regexes that matches, or NULL. (transfer none) */
const char *qconv_family_match_any (const FamilyRegexes *regexes, const char *name);
