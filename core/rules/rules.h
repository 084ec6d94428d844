/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decides what becomes of each layer, and by which rule. The plan calls it. */
#pragma once
#include "graph/mapping.h"
#include "rules/layer-config.h"
#include "rules/name-rules.h"

/**
 * Rules:
 * @mapping: (nullable): NULL for edits
 * @keep, @only, @hp: (element-type NameRule): of --keep, --only and --hp-filter
 * @rows: (element-type LayerRow): --layer-config, then --layers
 * @fallback: (nullable): of --fallback
 * @no_fallback: --fallback keep
 * @like_matched: this model has a layer that --like quantizes
 * @like: (nullable): of qconv_like_add()
 * @files: (element-type utf8): the files that were read
 * @quantized: the source has quantized layers, so only these are encoded
 * @gave_up: (nullable): the first error of a layer: an expression could not be applied to its name, or a quantizer
 *   broke its contract
 */
typedef struct {
  const QconvJob *job;
  const Mapping *mapping;
  Schemes *schemes;
  GArray *keep, *only, *hp;
  GPtrArray *rows, *files;
  const Scheme *fallback;
  gboolean no_fallback, quantized, like_matched;
  GHashTable *like;
  GError *gave_up;
} Rules;

/**
 * Decision: the scheme of a layer, or that it stays plain.
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

/* Reads the rules of @job. @mapping: NULL for edits. QCONV_ERROR_OPTION: an expression is broken, a configuration is
   wrong */
gboolean qconv_rules_init (Rules *r, const QconvModel *model, const Mapping *mapping, Schemes *schemes,
                           const QconvJob *job, GError **error);
void qconv_rules_clear (Rules *r);
void qconv_decision_clear (Decision *d);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Decision, qconv_decision_clear)

/* Adds the options for all layers to those of rows, which come first. The options for all layers must be known */
void qconv_rules_settle (Rules *r);
/* Decides what becomes of @s. Must be called after qconv_rules_settle() */
Decision qconv_rules_decide (Rules *r, const SourceLayer *s);
/* Returns TRUE with @error if a decision failed: a quantizer broke its contract, or refused a layer that the target's
   loader takes in no other form */
gboolean qconv_rules_gave_up (Rules *r, GError **error);
/* Returns whether loaders tell models apart by the stored shape of @s */
gboolean qconv_rules_probed (const Rules *r, const SourceLayer *s);
/* Returns whether --only and --keep let an edit change @s */
gboolean qconv_rules_select (Rules *r, const SourceLayer *s);
/* Fails with QCONV_ERROR_OPTION if --hp-filter matches @s, and it is not in high precision or will be @encoded */
gboolean qconv_rules_check_precision (Rules *r, const SourceLayer *s, gboolean encoded, GError **error);
/* Fails with QCONV_ERROR_OPTION if a rule had no effect. @layers: (element-type SourceLayer): all layers of the plan */
gboolean qconv_rules_check (Rules *r, const GPtrArray *layers, GError **error);
