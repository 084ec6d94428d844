/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "families/schema.h"

#include <string.h>

#include "families/schema-check.h"
#include "qconv-types.h"

/* clang-format off */
#define END { .name = NULL }
/* clang-format on */
#define TEXT qconv_schema_text, FALSE, NULL
#define TEXTS qconv_schema_texts, FALSE, NULL
#define INTEGER qconv_schema_integer, FALSE, NULL
#define ANYTHING qconv_schema_anything, FALSE, NULL
#define NEEDED(check) qconv_schema_##check, TRUE, NULL

/* Comparisons of a size: exactly one of them */
static const char *const comparisons[] = { "eq", "ne", "ge", "in", NULL };
static const char *const sources[]
    = { "const", "shape", "shape_re", "count", "present", "absent", "present_re", "rank", "same_as", NULL };
static const char *const ops[] = { "linear",       "nn_linear", "conv1d", "conv2d", "conv3d", "embedding",
                                   "nn_embedding", "norm",      "bias",   "param",  "buffer", NULL };
static const char *const kinds[] = { "diffusion", "text_encoder", "llm", "generic", NULL };
static const char *const classes[] = { "core",   "mod",    "io",     "cond",  "final", "refiner", "aux",
                                       "vision", "router", "expert", "embed", "conv",  "none",    NULL };

static gboolean
check_choice (SchemaCheck *c, JsonNode *node, const char *const *choices)
{
  return qconv_schema_text (c, node, NULL)
         && (g_strv_contains (choices, json_node_get_string (node)) || qconv_schema_fail (c, "not one that is known"));
}

static gboolean
check_op (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_choice (c, node, ops);
}

static gboolean
check_kind (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_choice (c, node, kinds);
}

static gboolean
check_class (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return check_choice (c, node, classes);
}

/* An object that has one of @members, and only one */
static gboolean
check_one_of (SchemaCheck *c, JsonNode *node, const char *const *members)
{
  guint n = 0;

  for (guint i = 0; members[i] != NULL; i++)
    n += json_object_has_member (json_node_get_object (node), members[i]);
  return n == 1 || qconv_schema_fail (c, "%s of the members that say what", n == 0 ? "none" : "more than one");
}

static gboolean
check_axis (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_count (c, node, NULL)
         && (json_node_get_int (node) < QCONV_MAX_RANK || qconv_schema_fail (c, "out of range"));
}

static gboolean
check_integers (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, qconv_schema_integer, NULL);
}

static const SchemaMember shape_rule[] = { { "tensor", NEEDED (text_or_texts) },
                                           { "axis", check_axis, TRUE, NULL },
                                           { "eq", INTEGER },
                                           { "ne", INTEGER },
                                           { "ge", INTEGER },
                                           { "in", check_integers, FALSE, NULL },
                                           END };
static const SchemaMember count_rule[] = { { "stem", NEEDED (text) }, { "eq", INTEGER }, { "ge", INTEGER }, END };

static gboolean
check_comparison (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_object (c, node, of) && check_one_of (c, node, comparisons);
}

static gboolean
check_shapes (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, check_comparison, shape_rule);
}

static gboolean
check_counts (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, check_comparison, count_rule);
}

/* clang-format off */
#define CONDITIONS \
  { "all_of", TEXTS }, { "any_of", qconv_schema_text_lists, FALSE, NULL }, { "none_of", TEXTS }, \
    { "shapes", check_shapes, FALSE, NULL }, { "counts", check_counts, FALSE, NULL }
/* clang-format on */
static const SchemaMember naming_rule[] = { { "naming", NEEDED (text) }, CONDITIONS, END };
static const SchemaMember variant_rule[] = { { "variant", NEEDED (text) }, CONDITIONS, END };

/* A rule that asks for no name would hold for every file */
static gboolean
check_naming (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_object (c, node, naming_rule)
         && (json_object_has_member (json_node_get_object (node), "all_of")
             || json_object_has_member (json_node_get_object (node), "any_of")
             || qconv_schema_fail (c, "neither \"all_of\" nor \"any_of\""));
}

static gboolean
check_namings (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, check_naming, NULL);
}

static const SchemaMember detect[] = { { "priority", NEEDED (count) },
                                       { "namings", check_namings, TRUE, NULL },
                                       { "variants", qconv_schema_objects, FALSE, variant_rule },
                                       END };

static const SchemaMember infer[] = { { "const", INTEGER },
                                      { "shape", qconv_schema_place, FALSE, NULL },
                                      { "shape_re", qconv_schema_regex_place, FALSE, NULL },
                                      { "count", TEXT },
                                      { "with", TEXT },
                                      { "present", TEXTS },
                                      { "absent", TEXTS },
                                      { "present_re", qconv_schema_regex, FALSE, NULL },
                                      { "rank", TEXT },
                                      { "eq", INTEGER },
                                      { "same_as", qconv_schema_dimension, FALSE, NULL },
                                      { "minus", qconv_schema_expression, FALSE, NULL },
                                      { "div_dim", qconv_schema_dimension, FALSE, NULL },
                                      { "div", qconv_schema_divisor, FALSE, NULL },
                                      { "add", INTEGER },
                                      { "default", INTEGER },
                                      { "only_if", qconv_schema_dimension, FALSE, NULL },
                                      END };

static gboolean
check_infer (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_object (c, node, infer) && check_one_of (c, node, sources);
}

static const SchemaMember dim[]
    = { { "doc", TEXT }, { "infer", check_infer, TRUE, NULL }, { "unseen", qconv_schema_truth, FALSE, NULL }, END };

static const SchemaMember variant[] = { { "dims", NEEDED (sizes) },
                                        { "tensors", qconv_schema_count, FALSE, NULL },
                                        { "params", qconv_schema_count, FALSE, NULL },
                                        { "aliases", TEXTS },
                                        { "native_dtype", TEXT },
                                        { "loader_class", TEXT },
                                        { "check", ANYTHING },
                                        { "synthetic", qconv_schema_truth, FALSE, NULL },
                                        { "detect_as", TEXT },
                                        { "header_config", ANYTHING },
                                        { "loader_reduced", ANYTHING },
                                        { "note", TEXT },
                                        END };

static const SchemaMember layer[] = { { "name", NEEDED (text) },
                                      { "shape", NEEDED (shape) },
                                      { "op", check_op, TRUE, NULL },
                                      { "index", qconv_schema_index, FALSE, NULL },
                                      { "when", qconv_schema_condition, FALSE, NULL },
                                      { "role", TEXT },
                                      { "stream", TEXT },
                                      { "group", TEXT },
                                      { "class", check_class, FALSE, NULL },
                                      { "split", qconv_schema_parts, FALSE, NULL },
                                      { "in_concat", qconv_schema_parts, FALSE, NULL },
                                      { "kept_by", ANYTHING },
                                      { "note", TEXT },
                                      END };

/* Whether each {variable} of @template is in the layer's index */
static gboolean
check_template (SchemaCheck *c, JsonObject *index, const char *template)
{
  for (const char *at = strchr (template, '{'); at != NULL; at = strchr (at + 1, '{'))
    {
      const char *end = strchr (at, '}');
      g_autofree char *name = end != NULL ? g_strndup (at + 1, (gsize) (end - at - 1)) : NULL;

      if (name == NULL || index == NULL || !json_object_has_member (index, name))
        return qconv_schema_fail (c, "\"%s\" has a variable without an index", template);
    }
  return TRUE;
}

static gboolean
check_layer (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  JsonObject *o, *index;

  if (!qconv_schema_object (c, node, layer))
    return FALSE;
  o = json_node_get_object (node);
  index = json_object_has_member (o, "index") ? json_object_get_object_member (o, "index") : NULL;
  return check_template (c, index, json_object_get_string_member (o, "name"))
         && check_template (c, index, json_object_get_string_member_with_default (o, "group", ""));
}

static gboolean
check_layers (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  return qconv_schema_list (c, node, check_layer, NULL);
}

static gboolean
check_replacement (SchemaCheck *c, JsonNode *node, const SchemaMember *of)
{
  g_autoptr (GError) broken = NULL;

  return qconv_schema_text (c, node, NULL)
         && (g_regex_check_replacement (json_node_get_string (node), NULL, &broken)
             || qconv_schema_fail (c, "%s", broken->message));
}

static const SchemaMember alias[]
    = { { "match", NEEDED (regex) }, { "replace", check_replacement, TRUE, NULL }, { "why", TEXT }, END };
static const SchemaMember extra[] = {
  { "match", NEEDED (regex) }, { "why", TEXT }, { "drop", qconv_schema_truth, FALSE, NULL }, { "twin", TEXT }, END
};
static const SchemaMember role[]
    = { { "match", NEEDED (regex) }, { "role", NEEDED (text) }, { "class", check_class, FALSE, NULL }, END };

static const SchemaMember map_rule[] = { { "a", NEEDED (text) },
                                         { "b", NEEDED (text_or_texts) },
                                         { "index", qconv_schema_index, FALSE, NULL },
                                         { "rows", qconv_schema_expressions, FALSE, NULL },
                                         { "swap_halves", qconv_schema_truth, FALSE, NULL },
                                         { "transpose", qconv_schema_truth, FALSE, NULL },
                                         { "b_rows_part", qconv_schema_count, FALSE, NULL },
                                         { "b_parts", qconv_schema_divisor, FALSE, NULL },
                                         END };
static const SchemaMember permute[] = { { "architectures", NEEDED (texts) },
                                        { "when", qconv_schema_condition, FALSE, NULL },
                                        { "tensors", NEEDED (texts) },
                                        { "head", NEEDED (expression) },
                                        { "rule", TEXT },
                                        END };
static const SchemaMember keymap[] = { { "a", NEEDED (text) },
                                       { "b", NEEDED (text) },
                                       { "source", TEXT },
                                       { "verified", TEXT },
                                       { "note", TEXT },
                                       { "rules", qconv_schema_objects, FALSE, map_rule },
                                       { "identity", qconv_schema_truth, FALSE, NULL },
                                       { "except_variants", TEXTS },
                                       { "unmapped", TEXTS },
                                       { "permute", qconv_schema_object, FALSE, permute },
                                       { "aliases", qconv_schema_objects, FALSE, alias },
                                       { "block_map", qconv_schema_text_lists, FALSE, NULL },
                                       { "resnet_names", qconv_schema_text_map, FALSE, NULL },
                                       END };

static const SchemaMember keep_blocks[]
    = { { "stem", NEEDED (text) }, { "first", NEEDED (count) }, { "last", NEEDED (count) }, END };
static const SchemaMember evidence[] = { { "peer", TEXT },
                                         { "id", NEEDED (text) },
                                         { "where", TEXT },
                                         { "formats", TEXTS },
                                         { "opt_in", TEXT },
                                         { "match", TEXT },
                                         { "keep", TEXTS },
                                         { "quantizes", TEXTS },
                                         { "also", TEXTS },
                                         { "remove", TEXTS },
                                         { "first_last", qconv_schema_object, FALSE, keep_blocks },
                                         END };
static const SchemaMember preset[] = { { "keep", qconv_schema_regexes, FALSE, NULL },
                                       { "keep_blocks", qconv_schema_objects, FALSE, keep_blocks },
                                       { "only", qconv_schema_regexes, FALSE, NULL },
                                       { "only_optional", qconv_schema_regexes, FALSE, NULL },
                                       { "fallback", qconv_schema_regex_map, FALSE, NULL },
                                       { "upgrade", qconv_schema_regex_map, FALSE, NULL },
                                       { "full_precision_mm", qconv_schema_regexes, FALSE, NULL },
                                       { "note", TEXT },
                                       END };
static const SchemaMember exception[]
    = { { "name", NEEDED (text) }, { "n", NEEDED (count) }, { "k", NEEDED (count) }, END };

static const SchemaMember components[] = { { "text-encoder", TEXTS }, { "vae", TEXTS }, END };

static const SchemaMember family_file[] = { { "schema", NEEDED (text) },
                                            { "schema_version", NEEDED (count) },
                                            { "family", NEEDED (text) },
                                            { "title", NEEDED (text) },
                                            { "kind", check_kind, TRUE, NULL },
                                            { "source_refs", TEXTS },
                                            { "architectures", TEXTS },
                                            { "prefixes", NEEDED (texts) },
                                            { "prefix_rewrites", qconv_schema_pairs, FALSE, NULL },
                                            { "detect", qconv_schema_object, FALSE, detect },
                                            { "dims", qconv_schema_map, FALSE, dim },
                                            { "constraints", TEXTS },
                                            { "variants", qconv_schema_map, FALSE, variant },
                                            { "layers", check_layers, FALSE, NULL },
                                            { "aliases", qconv_schema_objects, FALSE, alias },
                                            { "extra_tensors", qconv_schema_objects, FALSE, extra },
                                            { "role_rules", qconv_schema_objects, FALSE, role },
                                            { "keymaps", qconv_schema_objects, FALSE, keymap },
                                            { "keep_evidence", qconv_schema_objects, FALSE, evidence },
                                            { "presets", qconv_schema_map, TRUE, preset },
                                            { "never_pack", TEXTS },
                                            { "alignment_exceptions", qconv_schema_objects, FALSE, exception },
                                            { "preset_stats", ANYTHING },
                                            { "notes", TEXTS },
                                            { "min_dim", qconv_schema_count, FALSE, NULL },
                                            { "keep", qconv_schema_regexes, FALSE, NULL },
                                            { "scheme_presets", qconv_schema_text_map, FALSE, NULL },
                                            { "preset_to_6_bits", TEXT },
                                            { "preset_above_6_bits", TEXT },
                                            { "components", qconv_schema_object, FALSE, components },
                                            END };

/* The dimensions that the file declares, each with a value: for checks of what speaks of them */
static void
collect_dims (Dims *dims, JsonObject *family)
{
  JsonNode *node = json_object_get_member (family, "dims");
  g_autoptr (GList) names = NULL;

  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node))
    return;
  names = json_object_get_members (json_node_get_object (node));
  for (GList *l = names; l != NULL; l = l->next)
    qconv_dims_set (dims, l->data, 1);
}

static gboolean
check_file (SchemaCheck *c, JsonObject *family)
{
  g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), family);

  if (!qconv_schema_object (c, node, family_file))
    return FALSE;
  if (strcmp (json_object_get_string_member (family, "schema"), "qconv-model-family") != 0
      || json_object_get_int_member (family, "schema_version") != 1)
    return qconv_schema_fail (c, "not a family file of version 1");
  if (strcmp (json_object_get_string_member (family, "kind"), "generic") != 0
      && !json_object_has_member (family, "detect"))
    return qconv_schema_fail (c, "member \"detect\" is missing");
  return *json_object_get_string_member (family, "family") != '\0' || qconv_schema_fail (c, "the family has no id");
}

gboolean
qconv_schema_check (JsonObject *family, GHashTable *regexes, GError **error)
{
  g_autoptr (GString) path = g_string_new (NULL);
  g_autoptr (Dims) dims = qconv_dims_new ();
  SchemaCheck c = { dims, regexes, path, NULL };
  gboolean right;

  collect_dims (dims, family);
  right = check_file (&c, family);
  if (!right)
    qconv_fail (error, QCONV_ERROR_INPUT, "%s%s%s", path->str, path->len > 0 ? ": " : "", c.reason);
  g_free (c.reason);
  return right;
}
