/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of the program. main.c holds the table and runs one of them. */
#pragma once
#include "cli/settings.h"

/**
 * CliCommand: one row of the table.
 *
 * @args: the words that it takes, for help; "" if it takes none
 * @bit: of CliCommands
 * @run: gets the words behind the name, from @min_words to @max_words of them, and then NULL
 */
typedef struct {
  const char *name, *args, *help;
  guint bit;
  guint min_words, max_words;
  gboolean (*run) (const CliSettings *s, const char *const *words, GError **error);
} CliCommand;
/* Ends with a row without name; the first one is the default command */
extern const CliCommand cli_commands[];
/* Returns: (transfer none) (nullable): the command called @name */
const CliCommand *cli_command_find (const char *name);

gboolean cli_convert (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_edit (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_inspect (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_verify (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_targets (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_formats (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_families (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_plugins (const CliSettings *s, const char *const *words, GError **error);
gboolean cli_show_help (const CliSettings *s, const char *const *words, GError **error);

/* Prints the words that may follow @words, one a line */
void cli_complete (const char *const *words);
/* Prints the help of @command, or of the whole program if it is NULL; @all: rare options and those of plugins too */
void cli_help (const CliCommand *command, gboolean all);
