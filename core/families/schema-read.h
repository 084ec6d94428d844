/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks members of a family file and stores their values. schema.c has the tables of members; each row names one of
   these functions and the field that it fills. */
#pragma once
#include <json-glib/json-glib.h>

#include "families/dims.h"
#include "families/schema-store.h"

/**
 * SchemaReader: the reading of one family file.
 *
 * @dims: names that expressions may contain
 * @store: memory of the filled structs
 * @path: after a failure, of the member that failed; else empty
 * @reason: (nullable): of a failure
 */
typedef struct {
  Dims *dims;
  SchemaStore *store;
  GString *path;
  char *reason;
} SchemaReader;

typedef struct _SchemaMember SchemaMember;
/* Checks @node and stores its value at @into. Returns FALSE with the reason recorded if it is wrong.
   @of: (nullable): members, if @node is an object or a list or map of objects
   @into: (nullable): a field of the type that belongs to the function; if NULL, @node is only checked */
typedef gboolean (*SchemaFunc) (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);

typedef enum {
  SCHEMA_OPTIONAL,
  SCHEMA_NEEDED,
  SCHEMA_ONE_OF, /* of all rows with this word exactly one member must be there */
} SchemaPresence;

/* Offset of a member that is checked but not stored */
#define SCHEMA_UNUSED G_MAXSIZE

/* One row of a table. The last row has no name; its @offset is the size of the struct that the table fills. */
struct _SchemaMember {
  const char *name;
  SchemaFunc read;
  SchemaPresence presence;
  const SchemaMember *of;
  gsize offset;
};

/* The way to read the items of a list or of a map: each has @size bytes, and @read stores at @offset in it. Items of a
   map begin with their name. */
typedef struct {
  SchemaFunc read;
  const SchemaMember *of;
  gsize size, offset;
} SchemaItem;

/* Records the reason and returns FALSE */
gboolean qconv_schema_fail (SchemaReader *r, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Containers. @into: a FAMILY_LIST, of objects a struct */
gboolean qconv_schema_list (SchemaReader *r, JsonNode *node, const SchemaItem *item, gpointer into);
gboolean qconv_schema_map (SchemaReader *r, JsonNode *node, const SchemaItem *item, gpointer into);
/* Fails unless @node is a list of @n items */
gboolean qconv_schema_tuple (SchemaReader *r, JsonNode *node, guint n);
gboolean qconv_schema_object (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_objects (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_object_map (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);

/* Values; they do not use @of. @into: const char * */
gboolean qconv_schema_text (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* Takes any JSON and stores it as text */
gboolean qconv_schema_anything (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyTexts; a single text becomes a list of one */
gboolean qconv_schema_texts (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_text_or_texts (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyTextLists */
gboolean qconv_schema_text_lists (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyPairs, from a map or from [[from, to] …] */
gboolean qconv_schema_text_map (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_pairs (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: gint64; a count is 0 or more, a divisor 1 or more */
gboolean qconv_schema_integer (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_count (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_divisor (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_axis (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyInteger */
gboolean qconv_schema_given_integer (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_given_count (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyIntegers */
gboolean qconv_schema_integers (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: gboolean */
gboolean qconv_schema_truth (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyRegex; FamilyRegexes; FamilyFallbacks */
gboolean qconv_schema_regex (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_regexes (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_regex_map (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyPlace, from [tensor, axis] or from [regular expression, axis] */
gboolean qconv_schema_place (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_regex_place (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);

/* schema-dims.c: values that name dimensions. @into: const char * */
gboolean qconv_schema_dimension (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_condition (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilySizes, from dimension -> integer */
gboolean qconv_schema_sizes (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyExpression; FamilyExpressions, of which a shape has QCONV_MAX_RANK at most */
gboolean qconv_schema_expression (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_expressions (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
gboolean qconv_schema_shape (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyParts, from [[text, expression] …] */
gboolean qconv_schema_parts (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
/* @into: FamilyIndex */
gboolean qconv_schema_index (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into);
