/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command line says, by topic. main.c reads it with the table of options.h; every command takes what it needs
   of it. */
#pragma once
#include <glib.h>

/* All lists end with NULL */

/* Which files are read, and as what */
typedef struct {
  const char *from, *family_file;
  const char *against; /* of verify */
  gboolean allow_nonfinite;
  GPtrArray *plugin_options; /* of -o */
} CliInput;

/* Which layers take which scheme */
typedef struct {
  const char *keep, *only, *hp_filter, *layer_config, *fallback, *like;
  gboolean skip_inefficient;
  GPtrArray *layers;
} CliRules;

/* What the output holds besides */
typedef struct {
  const char *to, *names, *component, *effort, *input_scale;
  gboolean lora_partial, full_precision_mm;
  GPtrArray *drop, *loras;
} CliOutput;

/* What an edit changes in markers and metadata */
typedef struct {
  GPtrArray *set, *add, *remove, *metadata;
} CliChanges;

/* How the work is done */
typedef struct {
  const char *device;
  guint64 memory;
  guint n_threads;
  gboolean force, no_verify;
} CliRun;

/* What is shown, and how */
typedef struct {
  const char *progress;
  gboolean json, all, verbose;
  gboolean dry_run, as_template; /* the plan only; as a file for --layer-config */
  gboolean help, help_all, version;
} CliShow;

typedef struct {
  CliInput input;
  CliRules rules;
  CliOutput output;
  CliChanges changes;
  CliRun run;
  CliShow show;
  guint64 given; /* bit i: row i of the table of options was used */
  const char *const *words;
  guint n_words; /* the command included, if it was named */
} CliSettings;

gboolean cli_settings_parse (CliSettings *s, int argc, char **argv, GError **error);
/* Checks that all options that were used are made for the command with the bit @command, whose name is @name */
gboolean cli_settings_check (const CliSettings *s, const char *name, guint command, GError **error);
void cli_settings_clear (CliSettings *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CliSettings, cli_settings_clear)
