/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks a family file and fills the structs of family-data.h. family.c calls it once for each file. */
#pragma once
#include <json-glib/json-glib.h>

#include "families/schema-store.h"

/* Fills @data from @family. Fails if @family lacks a member that it must have, has an unknown one or one of a wrong
   type, if a regular expression does not compile, or if an expression, condition or template names a dimension or
   variable that is not defined. Errors name the member.
   @data: zeroed; @store owns the memory behind it */
gboolean qconv_schema_read (JsonObject *family, SchemaStore *store, FamilyData *data, GError **error);
