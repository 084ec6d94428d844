/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program: reads the command line, runs one command, and turns its error into the exit status. */
#include <glib/gi18n.h>
#include <locale.h>
#include <string.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/term.h"
#include "qconv.h"

const CliCommand cli_commands[] = {
  { "convert", N_ ("INPUT... [OUTPUT]"), N_ ("convert models; the default command"), CLI_CONVERT, 1, G_MAXUINT,
    cli_convert },
  { "inspect", N_ ("FILE"), N_ ("show what a model contains"), CLI_INSPECT, 1, 1, cli_inspect },
  { "verify", N_ ("FILE"), N_ ("check a quantized file"), CLI_VERIFY, 1, 1, cli_verify },
  { "edit", N_ ("FILE [OUTPUT]"), N_ ("change markers, input scales and metadata of a file, not its weights"), CLI_EDIT,
    1, 2, cli_edit },
  { "targets", "", N_ ("list the targets that can be made"), CLI_TARGETS, 0, 0, cli_targets },
  { "formats", "", N_ ("list the formats that can be read"), CLI_FORMATS, 0, 0, cli_formats },
  { "families", N_ ("[NAME]"), N_ ("list model families, or describe one"), CLI_FAMILIES, 0, 1, cli_families },
  { "plugins", N_ ("[NAME]"), N_ ("list plugins, or the features and options of one"), CLI_PLUGINS, 0, 1, cli_plugins },
  { "help", N_ ("[COMMAND]"), N_ ("show the usual options, or those of a command"), CLI_HELP, 0, 1, cli_show_help },
  { .name = NULL },
};

const CliCommand *
cli_command_find (const char *name)
{
  for (const CliCommand *c = cli_commands; c->name != NULL; c++)
    if (strcmp (c->name, name) == 0)
      return c;
  return NULL;
}

/* Fails for a first word that is neither a command nor an existing file */
static gboolean
fail_unknown_command (const char *word, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  for (const CliCommand *c = cli_commands; c->name != NULL; c++)
    g_ptr_array_add (names, (gpointer) c->name);
  g_ptr_array_add (names, NULL);
  return cli_fail_unknown (error, QCONV_ERROR_OPTION, g_strdup_printf (_ ("unknown command \"%s\""), word), word,
                           (const char *const *) names->pdata);
}

gboolean
cli_show_help (const CliSettings *s, const char *const *words, GError **error)
{
  const CliCommand *command = words[0] != NULL ? cli_command_find (words[0]) : NULL;

  if (words[0] != NULL && command == NULL)
    return fail_unknown_command (words[0], error);
  cli_help (command, s->show.help_all);
  return TRUE;
}

static gboolean
run_command (const CliSettings *s, GError **error)
{
  const CliCommand *command = s->n_words > 0 ? cli_command_find (s->words[0]) : NULL;
  const char *const *words = s->words + (command != NULL);
  guint n_words = s->n_words - (command != NULL);

  if (s->show.help || s->show.help_all)
    {
      cli_help (command, s->show.help_all);
      return TRUE;
    }
  if (s->show.version)
    {
      cli_print ("qconv %s\n", qconv_version ());
      cli_print (_ ("CPU level: %s\n"), qconv_cpu_level ());
      return TRUE;
    }
  if (command == NULL)
    {
      command = &cli_commands[0];
      if (s->n_words > 0 && s->output.to == NULL && !g_file_test (s->words[0], G_FILE_TEST_EXISTS))
        return fail_unknown_command (s->words[0], error);
      if (s->n_words == 0)
        return qconv_fail (error, QCONV_ERROR_OPTION, _ ("no input is named; 'qconv -h' shows the usage"));
    }
  if (!cli_settings_check (s, command->name, command->bit, error))
    return FALSE;
  if (n_words < command->min_words || n_words > command->max_words)
    return qconv_fail (error, QCONV_ERROR_OPTION, _ ("usage: qconv %s%s%s"), command->name,
                       *command->args != '\0' ? " " : "", *command->args != '\0' ? _ (command->args) : "");
  return command->run (s, words, error);
}

static void
run_program (int argc, char **argv, GError **error)
{
  g_auto (CliSettings) settings = { 0 };
  gboolean parsed;

  if (argc > 1 && strcmp (argv[1], "complete") == 0)
    {
      cli_streams_init (FALSE, FALSE);
      cli_complete ((const char *const *) argv + 2);
      return;
    }
  parsed = cli_settings_parse (&settings, argc, argv, error);
  cli_streams_init (settings.show.verbose, settings.show.quiet);
  if (parsed)
    run_command (&settings, error);
}

/* Runs the program. Every failure is a GError here: of the command, or of the output that could not be written */
int
main (int argc, char **argv)
{
  g_autoptr (GError) failed = NULL, unwritten = NULL;
  const GError *error;

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  g_set_prgname ("qconv");
  cli_interrupt_init ();
  run_program (argc, argv, &failed);
  if (failed != NULL)
    cli_report_error (failed);
  /* If the reader of a pipe has gone away, it needs no message */
  if (!cli_streams_finish (&unwritten) && !g_error_matches (unwritten, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE))
    cli_report_error (unwritten);
  error = failed != NULL ? failed : unwritten;
  return error != NULL ? qconv_error_exit_status (error) : 0;
}
