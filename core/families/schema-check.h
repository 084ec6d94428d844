/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is checked of single members of a family file; the tables of members are in schema.c. */
#pragma once
#include "families/dims.h"

/**
 * SchemaCheck: one check of a family file.
 *
 * @dims: names that expressions may contain
 * @path: of the member at hand; left as it is by a failure
 * @reason: (nullable): of a failure
 */
typedef struct {
  Dims *dims;
  GHashTable *regexes;
  GString *path;
  char *reason;
} SchemaCheck;

typedef struct _SchemaMember SchemaMember;
typedef gboolean (*SchemaFunc) (SchemaCheck *c, JsonNode *node, const SchemaMember *of);

/* One row of a table that ends with { NULL }. @of: members of the object, of each object of the list or of the map */
struct _SchemaMember {
  const char *name;
  SchemaFunc check;
  gboolean required;
  const SchemaMember *of;
};

/* Records the reason; FALSE */
gboolean qconv_schema_fail (SchemaCheck *c, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Each item of the list by @check */
gboolean qconv_schema_list (SchemaCheck *c, JsonNode *node, SchemaFunc check, const SchemaMember *of);
gboolean qconv_schema_object (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_objects (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_map (SchemaCheck *c, JsonNode *node, const SchemaMember *of);

/* Leaves: @of is not used */
gboolean qconv_schema_anything (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_text (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_texts (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_text_lists (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_text_or_texts (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_text_map (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_pairs (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_integer (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_count (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_divisor (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_truth (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_regex (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_regexes (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_regex_map (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
/* What speaks of dimensions */
gboolean qconv_schema_dimension (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_sizes (SchemaCheck *c, JsonNode *node, const SchemaMember *of); /* dimension -> integer */
gboolean qconv_schema_expression (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_expressions (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_shape (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_parts (SchemaCheck *c, JsonNode *node, const SchemaMember *of); /* [[text, expression] …] */
gboolean qconv_schema_condition (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_index (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
gboolean qconv_schema_place (SchemaCheck *c, JsonNode *node, const SchemaMember *of); /* [tensor, axis] */
gboolean qconv_schema_regex_place (SchemaCheck *c, JsonNode *node, const SchemaMember *of);
