/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv -h`, `qconv COMMAND -h` and `qconv --help-all`, from the tables of options, commands and plugins. */
#include <glib/gi18n.h>

#include "cli/command.h"
#include "cli/features.h"
#include "cli/options.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

static void
append_choices (GString *text, const char *const *choices)
{
  for (guint i = 0; choices[i] != NULL; i++)
    g_string_append_printf (text, "%c%s", i > 0 ? '|' : ' ', choices[i]);
}

/* Returns: (transfer full): "-v, --verbose", "--effort rtn|search" */
static char *
option_synopsis (const CliOption *o)
{
  GString *text = g_string_new (NULL);

  if (o->letter != 0)
    g_string_append_printf (text, "-%c%s", o->letter, o->name != NULL ? ", " : "");
  if (o->name != NULL)
    g_string_append_printf (text, "--%s", o->name);
  if (o->arg != NULL)
    g_string_append_printf (text, " %s", _ (o->arg));
  else if (o->choices != NULL)
    append_choices (text, o->choices);
  else if (o->loaded != NULL)
    {
      g_autoptr (GPtrArray) words = o->loaded ();

      append_choices (text, (const char *const *) words->pdata);
    }
  return g_string_free (text, FALSE);
}

/* Prints @label, and @text beside it in a column from @indent to @width, broken between words */
static void
print_wrapped (const char *label, const char *text, guint indent, guint width)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  g_autoptr (GString) out = g_string_new (NULL);
  guint column = cli_text_columns (label) + 2;

  g_string_append_printf (out, "  %s", label);
  if (column + 2 > indent)
    {
      g_string_append_c (out, '\n');
      column = 0;
    }
  g_string_append_printf (out, "%*s", (int) (indent - column), "");
  column = indent;
  for (guint i = 0; words[i] != NULL; i++)
    {
      guint length = cli_text_columns (words[i]);

      if (column > indent && column + 1 + length > width)
        {
          g_string_append_printf (out, "\n%*s", (int) indent, "");
          column = indent;
        }
      g_string_append_printf (out, "%s%s", column > indent ? " " : "", words[i]);
      column += length + (column > indent);
    }
  cli_print ("%s\n", out->str);
}

static void
print_options (guint commands, gboolean all)
{
  for (const CliOption *o = cli_options; o->help != NULL; o++)
    if ((o->commands & commands) != 0 && (all || !o->rare))
      {
        g_autofree char *synopsis = option_synopsis (o);

        print_wrapped (synopsis, _ (o->help), 28, 100);
      }
}

static void
print_commands (void)
{
  for (const CliCommand *c = cli_commands; c->name != NULL; c++)
    {
      g_autofree char *label
          = g_strdup_printf ("%s%s%s", c->name, *c->args != '\0' ? " " : "", *c->args != '\0' ? _ (c->args) : "");

      print_wrapped (label, _ (c->help), 28, 100);
    }
}

/* Prints all targets, then the options of all plugins that -o can set */
static void
print_plugin_options (void)
{
  GPtrArray *targets = qconv_registry_targets ();
  g_autoptr (GArray) features = cli_features_list (NULL);

  cli_print ("\n%s\n", _ ("Targets:"));
  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = targets->pdata[i];

      print_wrapped (t->name, cli_target_summary (t), 28, 100);
    }
  cli_print ("\n%s\n", _ ("Options of plugins:"));
  for (guint i = 0; i < features->len; i++)
    {
      const CliFeature *f = &g_array_index (features, CliFeature, i);

      if (f->options == NULL || f->options->name == NULL)
        continue;
      cli_print ("  %s %s: %s\n", cli_feature_kind (f->kind, TRUE), f->id, cli_plugin_text (f->plugin, f->summary));
      cli_feature_print_options (f);
    }
}

void
cli_help (const CliCommand *command, gboolean all)
{
  if (command != NULL)
    {
      cli_print (_ ("Usage: qconv %s [OPTION]..."), command->name);
      cli_print ("%s%s\n", *command->args != '\0' ? " " : "", *command->args != '\0' ? _ (command->args) : "");
      cli_print ("%s\n\n%s\n", _ (command->help), _ ("Options:"));
      print_options (command->bit, TRUE);
      if (all && command->bit == CLI_CONVERT)
        print_plugin_options ();
      return;
    }
  cli_print ("%s\n", _ ("Usage: qconv [convert] --to TARGET [OPTION]... INPUT [OUTPUT]\n"
                        "       qconv COMMAND [OPTION]... [ARGUMENT]\n"
                        "Converts the weights of neural networks between quantized formats."));
  cli_print ("\n%s\n", _ ("Commands:"));
  print_commands ();
  cli_print ("\n%s\n", _ ("Options:"));
  print_options (all ? CLI_ANY : CLI_CONVERT, all);
  if (all)
    print_plugin_options ();
  else
    cli_print ("\n%s\n", _ ("'qconv --help-all' shows all options, 'qconv COMMAND -h' those of a command."));
}
