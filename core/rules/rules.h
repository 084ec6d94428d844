/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of each layer, and the rule that decided. */
#pragma once
#include "graph/mapping.h"
#include "rules/layer-config.h"

/* An option of one regular expression */
typedef struct {
  const char *option, *pattern;
  GRegex *re;              /* (nullable): not given */
  gboolean matched, unfit; /* @unfit: it matched a layer that the scheme cannot hold */
} NameRule;

/**
 * Rules:
 * @mapping: (nullable): NULL for edits
 * @rows: (element-type LayerRow): --layer-config, then --layers
 * @fallback: (nullable): of --fallback
 * @no_fallback: --fallback keep
 * @like_matched: --like has a layer packed that the model has, too
 * @like: (nullable): original short name → whether --like has it packed
 * @quantized: the source has quantized layers: only these are encoded
 * @gave_up: (nullable): an expression that could not be applied to a name
 */
typedef struct {
  const QconvJob *job;
  const Mapping *mapping;
  Schemes *schemes;
  NameRule keep, only, hp;
  GPtrArray *rows;
  const Scheme *fallback;
  gboolean no_fallback, quantized, like_matched;
  GHashTable *like;
  GError *gave_up;
} Rules;

/**
 * Decision: what a layer becomes.
 *
 * @scheme: (nullable): NULL: it stays plain
 * @layer: (nullable) (owned): the layer in @scheme, for the plan to take
 * @options: (nullable): "key=value,…" of @scheme that a rule gave to this layer
 * @rule: the name of the rule, as plans show it
 * @full_precision: the family advises products in full precision
 * @packable: @scheme or the target's scheme can hold it
 */
typedef struct {
  const Scheme *scheme;
  Layer *layer;
  const char *options, *rule;
  gboolean full_precision, packable;
} Decision;

/* QCONV_ERROR_OPTION: an expression is broken, a configuration is wrong */
gboolean qconv_rules_init (Rules *r, const QconvModel *model, const Mapping *mapping, Schemes *schemes,
                           const QconvJob *job, GError **error);
void qconv_rules_clear (Rules *r);
void qconv_decision_clear (Decision *d);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Decision, qconv_decision_clear)

/* Puts the options of rows on top of those for all layers, which must be known by now */
void qconv_rules_settle (Rules *r);
/* Decides what becomes of @s; after qconv_rules_settle() */
Decision qconv_rules_decide (Rules *r, const SourceLayer *s);
/* Returns: whether loaders tell models apart by the stored shape of @s */
gboolean qconv_rules_probed (const Rules *r, const SourceLayer *s);
/* Returns: whether --only and --keep leave @s to an edit */
gboolean qconv_rules_select (Rules *r, const SourceLayer *s);
/* @encoded: what becomes of it. QCONV_ERROR_OPTION: --hp-filter wants it in high precision */
gboolean qconv_rules_check_precision (Rules *r, const SourceLayer *s, gboolean encoded, GError **error);
/* QCONV_ERROR_OPTION: an expression that matched nothing, or nothing that rules before it left */
gboolean qconv_rules_check (Rules *r, const GPtrArray *layers, GError **error);
