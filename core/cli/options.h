/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of options: parsing, help, completion and the check of the man page read it. */
#pragma once
#include <glib.h>

/* Bits of the commands that take an option */
typedef enum {
  CLI_CONVERT = 1,
  CLI_INSPECT = 2,
  CLI_VERIFY = 4,
  CLI_TARGETS = 8,
  CLI_FORMATS = 16,
  CLI_PLUGINS = 32,
  CLI_EDIT = 64,
  CLI_FAMILIES = 128,
  CLI_HELP = 256,
  CLI_ANY = 511,
} CliCommands;

typedef enum { CLI_FLAG, CLI_TEXT, CLI_LIST, CLI_SIZE, CLI_COUNT } CliOptionKind;

/**
 * CliOption: one row of the table.
 *
 * @name: (nullable): without hyphens; NULL if there is only a letter
 * @letter: 0 if there is only a name
 * @commands: bits of the commands that take it
 * @offset: place of its member in CliSettings
 * @arg: (nullable): the word for the value in help; NULL if the option is a flag, or if help lists the values
 * @choices: (nullable): the only values
 * @loaded: (nullable): returns the values that the loaded plugins allow, as cli_format_names() does. Without @arg no
 *   other value is allowed
 * @rare: the short help leaves it out
 */
typedef struct {
  const char *name;
  char letter;
  guint commands;
  CliOptionKind kind;
  gsize offset;
  const char *arg;
  const char *const *choices;
  gboolean rare;
  const char *help;
  GPtrArray *(*loaded) (void);
} CliOption;
/* Ends with a row without help */
extern const CliOption cli_options[];
/* Rows of the table, without the last one */
guint cli_n_options (void);
/* Returns: (transfer full): "--memory", or "-o" if there is only a letter */
char *cli_option_label (const CliOption *o);
