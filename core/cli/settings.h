/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings that a command line gives, grouped by topic. main.c fills them with the table of options.h; each command
   takes the groups that it needs. */
#pragma once
#include <glib.h>

/* Members that are not given are NULL, 0 or FALSE. Lists are never NULL, and end with NULL */

/* Files to read, and how to read them */
typedef struct {
  const char *from, *family_file;
  const char *against; /* of verify */
  gboolean allow_nonfinite;
  GPtrArray *plugin_options; /* of -o */
  GPtrArray *unscaled;       /* names of tensors that are plain numbers */
} CliInput;

/* Rules that give layers their scheme */
typedef struct {
  const char *fallback;
  gboolean skip_inefficient;
  GPtrArray *keep, *only, *hp_filter, *layers, *layer_config, *like;
} CliRules;

/* The output: target, names, tensors, and how numbers are encoded */
typedef struct {
  const char *to, *names, *component, *effort, *input_scale, *error_lora, *config;
  guint64 split;
  gboolean lora_partial, full_precision_mm, allow_incomplete;
  GPtrArray *drop, *loras;
} CliOutput;

/* Changes that an edit makes in markers and metadata */
typedef struct {
  GPtrArray *set, *add, *remove, *metadata;
} CliChanges;

/* Resources that a run may use, and checks that it makes */
typedef struct {
  const char *device;
  guint64 memory, device_memory;
  guint n_threads;
  gboolean force, no_verify, no_checksums, resume;
} CliRun;

/* Results and progress for the user */
typedef struct {
  const char *progress;
  gboolean json, all, quiet, verbose;
  gboolean dry_run, as_template; /* shows only the plan; as a file for --layer-config */
  gboolean help, help_all, version;
} CliShow;

typedef struct {
  CliInput input;
  CliRules rules;
  CliOutput output;
  CliChanges changes;
  CliRun run;
  CliShow show;
  char *config_setting; /* the plugin's option that --config stands for */
  guint64 given;        /* bit i: row i of the table of options was used */
  const char *const *words;
  guint n_words; /* includes the command if it was named */
} CliSettings;

gboolean cli_settings_parse (CliSettings *s, int argc, char **argv, GError **error);
/* Checks that the command takes all options that were used. @command: its bit; @name: its name */
gboolean cli_settings_check (const CliSettings *s, const char *name, guint command, GError **error);
void cli_settings_clear (CliSettings *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CliSettings, cli_settings_clear)
