/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of a user for single layers: --layer-config, --layers. */
#pragma once
#include "rules/schemes.h"

/**
 * LayerRow: what happens to layers whose names match.
 *
 * @scheme: (nullable): NULL: they are kept
 * @options: (nullable): "key=value,…" of that scheme
 * @values: (nullable): @options as values of that scheme; once qconv_rules_settle() was called, on top of those for all
 *   layers
 * @rule: as plans show it
 * @said: what the user wrote, for messages
 * @matched, @unfit: it matched a layer that the scheme can hold, or one that it cannot
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
