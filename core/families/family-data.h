/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The contents of a family file, as structs. The tables of schema.c fill them when the file is read; every other file
   of core reads the fields. data/families/README.md explains each member.

   - A member that the file lacks is NULL, 0 or FALSE.
   - A list that the file lacks has @at NULL. An empty list has @n 0 and another @at.
   - A list of texts ends with NULL.
   - Items of a map keep the order of the file and begin with their @name.
   - The Family owns all memory, and nothing changes it. */
#pragma once
#include <glib.h>

#include "base/regex.h"

/* A list of @n items. Each kind of list is a type of its own, so that it can be a parameter. */
#define FAMILY_LIST(Item) \
  struct {                \
    guint n;              \
    const Item *at;       \
  }

/* ---- Parts of several members ---- */

typedef const char *const *FamilyTexts;
typedef FAMILY_LIST (FamilyTexts) FamilyTextLists;
typedef FAMILY_LIST (gint64) FamilyIntegers;

typedef struct {
  const char *from, *to;
} FamilyPair;
typedef FAMILY_LIST (FamilyPair) FamilyPairs;

typedef struct {
  const char *pattern;
  Regex *compiled;
} FamilyRegex;
typedef FAMILY_LIST (FamilyRegex) FamilyRegexes;

/* An integer that the file may lack. @value: 0 unless @given */
typedef struct {
  gboolean given;
  gint64 value;
} FamilyInteger;

/* An expression over dimensions. @text: NULL if the file has an integer, which is @number */
typedef struct {
  const char *text;
  gint64 number;
} FamilyExpression;
typedef FAMILY_LIST (FamilyExpression) FamilyExpressions;

/* A {variable} of templates. @values: its texts; if NULL, the variable counts from @low to @high - 1 */
typedef struct {
  const char *name;
  FamilyExpression low, high;
  FamilyTexts values;
} FamilyVariable;
typedef FAMILY_LIST (FamilyVariable) FamilyIndex;

/* ---- "detect" ---- */

/* Exactly one member is there */
typedef struct {
  FamilyInteger eq, ne, ge;
  FamilyIntegers in;
} FamilyComparison;

/* The size of @axis of the first of @tensors that exists */
typedef struct {
  FamilyTexts tensors;
  gint64 axis;
  FamilyComparison size;
} FamilySizeRule;
typedef FAMILY_LIST (FamilySizeRule) FamilySizeRules;

typedef struct {
  const char *stem;
  FamilyComparison count;
} FamilyCountRule;
typedef FAMILY_LIST (FamilyCountRule) FamilyCountRules;

/* @result: the naming or the variant that the rule recognises */
typedef struct {
  const char *result;
  FamilyTexts all_of, none_of;
  FamilyTextLists any_of;
  FamilySizeRules shapes;
  FamilyCountRules counts;
} FamilyDetectRule;
typedef FAMILY_LIST (FamilyDetectRule) FamilyDetectRules;

/* @namings: empty only if the family is never recognised */
typedef struct {
  gint64 priority;
  FamilyDetectRules namings, variants;
} FamilyDetect;

/* ---- "dims" and "variants" ---- */

/* An axis of a tensor: of @tensor, or of the first whose name matches @match */
typedef struct {
  const char *tensor;
  FamilyRegex match;
  gint64 axis;
} FamilyPlace;

/* The rule that finds the value of a dimension. Exactly one of @constant, @shape, @shape_re, @count, @present, @absent,
   @present_re, @rank and @same_as is there. @div: 0 if absent, which divides by 1 */
typedef struct {
  FamilyInteger constant;
  FamilyPlace shape, shape_re;
  const char *count, *with, *rank, *same_as, *div_dim, *only_if;
  FamilyTexts present, absent;
  FamilyRegex present_re;
  FamilyExpression minus;
  gint64 eq, div, add, missing;
} FamilyInfer;

/* @stated: (nullable): members of a config.json that state the dimension */
typedef struct {
  const char *name;
  FamilyInfer infer;
  FamilyTexts stated;
  gboolean unseen;
} FamilyDim;
typedef FAMILY_LIST (FamilyDim) FamilyDims;

typedef struct {
  const char *name;
  gint64 value;
} FamilySize;
typedef FAMILY_LIST (FamilySize) FamilySizes;

/* @header_config, @loader_reduced: JSON, or NULL */
typedef struct {
  const char *name, *detect_as, *header_config, *loader_reduced;
  FamilySizes dims;
  gint64 n_tensors, n_params;
  FamilyTexts aliases;
  gboolean synthetic;
} FamilyVariant;
typedef FAMILY_LIST (FamilyVariant) FamilyVariants;

/* ---- "layers" and other members about tensors ---- */

typedef struct {
  const char *name;
  FamilyExpression rows;
} FamilyPart;
typedef FAMILY_LIST (FamilyPart) FamilyParts;

/* @kept_by: evidence id -> "all" or numbers of blocks; @optional: loaders go without it */
typedef struct {
  const char *name, *op, *role, *class_, *stream, *group, *when;
  FamilyExpressions shape;
  FamilyIndex index;
  FamilyParts split;
  FamilyPairs kept_by;
  gboolean optional;
} FamilyLayer;
typedef FAMILY_LIST (FamilyLayer) FamilyLayers;

typedef struct {
  FamilyRegex match;
  const char *replace;
} FamilyAlias;
typedef FAMILY_LIST (FamilyAlias) FamilyAliases;

typedef struct {
  FamilyRegex match;
  const char *twin;
  gboolean drop;
} FamilyExtra;
typedef FAMILY_LIST (FamilyExtra) FamilyExtras;

/* The architecture that a file of models with the dimensions @when (nullable: all) states */
typedef struct {
  const char *architecture, *when;
} FamilyArchitecture;
typedef FAMILY_LIST (FamilyArchitecture) FamilyArchitectures;

typedef struct {
  FamilyRegex match;
  const char *role, *class_;
} FamilyRoleRule;
typedef FAMILY_LIST (FamilyRoleRule) FamilyRoleRules;

/* ---- "keymaps" ---- */

typedef struct {
  const char *a;
  FamilyTexts b;
  FamilyIndex index;
  FamilyExpressions rows, columns;
  gboolean swap_halves, transpose;
  FamilyInteger b_rows_part;
  gint64 b_parts;
} FamilyMapRule;
typedef FAMILY_LIST (FamilyMapRule) FamilyMapRules;

/* @tensors: NULL if the keymap permutes nothing; @permuted, @plain: architecture -> source, of files with rows in the
   other order and of files with rows in their own order. The order of other architectures is unknown. @refused:
   architecture -> what else differs in its files */
typedef struct {
  FamilyPairs permuted, plain, refused;
  FamilyTexts tensors;
  FamilyExpression head;
} FamilyPermute;

/* @tensors: NULL if the keymap adds nothing; @architectures: architecture -> source, of files whose items of these
   tensors are larger by @by than in naming "a". Nothing is known of other architectures */
typedef struct {
  FamilyPairs architectures;
  FamilyTexts tensors;
  gint64 by;
} FamilyOffset;

/* @keep: layers that files with the names "b" hold as plain numbers */
typedef struct {
  const char *a, *b;
  gboolean identity;
  FamilyMapRules rules;
  FamilyTexts except_variants, unmapped;
  FamilyRegexes keep;
  FamilyPermute permute;
  FamilyOffset offset;
  FamilyAliases aliases;
  FamilyTextLists block_map;
  FamilyPairs resnet_names;
} FamilyKeymap;
typedef FAMILY_LIST (FamilyKeymap) FamilyKeymaps;

/* ---- "presets" ---- */

typedef struct {
  const char *stem;
  gint64 first, last;
} FamilyBlocks;
typedef FAMILY_LIST (FamilyBlocks) FamilyBlockLists;

/* @name: id of a scheme */
typedef struct {
  const char *name;
  FamilyRegexes patterns;
} FamilyFallback;
typedef FAMILY_LIST (FamilyFallback) FamilyFallbacks;

/* @also: layers that are not linear, and that loaders take in these schemes all the same */
typedef struct {
  const char *name;
  FamilyRegexes keep, only, also, full_precision_mm;
  FamilyBlockLists keep_blocks;
  FamilyFallbacks fallback;
} FamilyPreset;
typedef FAMILY_LIST (FamilyPreset) FamilyPresets;

typedef struct {
  const char *id, *peer;
  FamilyTexts formats;
} FamilyEvidence;
typedef FAMILY_LIST (FamilyEvidence) FamilyEvidences;

/* ---- The whole file ---- */

/* A tokenizer that loaders read from a tensor of the file. @files: names of the file that holds it, best first;
   @variants: NULL if all variants need it */
typedef struct {
  const char *tensor;
  FamilyTexts files, variants;
} FamilyTokenizer;
typedef FAMILY_LIST (FamilyTokenizer) FamilyTokenizers;

/* A part of an all-in-one checkpoint. @starts: the starts of its names */
typedef struct {
  const char *name;
  FamilyTexts starts;
} FamilyComponent;
typedef FAMILY_LIST (FamilyComponent) FamilyComponents;

/* The members from @scheme_presets on are those of generic.json */
typedef struct {
  const char *schema, *id, *title, *kind;
  gint64 schema_version;
  FamilyTexts architectures, prefixes, never_pack;
  FamilyPairs prefix_rewrites;
  FamilyDetect detect;
  FamilyDims dims;
  FamilyVariants variants;
  FamilyLayers layers;
  FamilyAliases aliases;
  FamilyArchitectures architecture_of;
  FamilyExtras extra_tensors;
  FamilyRoleRules role_rules;
  FamilyKeymaps keymaps;
  FamilyEvidences keep_evidence;
  FamilyPresets presets;
  FamilyTokenizers tokenizers;
  FamilyPairs scheme_presets, foreign_names, vision_files;
  const char *preset_to_6_bits, *preset_above_6_bits;
  FamilyRegexes keep, may_be_infinite;
  FamilyTexts wrappers, module_wrappers;
  FamilyComponents components;
  FamilyPairs component_roots;
  gint64 min_dim;
} FamilyData;
