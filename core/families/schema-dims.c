/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads members of family files that name dimensions, and checks that the file declares them. The tables of schema.c
   name its functions. */
#include <string.h>

#include "families/schema-read.h"
#include "qconv-types.h"

gboolean
qconv_schema_dimension (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  return qconv_schema_text (r, node, NULL, into)
         && (qconv_dims_known (r->dims, json_node_get_string (node)) || qconv_schema_fail (r, "unknown dimension"));
}

gboolean
qconv_schema_condition (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  g_autoptr (GError) broken = NULL;

  return qconv_schema_text (r, node, NULL, into)
         && (qconv_dims_check_condition (r->dims, json_node_get_string (node), &broken)
             || qconv_schema_fail (r, "%s", broken->message));
}

gboolean
qconv_schema_sizes (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { qconv_schema_count, NULL, sizeof (FamilySize), offsetof (FamilySize, value) };
  FamilySizes sizes = { 0, NULL };

  if (!qconv_schema_map (r, node, &item, &sizes))
    return FALSE;
  for (guint i = 0; i < sizes.n; i++)
    if (!qconv_dims_known (r->dims, sizes.at[i].name))
      return qconv_schema_fail (r, "unknown dimension \"%s\"", sizes.at[i].name);
  if (into != NULL)
    *(FamilySizes *) into = sizes;
  return TRUE;
}

gboolean
qconv_schema_expression (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  g_autoptr (GError) broken = NULL;
  FamilyExpression expression = { NULL, 0 };
  GType type = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_INVALID;

  if (type == G_TYPE_INT64)
    expression.number = json_node_get_int (node);
  else if (type == G_TYPE_STRING)
    expression.text = qconv_schema_store_text (r->store, json_node_get_string (node));
  else
    return qconv_schema_fail (r, "an expression is neither an integer nor text");
  if (!qconv_dims_check (r->dims, &expression, &broken))
    return qconv_schema_fail (r, "%s", broken->message);
  if (into != NULL)
    *(FamilyExpression *) into = expression;
  return TRUE;
}

gboolean
qconv_schema_expressions (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { qconv_schema_expression, NULL, sizeof (FamilyExpression), 0 };

  return qconv_schema_list (r, node, &item, into);
}

gboolean
qconv_schema_shape (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  return qconv_schema_expressions (r, node, NULL, into)
         && (json_array_get_length (json_node_get_array (node)) <= QCONV_MAX_RANK
             || qconv_schema_fail (r, "more than %d dimensions", QCONV_MAX_RANK));
}

static gboolean
read_part (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  FamilyPart *part = into;

  return qconv_schema_tuple (r, node, 2)
         && qconv_schema_text (r, json_array_get_element (json_node_get_array (node), 0), NULL,
                               part != NULL ? &part->name : NULL)
         && qconv_schema_expression (r, json_array_get_element (json_node_get_array (node), 1), NULL,
                                     part != NULL ? &part->rows : NULL);
}

gboolean
qconv_schema_parts (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { read_part, NULL, sizeof (FamilyPart), 0 };

  return qconv_schema_list (r, node, &item, into);
}

/* Reads [low, high] or {"values": [text …]} */
static gboolean
read_variable (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaMember members[]
      = { { "values", qconv_schema_texts, SCHEMA_NEEDED, NULL, offsetof (FamilyVariable, values) }, { .name = NULL } };
  FamilyVariable *variable = into;
  FamilyExpressions range = { 0, NULL };

  if (!JSON_NODE_HOLDS_ARRAY (node))
    return qconv_schema_object (r, node, members, into);
  if (!qconv_schema_tuple (r, node, 2) || !qconv_schema_expressions (r, node, NULL, &range))
    return FALSE;
  if (variable != NULL)
    {
      variable->low = range.at[0];
      variable->high = range.at[1];
    }
  return TRUE;
}

gboolean
qconv_schema_index (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { read_variable, NULL, sizeof (FamilyVariable), 0 };

  return qconv_schema_map (r, node, &item, into);
}
