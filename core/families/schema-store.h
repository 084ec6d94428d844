/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that a family's structs point into. schema-read.c and schema-dims.c fill it, the family frees it. */
#pragma once
#include "families/family-data.h"

typedef struct _SchemaStore SchemaStore;

SchemaStore *qconv_schema_store_new (void);
void qconv_schema_store_free (SchemaStore *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SchemaStore, qconv_schema_store_free)

/* Returns the store's only copy of @text. (transfer none) */
const char *qconv_schema_store_text (SchemaStore *s, const char *text);
/* Returns @n zeroed items of @size bytes and one more, so that every list ends with a zeroed item. (transfer none) */
gpointer qconv_schema_store_items (SchemaStore *s, guint n, gsize size);
/* Returns @pattern compiled, once for all members that have it, or NULL with an error. (transfer none) */
Regex *qconv_schema_store_regex (SchemaStore *s, const char *pattern, GError **error);
