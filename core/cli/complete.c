/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv complete`: prints the words that may follow, for the completions of the shells. */
#include "cli/command.h"

#include <string.h>

#include "cli/features.h"
#include "cli/options.h"
#include "cli/term.h"
#include "qconv.h"

static void
print_names (const char *const *names)
{
  for (guint i = 0; names[i] != NULL; i++)
    cli_print ("%s\n", names[i]);
}

static void
print_setting (const CliFeature *f, const QconvOption *o)
{
  static const char *const booleans[] = { "true", "false", NULL };
  const char *const *values = o->type == QCONV_BOOLEAN ? booleans : o->type == QCONV_CHOICE ? o->choices : NULL;

  if (values == NULL)
    cli_print ("%s.%s=\n", f->id, o->name);
  for (guint i = 0; values != NULL && values[i] != NULL; i++)
    cli_print ("%s.%s=%s\n", f->id, o->name, values[i]);
}

/* Returns FALSE for schemes and writers that @target, if it is known, does not use */
static gboolean
concerns_target (const CliFeature *f, const QconvTargetInfo *target)
{
  if (target == NULL || f->kind == CLI_READER || f->kind == CLI_CONTAINER)
    return TRUE;
  if (f->kind == CLI_WRITER)
    return strcmp (f->id, target->writer->id) == 0;
  return target->quantizer != NULL && strcmp (f->id, target->quantizer->id) == 0;
}

/* Returns: (transfer none) (nullable): the target that --to names on the line */
static const QconvTargetInfo *
target_of_words (const char *const *words)
{
  const char *name = NULL;

  for (guint i = 0; words[i] != NULL; i++)
    if (strcmp (words[i], "--to") == 0)
      name = words[i + 1];
    else if (g_str_has_prefix (words[i], "--to="))
      name = words[i] + strlen ("--to=");
  return name != NULL ? cli_target_find (name) : NULL;
}

static void
print_settings (const char *const *words)
{
  g_autoptr (GArray) features = cli_features_list (NULL);
  const QconvTargetInfo *target = target_of_words (words);

  for (guint i = 0; i < features->len; i++)
    {
      const CliFeature *f = &g_array_index (features, CliFeature, i);

      for (const QconvOption *o = f->options; o != NULL && o->name != NULL && concerns_target (f, target); o++)
        print_setting (f, o);
    }
}

/* Prints "keep" and the schemes that the writer of the target on the line takes, each followed by @end */
static void
print_schemes (const char *const *words, const char *end)
{
  GPtrArray *targets = qconv_registry_targets ();
  const QconvTargetInfo *target = target_of_words (words);

  cli_print ("keep%s\n", end);
  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = targets->pdata[i];

      if (target != NULL && t->quantizer != NULL && t->writer == target->writer)
        cli_print ("%s%s\n", t->quantizer->id, end);
    }
}

/* Prints the values that @o can take; the shell adds file names. Returns FALSE if @o takes no value */
static gboolean
print_values (const CliOption *o, const char *const *words)
{
  if (o->kind == CLI_FLAG)
    return FALSE;
  if (o->choices != NULL)
    print_names (o->choices);
  else if (o->offset == G_STRUCT_OFFSET (CliSettings, input.plugin_options))
    print_settings (words);
  else if (o->offset == G_STRUCT_OFFSET (CliSettings, rules.layers))
    print_schemes (words, ":");
  else if (o->offset == G_STRUCT_OFFSET (CliSettings, rules.fallback))
    print_schemes (words, "");
  else if (o->loaded != NULL)
    {
      g_autoptr (GPtrArray) loaded = o->loaded ();

      print_names ((const char *const *) loaded->pdata);
    }
  return TRUE;
}

static const CliOption *
find_option (const char *word)
{
  for (const CliOption *o = cli_options; o->help != NULL; o++)
    if ((o->name != NULL && g_str_has_prefix (word, "--") && strcmp (word + 2, o->name) == 0)
        || (o->letter != 0 && word[0] == '-' && word[1] == o->letter && word[2] == '\0'))
      return o;
  return NULL;
}

/* Returns: (transfer none) (nullable): the command that the words name, or convert if the first argument is not a
   command; NULL if there is no argument yet */
static const CliCommand *
command_of_words (const char *const *words)
{
  for (guint i = 0; words[i] != NULL; i++)
    {
      const CliOption *o = find_option (words[i]);

      if (o != NULL && o->kind != CLI_FLAG && words[i + 1] != NULL)
        i++;
      else if (words[i][0] != '-')
        {
          const CliCommand *named = cli_command_find (words[i]);

          return named != NULL ? named : &cli_commands[0];
        }
    }
  return NULL;
}

static void
print_families (void)
{
  g_autoptr (GPtrArray) families = qconv_families_describe (NULL, NULL, NULL);

  for (guint i = 0; families != NULL && i < families->len; i++)
    cli_print ("%s\n", ((const QconvFamilyInfo *) families->pdata[i])->id);
}

static void
print_options (guint commands)
{
  for (const CliOption *o = cli_options; o->help != NULL; o++)
    {
      if ((o->commands & commands) == 0)
        continue;
      if (o->name != NULL)
        cli_print ("--%s\n", o->name);
      if (o->letter != 0)
        cli_print ("-%c\n", o->letter);
    }
}

void
cli_complete (const char *const *words)
{
  g_autoptr (GPtrArray) kept = g_ptr_array_new ();
  const CliCommand *command;
  const CliOption *last = NULL;

  /* bash splits --to=x into three words */
  for (guint i = 0; words[i] != NULL; i++)
    if (strcmp (words[i], "=") != 0)
      g_ptr_array_add (kept, (gpointer) words[i]);
  if (kept->len > 0)
    last = find_option (kept->pdata[kept->len - 1]);
  g_ptr_array_add (kept, NULL);
  if (last != NULL && print_values (last, (const char *const *) kept->pdata))
    return;
  command = command_of_words ((const char *const *) kept->pdata);
  if (command == NULL)
    for (const CliCommand *c = cli_commands; c->name != NULL; c++)
      cli_print ("%s\n", c->name);
  else if (command->bit == CLI_PLUGINS)
    for (guint i = 0; i < qconv_registry_modules ()->len; i++)
      cli_print ("%s\n", ((const QconvModule *) qconv_registry_modules ()->pdata[i])->name);
  else if (command->bit == CLI_FAMILIES)
    print_families ();
  print_options (command != NULL ? command->bit : CLI_ANY);
}
