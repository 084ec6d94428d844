/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the program share. Nothing here is part of the library. */
#pragma once
#include <glib/gi18n.h>
#include <json-glib/json-glib.h>

#include "qconv.h"

/* ---- options.c: the table of options, and what a command line said ---- */

typedef enum {
  CLI_CONVERT = 1,
  CLI_INSPECT = 2,
  CLI_VERIFY = 4,
  CLI_TARGETS = 8,
  CLI_FORMATS = 16,
  CLI_PLUGINS = 32,
  CLI_EDIT = 64,
  CLI_FAMILIES = 128,
  CLI_ANY = 255,
} CliCommands;

typedef struct {
  const char *from, *to, *keep, *only, *hp_filter, *effort, *input_scale, *device, *progress, *names, *component;
  const char *against, *layer_config, *fallback, *like, *family_file;
  guint64 memory;
  guint n_threads;
  gboolean force, no_verify, dry_run, as_template, full_precision_mm, skip_inefficient, lora_partial;
  gboolean json, allow_nonfinite, all, verbose, help, help_all, version;
  GPtrArray *settings; /* of -o, NULL at its end; so are those of an edit */
  GPtrArray *set, *add, *remove, *metadata;
  GPtrArray *layers, *drop, *loras;
  guint64 given; /* bit i: row i of the table was used */
  const char *const *words;
  guint n_words; /* the command included, if it was named */
} CliSettings;

typedef enum { CLI_FLAG, CLI_TEXT, CLI_LIST, CLI_SIZE, CLI_COUNT } CliOptionKind;

/**
 * CliOption: one row of the table that parsing, help, completion and the check of the man page read.
 *
 * @name: (nullable): without hyphens
 * @letter: 0: none
 * @commands: that take it
 * @arg: (nullable): for help; NULL for a flag
 * @choices: (nullable): the only values
 * @rare: not in the short help
 */
typedef struct {
  const char *name;
  char letter;
  guint commands;
  CliOptionKind kind;
  gsize offset; /* in CliSettings */
  const char *arg;
  const char *const *choices;
  gboolean rare;
  const char *help;
} CliOption;
extern const CliOption cli_options[];

gboolean cli_settings_parse (CliSettings *s, int argc, char **argv, GError **error);
/* Were all options that were used made for one of @command? */
gboolean cli_settings_check (const CliSettings *s, const char *name, guint command, GError **error);
void cli_settings_clear (CliSettings *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (CliSettings, cli_settings_clear)
/* Returns: (transfer full): "--memory", or "-o" where there is only a letter */
char *cli_option_label (const CliOption *o);

/* ---- main.c: the table of commands ---- */

typedef struct {
  const char *name, *args, *help;
  guint bit; /* of CliCommands */
  guint min_words, max_words;
  gboolean (*run) (const CliSettings *s, const char *const *words, GError **error);
} CliCommand;
extern const CliCommand cli_commands[];

gboolean cli_convert (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_edit (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_inspect (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_verify (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_targets (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_formats (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_families (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_plugins (const CliSettings *s, const char *const *words, GError **error);
/* @from: (nullable): refused where no plugin has it; @for_verify: what cannot be claimed is a problem, no error */
QconvModel *cli_model_open (const CliSettings *s, const char *path, const char *from, gboolean for_verify,
                            GError **error);
/* Prints the words that may follow @words, one a line */
void cli_complete (const char *const *words);
/* @command: (nullable): NULL: of the program as a whole */
void cli_help (const CliCommand *command, gboolean all);

/* ---- features.c: what the loaded plugins offer ---- */

typedef enum { CLI_CONTAINER, CLI_READER, CLI_QUANTIZER, CLI_WRITER } CliFeatureKind;
typedef struct {
  const QconvPlugin *plugin;
  CliFeatureKind kind;
  const char *id, *summary;
  const QconvOption *options; /* (nullable) */
} CliFeature;
/* @only: (nullable): NULL: of all plugins. Returns: (transfer full) (element-type CliFeature) */
GArray *cli_features_list (const QconvPlugin *only);
/* Returns: (transfer none): "reader", translated if @translated */
const char *cli_feature_kind (CliFeatureKind kind, gboolean translated);
/* Returns: (transfer none): @text of one of the tables of @plugin, translated; "" for NULL */
const char *cli_plugin_text (const QconvPlugin *plugin, const char *text);
/* Returns: (transfer full): "true|false", "0..16", "search|rtn" … what an option takes */
char *cli_option_values (const QconvOption *option);
/* Prints the options of @feature with all that the table says of them */
void cli_feature_print_options (const CliFeature *feature);
/* Returns: (transfer full): NULL-terminated, names (transfer none) */
GPtrArray *cli_format_names (void);
GPtrArray *cli_target_names (void);
/* Returns: (transfer none): translated */
const char *cli_target_summary (const QconvTargetInfo *target);

/* ---- term.c: text for people ---- */

/* Results go to stdout, all others to stderr as one line "qconv: …" */
void cli_print (const char *format, ...) G_GNUC_PRINTF (1, 2);
void cli_warn (const char *message, gpointer unused);
void cli_note (const char *message);
void cli_report_error (const GError *error);
/* A line at the foot of the terminal, redrawn in place; NULL takes it away */
void cli_bar_draw (const char *text);
guint cli_bar_width (void);
/* Descriptors 0 to 2 exist, so that no file that is opened later becomes stdout */
void cli_streams_init (gboolean verbose);
/* Returns: FALSE where not all results were written; says so */
gboolean cli_streams_finish (void);
/* Sets an error "@message; did you mean …?". @message: (transfer full); @names: NULL-terminated */
gboolean cli_fail_unknown (GError **error, QconvError code, char *message, const char *word, const char *const *names);
/* Returns: (transfer full): "1.5 GiB" */
char *cli_size_text (guint64 bytes);
/* Returns: columns that @text takes on a terminal */
guint cli_text_columns (const char *text);

typedef struct _CliTable CliTable;
/* @align: a letter for each column, l or r. @... of a row: as many cells, which are copied */
CliTable *cli_table_new (const char *align);
void cli_table_row (CliTable *t, ...);
void cli_table_print (const CliTable *t, const char *indent);
void cli_table_free (CliTable *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliTable, cli_table_free)

/* ---- json.c: text for programs ---- */

/* Any of these takes the name of a member first; NULL: an element of an array */
void cli_json_string (JsonBuilder *b, const char *name, const char *value);
void cli_json_int (JsonBuilder *b, const char *name, guint64 value);
/* null where @value is no finite number */
void cli_json_double (JsonBuilder *b, const char *name, double value);
void cli_json_shape (JsonBuilder *b, const char *name, const QconvShape *shape);
void cli_json_variant (JsonBuilder *b, const char *name, GVariant *value);
/* Returns: (transfer full) */
char *cli_json_text (JsonBuilder *b, gboolean pretty);
void cli_json_print (JsonBuilder *b);

/* ---- plan.c ---- */

/* With --dry-run shows @plan only */
gboolean cli_plan_carry_out (const CliSettings *s, const QconvModel *model, QconvPlan *plan, GError **error);

/* ---- report.c: what a check found ---- */

void cli_report_json (const QconvReport *report);
void cli_report_problems (const QconvReport *report);
/* @weights: (nullable) (element-type QconvPlannedInfo): adds what was written */
void cli_report_schemes (const QconvReport *report, const GArray *weights);
/* The @most layers with the largest error, or with 0 all in their order */
void cli_report_layers (const QconvReport *report, guint most);

/* ---- progress.c ---- */

typedef struct _CliProgress CliProgress;
/* @mode: (nullable): a choice of --progress */
CliProgress *cli_progress_new (const char *mode);
void cli_progress_update (const QconvProgress *p, gpointer progress);
void cli_progress_free (CliProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliProgress, cli_progress_free)

/* ---- interrupt.c ---- */

/* Before any thread starts: SIGINT, SIGTERM and SIGHUP end the program with 130 until cli_interrupt_begin() */
void cli_interrupt_init (void);
/* From here on the first signal cancels what was returned and the next one ends at once; writing to a closed pipe is an
   error. Returns: (transfer none) */
GCancellable *cli_interrupt_begin (void);
