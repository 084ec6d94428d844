/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other spellings of tensor names: a list of { match, replace } in family files. Two names are one tensor where they
   are equal after all that match were replaced. */
#pragma once
#include <json-glib/json-glib.h>

typedef struct _Aliases Aliases;

/* @list: (nullable): array of a family file; none: every name is its only spelling */
Aliases *qconv_aliases_new (JsonArray *list, GError **error);
/* Returns: (transfer full): the one spelling that all others of @name are replaced by */
char *qconv_aliases_apply (const Aliases *a, const char *name);
void qconv_aliases_free (Aliases *a);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Aliases, qconv_aliases_free)
