/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The members of family files: a table for each object, whose rows say how a member is checked and which field of
   family-data.h it fills. No other source knows the names of members. */
#include "families/schema.h"

#include <string.h>

#include "families/schema-read.h"
#include "qconv-types.h"

/* clang-format off */
#define END(Struct) { .name = NULL, .offset = sizeof (Struct) }
/* clang-format on */
#define MAY(type) qconv_schema_##type, SCHEMA_OPTIONAL, NULL
#define MUST(type) qconv_schema_##type, SCHEMA_NEEDED, NULL
#define ONE_OF(type) qconv_schema_##type, SCHEMA_ONE_OF, NULL
#define OBJECT(of) qconv_schema_object, SCHEMA_OPTIONAL, of
#define OBJECTS(of) qconv_schema_objects, SCHEMA_OPTIONAL, of
#define OBJECT_MAP(of) qconv_schema_object_map, SCHEMA_OPTIONAL, of
#define UNUSED SCHEMA_UNUSED

/* ---- Words out of a list ---- */

static gboolean
read_choice (SchemaReader *r, JsonNode *node, const char *const *choices, gpointer into)
{
  return qconv_schema_text (r, node, NULL, into)
         && (g_strv_contains (choices, json_node_get_string (node)) || qconv_schema_fail (r, "not a known word"));
}

static gboolean
read_op (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const char *const ops[] = { "linear",       "nn_linear", "conv1d", "conv2d", "conv3d", "embedding",
                                     "nn_embedding", "norm",      "bias",   "param",  "buffer", NULL };

  return read_choice (r, node, ops, into);
}

static gboolean
read_kind (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const char *const kinds[] = { "diffusion", "text_encoder", "llm", "generic", NULL };

  return read_choice (r, node, kinds, into);
}

static gboolean
read_class (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const char *const classes[] = { "core",   "mod",    "io",     "cond",  "final", "refiner", "aux",
                                         "vision", "router", "expert", "embed", "conv",  "none",    NULL };

  return read_choice (r, node, classes, into);
}

/* ---- "detect" ---- */

#define SIZE(member) offsetof (FamilySizeRule, size.member)
static const SchemaMember size_rule[] = { { "tensor", MUST (text_or_texts), offsetof (FamilySizeRule, tensors) },
                                          { "axis", MUST (axis), offsetof (FamilySizeRule, axis) },
                                          { "eq", ONE_OF (given_integer), SIZE (eq) },
                                          { "ne", ONE_OF (given_integer), SIZE (ne) },
                                          { "ge", ONE_OF (given_integer), SIZE (ge) },
                                          { "in", ONE_OF (integers), SIZE (in) },
                                          END (FamilySizeRule) };
static const SchemaMember count_rule[] = { { "stem", MUST (text), offsetof (FamilyCountRule, stem) },
                                           { "eq", ONE_OF (given_integer), offsetof (FamilyCountRule, count.eq) },
                                           { "ge", ONE_OF (given_integer), offsetof (FamilyCountRule, count.ge) },
                                           END (FamilyCountRule) };

#define RULE(member) offsetof (FamilyDetectRule, member)
/* clang-format off */
#define CONDITIONS \
  { "all_of", MAY (texts), RULE (all_of) }, { "any_of", MAY (text_lists), RULE (any_of) }, \
    { "none_of", MAY (texts), RULE (none_of) }, { "shapes", OBJECTS (size_rule), RULE (shapes) }, \
    { "counts", OBJECTS (count_rule), RULE (counts) }
/* clang-format on */
static const SchemaMember naming_rule[]
    = { { "naming", MUST (text), RULE (result) }, CONDITIONS, END (FamilyDetectRule) };
static const SchemaMember variant_rule[]
    = { { "variant", MUST (text), RULE (result) }, CONDITIONS, END (FamilyDetectRule) };

/* Reads a rule of "namings". Fails if the rule asks for no name, because it would then hold for every file. */
static gboolean
read_naming (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  const FamilyDetectRule *rule = into;

  return qconv_schema_object (r, node, naming_rule, into)
         && (rule->all_of != NULL || rule->any_of.at != NULL
             || qconv_schema_fail (r, "neither \"all_of\" nor \"any_of\" is there"));
}

static gboolean
read_namings (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { read_naming, NULL, sizeof (FamilyDetectRule), 0 };

  return qconv_schema_list (r, node, &item, into);
}

static const SchemaMember detect[]
    = { { "priority", MUST (count), offsetof (FamilyDetect, priority) },
        { "namings", read_namings, SCHEMA_NEEDED, NULL, offsetof (FamilyDetect, namings) },
        { "variants", OBJECTS (variant_rule), offsetof (FamilyDetect, variants) },
        END (FamilyDetect) };

/* ---- "dims" and "variants" ---- */

#define INFER(member) offsetof (FamilyInfer, member)
static const SchemaMember infer[] = { { "const", ONE_OF (given_integer), INFER (constant) },
                                      { "shape", ONE_OF (place), INFER (shape) },
                                      { "shape_re", ONE_OF (regex_place), INFER (shape_re) },
                                      { "count", ONE_OF (text), INFER (count) },
                                      { "with", MAY (text), INFER (with) },
                                      { "present", ONE_OF (texts), INFER (present) },
                                      { "absent", ONE_OF (texts), INFER (absent) },
                                      { "present_re", ONE_OF (regex), INFER (present_re) },
                                      { "rank", ONE_OF (text), INFER (rank) },
                                      { "eq", MAY (integer), INFER (eq) },
                                      { "same_as", ONE_OF (dimension), INFER (same_as) },
                                      { "minus", MAY (expression), INFER (minus) },
                                      { "div_dim", MAY (dimension), INFER (div_dim) },
                                      { "div", MAY (divisor), INFER (div) },
                                      { "add", MAY (integer), INFER (add) },
                                      { "default", MAY (integer), INFER (missing) },
                                      { "only_if", MAY (dimension), INFER (only_if) },
                                      END (FamilyInfer) };
static const SchemaMember dim[] = { { "doc", MAY (text), UNUSED },
                                    { "infer", qconv_schema_object, SCHEMA_NEEDED, infer, offsetof (FamilyDim, infer) },
                                    { "stated", MAY (texts), offsetof (FamilyDim, stated) },
                                    { "unseen", MAY (truth), offsetof (FamilyDim, unseen) },
                                    END (FamilyDim) };

#define VARIANT(member) offsetof (FamilyVariant, member)
static const SchemaMember variant[] = { { "dims", MUST (sizes), VARIANT (dims) },
                                        { "tensors", MAY (count), VARIANT (n_tensors) },
                                        { "params", MAY (count), VARIANT (n_params) },
                                        { "aliases", MAY (texts), VARIANT (aliases) },
                                        { "native_dtype", MAY (text), UNUSED },
                                        { "loader_class", MAY (text), UNUSED },
                                        { "check", MAY (anything), UNUSED },
                                        { "synthetic", MAY (truth), VARIANT (synthetic) },
                                        { "detect_as", MAY (text), VARIANT (detect_as) },
                                        { "header_config", MAY (anything), VARIANT (header_config) },
                                        { "loader_reduced", MAY (anything), VARIANT (loader_reduced) },
                                        { "note", MAY (text), UNUSED },
                                        END (FamilyVariant) };

/* ---- "layers" and other members about tensors ---- */

#define LAYER(member) offsetof (FamilyLayer, member)
static const SchemaMember layer[] = { { "name", MUST (text), LAYER (name) },
                                      { "shape", MUST (shape), LAYER (shape) },
                                      { "op", read_op, SCHEMA_NEEDED, NULL, LAYER (op) },
                                      { "index", MAY (index), LAYER (index) },
                                      { "when", MAY (condition), LAYER (when) },
                                      { "role", MAY (text), LAYER (role) },
                                      { "stream", MAY (text), LAYER (stream) },
                                      { "group", MAY (text), LAYER (group) },
                                      { "class", read_class, SCHEMA_OPTIONAL, NULL, LAYER (class_) },
                                      { "split", MAY (parts), LAYER (split) },
                                      { "in_concat", MAY (parts), UNUSED },
                                      { "kept_by", MAY (text_map), LAYER (kept_by) },
                                      { "optional", MAY (truth), LAYER (optional) },
                                      { "note", MAY (text), UNUSED },
                                      END (FamilyLayer) };

static gboolean
has_variable (const FamilyIndex *index, const char *name, gsize n)
{
  for (guint i = 0; i < index->n; i++)
    if (strncmp (index->at[i].name, name, n) == 0 && index->at[i].name[n] == '\0')
      return TRUE;
  return FALSE;
}

/* Fails unless each {variable} of @template (nullable) is in @index */
static gboolean
check_template (SchemaReader *r, const FamilyIndex *index, const char *template)
{
  for (const char *at = template != NULL ? strchr (template, '{') : NULL; at != NULL; at = strchr (at + 1, '{'))
    {
      const char *end = strchr (at, '}');

      if (end == NULL || !has_variable (index, at + 1, (gsize) (end - at - 1)))
        return qconv_schema_fail (r, "\"%s\" has a variable that \"index\" lacks", template);
    }
  return TRUE;
}

static gboolean
read_layer (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  const FamilyLayer *l = into;

  return qconv_schema_object (r, node, layer, into) && check_template (r, &l->index, l->name)
         && check_template (r, &l->index, l->group);
}

/* Returns how many names the texts of @index make, each number being one name; at most one more than the limit */
static guint64
count_texts (const FamilyIndex *index)
{
  guint64 n = 1;

  for (guint i = 0; i < index->n; i++)
    if (index->at[i].values != NULL)
      n = MIN (n * g_strv_length ((char **) index->at[i].values), QCONV_GRAPH_MAX_TENSORS + 1);
  return n;
}

/* Fails if the texts make too many names, because template.c keeps a table of them */
static gboolean
read_layers (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaItem item = { read_layer, NULL, sizeof (FamilyLayer), 0 };
  const FamilyLayers *layers = into;
  guint64 n = 0;

  if (!qconv_schema_list (r, node, &item, into))
    return FALSE;
  for (guint i = 0; i < layers->n; i++)
    n += count_texts (&layers->at[i].index);
  return n <= QCONV_GRAPH_MAX_TENSORS
         || qconv_schema_fail (r, "the templates stand for more than %d names", QCONV_GRAPH_MAX_TENSORS);
}

static gboolean
read_replacement (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  g_autoptr (GError) broken = NULL;

  return qconv_schema_text (r, node, NULL, into)
         && (g_regex_check_replacement (json_node_get_string (node), NULL, &broken)
             || qconv_schema_fail (r, "%s", broken->message));
}

static const SchemaMember alias[]
    = { { "match", MUST (regex), offsetof (FamilyAlias, match) },
        { "replace", read_replacement, SCHEMA_NEEDED, NULL, offsetof (FamilyAlias, replace) },
        { "why", MAY (text), UNUSED },
        END (FamilyAlias) };
static const SchemaMember extra[] = { { "match", MUST (regex), offsetof (FamilyExtra, match) },
                                      { "why", MAY (text), UNUSED },
                                      { "drop", MAY (truth), offsetof (FamilyExtra, drop) },
                                      { "twin", MAY (text), offsetof (FamilyExtra, twin) },
                                      END (FamilyExtra) };
static const SchemaMember role[] = { { "match", MUST (regex), offsetof (FamilyRoleRule, match) },
                                     { "role", MUST (text), offsetof (FamilyRoleRule, role) },
                                     { "class", read_class, SCHEMA_OPTIONAL, NULL, offsetof (FamilyRoleRule, class_) },
                                     END (FamilyRoleRule) };

/* ---- "keymaps" ---- */

#define MAP_RULE(member) offsetof (FamilyMapRule, member)
static const SchemaMember map_rule[] = { { "a", MUST (text), MAP_RULE (a) },
                                         { "b", MUST (text_or_texts), MAP_RULE (b) },
                                         { "index", MAY (index), MAP_RULE (index) },
                                         { "rows", MAY (expressions), MAP_RULE (rows) },
                                         { "columns", MAY (expressions), MAP_RULE (columns) },
                                         { "swap_halves", MAY (truth), MAP_RULE (swap_halves) },
                                         { "transpose", MAY (truth), MAP_RULE (transpose) },
                                         { "b_rows_part", MAY (given_count), MAP_RULE (b_rows_part) },
                                         { "b_parts", MAY (divisor), MAP_RULE (b_parts) },
                                         END (FamilyMapRule) };
static const SchemaMember permute[] = { { "permuted", MUST (text_map), offsetof (FamilyPermute, permuted) },
                                        { "plain", MUST (text_map), offsetof (FamilyPermute, plain) },
                                        { "refused", MAY (text_map), offsetof (FamilyPermute, refused) },
                                        { "tensors", MUST (texts), offsetof (FamilyPermute, tensors) },
                                        { "head", MUST (expression), offsetof (FamilyPermute, head) },
                                        { "rule", MAY (text), UNUSED },
                                        END (FamilyPermute) };
static const SchemaMember offset[] = { { "architectures", MUST (text_map), offsetof (FamilyOffset, architectures) },
                                       { "tensors", MUST (texts), offsetof (FamilyOffset, tensors) },
                                       { "by", MUST (integer), offsetof (FamilyOffset, by) },
                                       END (FamilyOffset) };
#define KEYMAP(member) offsetof (FamilyKeymap, member)
static const SchemaMember keymap[] = { { "a", MUST (text), KEYMAP (a) },
                                       { "b", MUST (text), KEYMAP (b) },
                                       { "source", MAY (text), UNUSED },
                                       { "verified", MAY (text), UNUSED },
                                       { "note", MAY (text), UNUSED },
                                       { "rules", OBJECTS (map_rule), KEYMAP (rules) },
                                       { "identity", MAY (truth), KEYMAP (identity) },
                                       { "except_variants", MAY (texts), KEYMAP (except_variants) },
                                       { "unmapped", MAY (texts), KEYMAP (unmapped) },
                                       { "keep", MAY (regexes), KEYMAP (keep) },
                                       { "permute", OBJECT (permute), KEYMAP (permute) },
                                       { "offset", OBJECT (offset), KEYMAP (offset) },
                                       { "aliases", OBJECTS (alias), KEYMAP (aliases) },
                                       { "block_map", MAY (text_lists), KEYMAP (block_map) },
                                       { "resnet_names", MAY (text_map), KEYMAP (resnet_names) },
                                       END (FamilyKeymap) };

/* ---- "presets" ---- */

static const SchemaMember keep_blocks[] = { { "stem", MUST (text), offsetof (FamilyBlocks, stem) },
                                            { "first", MUST (count), offsetof (FamilyBlocks, first) },
                                            { "last", MUST (count), offsetof (FamilyBlocks, last) },
                                            END (FamilyBlocks) };
static const SchemaMember evidence[] = { { "peer", MAY (text), offsetof (FamilyEvidence, peer) },
                                         { "id", MUST (text), offsetof (FamilyEvidence, id) },
                                         { "where", MAY (text), UNUSED },
                                         { "formats", MAY (texts), offsetof (FamilyEvidence, formats) },
                                         { "opt_in", MAY (text), UNUSED },
                                         { "match", MAY (text), UNUSED },
                                         { "keep", MAY (texts), UNUSED },
                                         { "quantizes", MAY (texts), UNUSED },
                                         { "also", MAY (texts), UNUSED },
                                         { "remove", MAY (texts), UNUSED },
                                         { "first_last", OBJECT (keep_blocks), UNUSED },
                                         END (FamilyEvidence) };
#define PRESET(member) offsetof (FamilyPreset, member)
static const SchemaMember preset[] = { { "keep", MAY (regexes), PRESET (keep) },
                                       { "also", MAY (regexes), PRESET (also) },
                                       { "keep_blocks", OBJECTS (keep_blocks), PRESET (keep_blocks) },
                                       { "only", MAY (regexes), PRESET (only) },
                                       { "only_optional", MAY (regexes), UNUSED },
                                       { "fallback", MAY (regex_map), PRESET (fallback) },
                                       { "upgrade", MAY (regex_map), UNUSED },
                                       { "full_precision_mm", MAY (regexes), PRESET (full_precision_mm) },
                                       { "note", MAY (text), UNUSED },
                                       END (FamilyPreset) };

/* ---- The whole file ---- */

/* Only checked; nothing reads it */
static const SchemaMember exception[] = {
  { "name", MUST (text), UNUSED }, { "n", MUST (count), UNUSED }, { "k", MUST (count), UNUSED }, { .name = NULL }
};

static const SchemaMember tokenizer[] = { { "tensor", MUST (text), offsetof (FamilyTokenizer, tensor) },
                                          { "files", MUST (texts), offsetof (FamilyTokenizer, files) },
                                          { "variants", MAY (texts), offsetof (FamilyTokenizer, variants) },
                                          { "source", MAY (text), UNUSED },
                                          END (FamilyTokenizer) };

static gboolean
read_components (SchemaReader *r, JsonNode *node, const SchemaMember *of, gpointer into)
{
  static const SchemaMember members[] = { { "diffusion", MAY (texts), UNUSED },
                                          { "text-encoder", MAY (texts), UNUSED },
                                          { "vae", MAY (texts), UNUSED },
                                          { "ema", MAY (texts), UNUSED },
                                          { .name = NULL } };
  static const SchemaItem item
      = { qconv_schema_texts, NULL, sizeof (FamilyComponent), offsetof (FamilyComponent, starts) };

  return qconv_schema_object (r, node, members, NULL) && qconv_schema_map (r, node, &item, into);
}

#define ARCHITECTURE(member) offsetof (FamilyArchitecture, member)
static const SchemaMember architecture[] = { { "architecture", MUST (text), ARCHITECTURE (architecture) },
                                             { "when", MAY (condition), ARCHITECTURE (when) },
                                             END (FamilyArchitecture) };

#define DATA(member) offsetof (FamilyData, member)
static const SchemaMember family_file[]
    = { { "schema", MUST (text), DATA (schema) },
        { "schema_version", MUST (count), DATA (schema_version) },
        { "family", MUST (text), DATA (id) },
        { "title", MUST (text), DATA (title) },
        { "kind", read_kind, SCHEMA_NEEDED, NULL, DATA (kind) },
        { "source_refs", MAY (texts), UNUSED },
        { "architectures", MAY (texts), DATA (architectures) },
        { "architecture_of", OBJECTS (architecture), DATA (architecture_of) },
        { "prefixes", MUST (texts), DATA (prefixes) },
        { "prefix_rewrites", MAY (pairs), DATA (prefix_rewrites) },
        { "detect", OBJECT (detect), DATA (detect) },
        { "dims", OBJECT_MAP (dim), DATA (dims) },
        { "constraints", MAY (texts), UNUSED },
        { "variants", OBJECT_MAP (variant), DATA (variants) },
        { "layers", read_layers, SCHEMA_OPTIONAL, NULL, DATA (layers) },
        { "aliases", OBJECTS (alias), DATA (aliases) },
        { "extra_tensors", OBJECTS (extra), DATA (extra_tensors) },
        { "role_rules", OBJECTS (role), DATA (role_rules) },
        { "keymaps", OBJECTS (keymap), DATA (keymaps) },
        { "keep_evidence", OBJECTS (evidence), DATA (keep_evidence) },
        { "presets", qconv_schema_object_map, SCHEMA_NEEDED, preset, DATA (presets) },
        { "never_pack", MAY (texts), DATA (never_pack) },
        { "tokenizers", OBJECTS (tokenizer), DATA (tokenizers) },
        { "vision_files", MAY (text_map), DATA (vision_files) },
        { "alignment_exceptions", OBJECTS (exception), UNUSED },
        { "preset_stats", MAY (anything), UNUSED },
        { "notes", MAY (texts), UNUSED },
        { "min_dim", MAY (count), DATA (min_dim) },
        { "keep", MAY (regexes), DATA (keep) },
        { "may_be_infinite", MAY (regexes), DATA (may_be_infinite) },
        { "wrappers", MAY (texts), DATA (wrappers) },
        { "module_wrappers", MAY (texts), DATA (module_wrappers) },
        { "scheme_presets", MAY (text_map), DATA (scheme_presets) },
        { "foreign_names", MAY (text_map), DATA (foreign_names) },
        { "preset_to_6_bits", MAY (text), DATA (preset_to_6_bits) },
        { "preset_above_6_bits", MAY (text), DATA (preset_above_6_bits) },
        { "components", read_components, SCHEMA_OPTIONAL, NULL, DATA (components) },
        { "component_roots", MAY (text_map), DATA (component_roots) },
        END (FamilyData) };

/* Declares the dimensions of the file, each with a value, so that expressions can be checked wherever they stand */
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
read_file (SchemaReader *r, JsonObject *family, FamilyData *data)
{
  g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), family);

  if (!qconv_schema_object (r, node, family_file, data))
    return FALSE;
  if (strcmp (data->schema, "qconv-model-family") != 0 || data->schema_version != 1)
    return qconv_schema_fail (r, "not a family file of version 1");
  if (strcmp (data->kind, "generic") != 0 && data->detect.namings.at == NULL)
    return qconv_schema_fail (r, "member \"detect\" is missing");
  return *data->id != '\0' || qconv_schema_fail (r, "\"family\" is empty");
}

gboolean
qconv_schema_read (JsonObject *family, SchemaStore *store, FamilyData *data, GError **error)
{
  g_autoptr (GString) path = g_string_new (NULL);
  g_autoptr (Dims) dims = qconv_dims_new ();
  SchemaReader r = { dims, store, path, NULL };
  gboolean right;

  collect_dims (dims, family);
  right = read_file (&r, family, data);
  if (!right)
    qconv_fail (error, QCONV_ERROR_INPUT, "%s%s%s", path->str, path->len > 0 ? ": " : "", r.reason);
  g_free (r.reason);
  return right;
}
