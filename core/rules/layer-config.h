/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's rules for single layers: --layer-config and --layers. */
#pragma once
#include "rules/schemes.h"

/**
 * LayerRow: the scheme of layers whose names match.
 *
 * @scheme: (nullable): NULL: they are kept
 * @options: (nullable): "key=value,…" of that scheme
 * @values: (nullable): @options as values of that scheme; after qconv_rules_settle() also the options for all layers
 * @rule: as plans show it
 * @said: the user's words, for messages
 * @matched, @unfit: it matched a layer that the scheme can hold; it matched one that the scheme cannot hold
 */
typedef struct {
  GRegex *match;
  const Scheme *scheme;
  QconvValues *values;
  char *options, *rule, *said;
  gboolean matched, unfit;
} LayerRow;
void qconv_layer_row_free (LayerRow *r);

/* Appends the rows of a file: a JSON array of { "match", "scheme", "options" }. QCONV_ERROR_OPTION: a row is wrong; the
   error names it */
gboolean qconv_layer_config_read (GPtrArray *rows, const char *path, Schemes *schemes, GError **error);
/* Appends "SCHEME[,key=value…]:REGEX" or "keep:REGEX" */
gboolean qconv_layer_config_add (GPtrArray *rows, const char *text, Schemes *schemes, GError **error);
