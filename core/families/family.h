/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One family file: what is known about the models of one architecture. Checked whole when read, never changed. */
#pragma once
#include <json-glib/json-glib.h>

typedef struct _Family Family;

/* Errors name the file and the member */
Family *qconv_family_load (const char *path, GError **error);
/* @path: for messages; @text: NUL-terminated */
Family *qconv_family_parse (const char *path, const char *text, GError **error);
void qconv_family_free (Family *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Family, qconv_family_free)

/* Returns: (transfer none): the whole file */
JsonObject *qconv_family_json (const Family *f);
const char *qconv_family_path (const Family *f);
const char *qconv_family_id (const Family *f);
const char *qconv_family_title (const Family *f);
const char *qconv_family_kind (const Family *f);
/* Families are tried in ascending order; G_MAXINT64 for one that is never recognised */
gint64 qconv_family_priority (const Family *f);

/* Returns: (transfer none): names of the layers, in the order of the file */
GPtrArray *qconv_family_templates (const Family *f);

/* What holds for all families (the member's own where it has it); NULL until the catalogue has said it */
const Family *qconv_family_base (const Family *f);
void qconv_family_set_base (Family *f, const Family *base);

/* Returns: (transfer none) (nullable): a member of @o, NULL where absent */
JsonArray *qconv_family_list (JsonObject *o, const char *member);
JsonObject *qconv_family_object (JsonObject *o, const char *member);
const char *qconv_family_text (JsonObject *o, const char *member);

/* @pattern: a regular expression of the file. Search semantics */
gboolean qconv_family_match (const Family *f, const char *pattern, const char *name);
/* Returns: (transfer none) (nullable): the first of @patterns (nullable) that matches */
const char *qconv_family_match_any (const Family *f, JsonArray *patterns, const char *name);
