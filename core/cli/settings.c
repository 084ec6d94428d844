/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a command line by the table of options. main.c calls cli_settings_parse() first, then
   cli_settings_check(). */
#include <getopt.h>
#include <glib/gi18n.h>
#include <string.h>

#include "cli/options.h"
#include "cli/settings.h"
#include "cli/term.h"
#include "cli/unknown.h"

enum {
  INPUT_WORD = 256, /* code of --input, which is no option: getopt_long() would take it for --input-scale */
  LONG_BASE,        /* codes of long options begin above those of letters */
};

/* Reads "512M", "1GiB" or "65536". Returns FALSE for anything else */
static gboolean
parse_size (const char *text, guint64 *bytes)
{
  static const char units[] = "KMGT";
  gsize digits = strspn (text, "0123456789");
  g_autofree char *number = g_strndup (text, digits);
  const char *unit = text + digits;
  guint shift = 0;

  for (guint i = 0; units[i] != '\0'; i++)
    if (g_ascii_toupper (*unit) == units[i])
      shift = 10 * (i + 1);
  unit += shift > 0;
  if (*unit != '\0' && g_ascii_strcasecmp (unit, "B") != 0 && (shift == 0 || g_ascii_strcasecmp (unit, "iB") != 0))
    return FALSE;
  if (!g_ascii_string_to_unsigned (number, 10, 1, G_MAXINT64 >> shift, bytes, NULL))
    return FALSE;
  *bytes <<= shift;
  return TRUE;
}

/* Returns whether @value is "text-encoder:t5xxl" and the choice "text-encoder:NAME" exists */
static gboolean
names_choice (const char *value, const char *const *choices)
{
  const char *colon = strchr (value, ':');
  g_autofree char *choice = colon != NULL ? g_strdup_printf ("%.*s:NAME", (int) (colon - value), value) : NULL;

  return choice != NULL && colon[1] != '\0' && g_strv_contains (choices, choice);
}

static gboolean
check_choice (const CliOption *o, const char *value, const char *const *choices, GError **error)
{
  g_autofree char *label = cli_option_label (o);

  return g_strv_contains (choices, value) || names_choice (value, choices)
         || cli_fail_unknown (error, QCONV_ERROR_OPTION, g_strdup_printf (_ ("%s does not take \"%s\""), label, value),
                              value, choices);
}

static gboolean
store (CliSettings *s, const CliOption *o, const char *value, GError **error)
{
  gpointer field = G_STRUCT_MEMBER_P (s, o->offset);
  g_autofree char *label = cli_option_label (o);
  guint64 number;

  s->given |= G_GUINT64_CONSTANT (1) << (o - cli_options);
  if (o->choices != NULL && !check_choice (o, value, o->choices, error))
    return FALSE;
  switch (o->kind)
    {
    case CLI_FLAG:
      *(gboolean *) field = TRUE;
      return TRUE;
    case CLI_TEXT:
      *(const char **) field = value;
      return TRUE;
    case CLI_LIST:
      g_ptr_array_insert (*(GPtrArray **) field, (int) (*(GPtrArray **) field)->len - 1, (gpointer) value);
      return TRUE;
    case CLI_SIZE:
      return parse_size (value, field)
             || qconv_fail (error, QCONV_ERROR_OPTION, _ ("%s: \"%s\" is not a size such as 512M or 2G"), label, value);
    case CLI_COUNT:
    default:
      if (!g_ascii_string_to_unsigned (value, 10, 1, 65536, &number, NULL))
        return qconv_fail (error, QCONV_ERROR_OPTION, _ ("%s: \"%s\" is not a number from 1 to 65536"), label, value);
      *(guint *) field = (guint) number;
      return TRUE;
    }
}

static const CliOption *
option_for_code (int code)
{
  if (code >= LONG_BASE)
    return &cli_options[code - LONG_BASE];
  for (guint i = 0; i < cli_n_options (); i++)
    if (cli_options[i].letter != 0 && cli_options[i].letter == code)
      return &cli_options[i];
  return NULL;
}

static gboolean
fail_unknown_option (const char *word, int code, GError **error)
{
  const CliOption *known = code != 0 ? option_for_code (code) : NULL;
  g_autofree char *name = g_strndup (word, strcspn (word, "="));
  g_autoptr (GPtrArray) labels = g_ptr_array_new_with_free_func (g_free);

  if (known != NULL)
    {
      g_autofree char *label = cli_option_label (known);

      return qconv_fail (error, QCONV_ERROR_OPTION, _ ("%s takes no value"), label);
    }
  if (code != 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, _ ("unknown option \"-%c\""), code);
  for (guint i = 0; i < cli_n_options (); i++)
    g_ptr_array_add (labels, cli_option_label (&cli_options[i]));
  g_ptr_array_add (labels, NULL);
  return cli_fail_unknown_option (name, (const char *const *) labels->pdata, error);
}

/* Fills @rows and @letters, the two forms in which getopt_long() takes the table */
static void
describe_options (struct option *rows, GString *letters)
{
  guint n = 0;

  g_string_assign (letters, ":");
  for (guint i = 0; i < cli_n_options (); i++)
    {
      const CliOption *o = &cli_options[i];
      int argument = o->kind == CLI_FLAG ? no_argument : required_argument;

      if (o->letter != 0)
        g_string_append_printf (letters, "%c%s", o->letter, o->kind == CLI_FLAG ? "" : ":");
      if (o->name != NULL)
        rows[n++] = (struct option) { o->name, argument, NULL, LONG_BASE + (int) i };
    }
  rows[n] = (struct option) { "input", optional_argument, NULL, INPUT_WORD };
}

/* Adds @setting ("full-precision-mm=on"), the plugin's option that an option of the same name stands for. It may not be
   given twice */
static gboolean
add_short (CliSettings *s, const char *setting, GError **error)
{
  gsize n = strcspn (setting, "=");

  for (guint i = 0; s->input.plugin_options->pdata[i] != NULL; i++)
    {
      const char *other = s->input.plugin_options->pdata[i], *end = other + strcspn (other, "=");
      const char *name = end - other >= (gssize) n ? end - n : NULL;

      if (name != NULL && strncmp (name, setting, n) == 0 && (name == other || name[-1] == '.'))
        return qconv_fail (error, QCONV_ERROR_OPTION, _ ("--%.*s and -o %s set the same option; give only one of them"),
                           (int) n, setting, other);
    }
  g_ptr_array_insert (s->input.plugin_options, (int) s->input.plugin_options->len - 1, (gpointer) setting);
  return TRUE;
}

/* Checks the values of options whose choices come from plugins. Only such an option loads them */
static gboolean
check_loaded (const CliSettings *s, GError **error)
{
  for (guint i = 0; i < cli_n_options (); i++)
    {
      const CliOption *o = &cli_options[i];
      gboolean given = (s->given >> i & 1) != 0 && o->loaded != NULL && o->arg == NULL;
      g_autoptr (GPtrArray) words = given ? o->loaded () : NULL;

      if (given
          && !check_choice (o, G_STRUCT_MEMBER (const char *, s, o->offset), (const char *const *) words->pdata, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
cli_settings_parse (CliSettings *s, int argc, char **argv, GError **error)
{
  g_autofree struct option *rows = g_new0 (struct option, cli_n_options () + 2);
  g_autoptr (GString) letters = g_string_new (NULL);
  int code;

  for (guint i = 0; i < cli_n_options (); i++)
    if (cli_options[i].kind == CLI_LIST)
      {
        GPtrArray **list = G_STRUCT_MEMBER_P (s, cli_options[i].offset);

        *list = g_ptr_array_new ();
        g_ptr_array_add (*list, NULL);
      }
  describe_options (rows, letters);
  opterr = 0;
  while ((code = getopt_long (argc, argv, letters->str, rows, NULL)) != -1)
    {
      if (code == '?' || code == INPUT_WORD)
        return fail_unknown_option (argv[optind - 1], code == '?' ? optopt : 0, error);
      if (code == ':')
        {
          g_autofree char *label = cli_option_label (option_for_code (optopt));

          return qconv_fail (error, QCONV_ERROR_OPTION, _ ("%s needs a value"), label);
        }
      if (!store (s, option_for_code (code), optarg, error))
        return FALSE;
    }
  s->config_setting = s->output.config != NULL ? g_strconcat ("config=", s->output.config, NULL) : NULL;
  if ((s->output.full_precision_mm && !add_short (s, "full-precision-mm=on", error))
      || (s->config_setting != NULL && !add_short (s, s->config_setting, error)) || !check_loaded (s, error))
    return FALSE;
  s->words = (const char *const *) argv + optind;
  s->n_words = (guint) (argc - optind);
  return TRUE;
}

gboolean
cli_settings_check (const CliSettings *s, const char *name, guint command, GError **error)
{
  for (guint i = 0; i < cli_n_options (); i++)
    {
      const CliOption *o = &cli_options[i];
      g_autofree char *label = cli_option_label (o);

      if ((s->given >> i & 1) == 0)
        continue;
      if ((o->commands & command) == 0)
        return qconv_fail (error, QCONV_ERROR_OPTION, _ ("%s is not an option of \"%s\""), label, name);
    }
  return TRUE;
}

void
cli_settings_clear (CliSettings *s)
{
  g_clear_pointer (&s->config_setting, g_free);
  for (guint i = 0; i < cli_n_options (); i++)
    if (cli_options[i].kind == CLI_LIST)
      g_clear_pointer ((GPtrArray **) G_STRUCT_MEMBER_P (s, cli_options[i].offset), g_ptr_array_unref);
}
