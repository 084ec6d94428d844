/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options that are regular expressions for names of layers. */
#pragma once
#include "layer/source-layer.h"

/**
 * NameRule: one expression of --keep, --only or --hp-filter.
 * @said: the user's words
 * @matched, @matched_minor: it decided about a weight, about any layer
 * @unfit: it matched a layer that the scheme cannot hold
 * @taken: (nullable): the first layer that it matched, but that @taken_by, an earlier rule, had decided
 */
typedef struct {
  char *said;
  const char *pattern;
  GRegex *re;
  gboolean matched, matched_minor, unfit;
  const char *taken, *taken_by;
} NameRule;

/* Returns: (transfer full) (element-type NameRule): the compiled @patterns, values of @option. @patterns: (nullable):
   NULL-terminated, must outlive the rules. QCONV_ERROR_OPTION: one is no regular expression */
GArray *qconv_name_rules_new (const char *option, const char *const *patterns, GError **error);
/* Returns whether @re matches the name of the layer in the output, or in the source. @gave_up: gets the first error of
   an expression that is too hard for a name */
gboolean qconv_name_matches (const GRegex *re, const SourceLayer *s, GError **gave_up);
/* Returns the first of @rules that matches the layer, or NULL. Records the matches of all. @fits: the layer can do as
   the rules say; @taken_by: (nullable): the earlier rule that decides about the layer */
const NameRule *qconv_name_rules_match (GArray *rules, const SourceLayer *s, gboolean fits, const char *taken_by,
                                        GError **gave_up);
/* Fails with QCONV_ERROR_OPTION if one of @rules had no effect. @target: (nullable): NULL for edits; @layers:
   (element-type SourceLayer): all layers of the plan */
gboolean qconv_name_rules_check (const GArray *rules, const char *target, const GPtrArray *layers, GError **error);
/* Fails because @pattern, which the user wrote as @said, matches none of @layers */
gboolean qconv_name_matched_nothing (const char *said, const char *pattern, const GPtrArray *layers, GError **error);
/* Fails because @by decides every layer that @said matches, such as @layer */
gboolean qconv_name_no_effect (const char *said, const char *layer, const char *by, GError **error);
