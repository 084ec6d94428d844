/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a family file may contain. */
#pragma once
#include <json-glib/json-glib.h>

/* Whether @family has the members it must have, no others, all of the right type; whether its regular expressions
   compile and its expressions, conditions and templates speak of dimensions and variables that it defines. Errors name
   the member. @regexes: pattern -> GRegex, filled; the patterns are those of @family */
gboolean qconv_schema_check (JsonObject *family, GHashTable *regexes, GError **error);
