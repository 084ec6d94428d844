/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists and texts about the features of the loaded plugins. Help, completion and the commands that list things read
   them. */
#pragma once
#include "qconv.h"

typedef enum { CLI_CONTAINER, CLI_READER, CLI_QUANTIZER, CLI_WRITER } CliFeatureKind;

/* A feature of a plugin. @table: the feature itself, of the type that @kind names; @options: NULL if it has none */
typedef struct {
  const QconvPlugin *plugin;
  CliFeatureKind kind;
  gconstpointer table;
  const char *id, *summary;
  const QconvOption *options;
} CliFeature;

/* Warns, and says why lists are empty, if no plugin was found */
void cli_warn_without_plugins (void);
/* Returns: (transfer full) (element-type CliFeature): the features of @only, or of all plugins if @only is NULL, that
   are used */
GArray *cli_features_list (const QconvPlugin *only);
/* Returns: (transfer none): "reader", translated if @translated */
const char *cli_feature_kind (CliFeatureKind kind, gboolean translated);
/* Returns: (transfer none): @text, which is in a table of @plugin, translated; "" if it is NULL */
const char *cli_plugin_text (const QconvPlugin *plugin, const char *text);
/* Returns: (transfer full): the values that @option takes: "true|false", "INTEGER 0..16", "search|rtn" */
char *cli_option_values (const QconvOption *option);
/* Prints the options of @feature with their values, defaults and help */
void cli_feature_print_options (const CliFeature *feature);
/* Returns: (transfer full): ids of all readers and containers, once each; ends with NULL */
GPtrArray *cli_format_names (void);
/* Returns: (transfer full): names of all targets; ends with NULL */
GPtrArray *cli_target_names (void);
/* Returns: (transfer full): values of --names: "keep", a writer for the naming that its loader knows, or a naming of
   family files; ends with NULL */
GPtrArray *cli_naming_words (void);
/* Returns: (transfer none) (nullable): the naming for @word, a value of --names, as QconvNameOptions.naming takes it;
   NULL if @word is NULL */
const char *cli_naming_of (const char *word);
/* Returns: (transfer none) (nullable): the target called @name */
const QconvTargetInfo *cli_target_find (const char *name);
/* Returns: (transfer none): the summary, translated */
const char *cli_target_summary (const QconvTargetInfo *target);
