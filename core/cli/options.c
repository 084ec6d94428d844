/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"

#include <getopt.h>
#include <string.h>

static const char *const efforts[] = { "rtn", "search", NULL };
static const char *const devices[] = { "cpu", "auto", "cuda", NULL };
static const char *const progresses[] = { "auto", "bar", "plain", "json", "none", NULL };
static const char *const spellings[] = { "keep", "comfy", "diffusers", NULL };
static const char *const components[] = { "all", "diffusion", "text-encoder", "vae", NULL };

#define WRITES (CLI_CONVERT | CLI_EDIT)
#define OPENS (WRITES | CLI_INSPECT | CLI_VERIFY)
#define RUNS (WRITES | CLI_VERIFY)
#define AT(field) G_STRUCT_OFFSET (CliSettings, field)

const CliOption cli_options[] = {
  { "to", 0, CLI_CONVERT, CLI_TEXT, AT (to), N_ ("TARGET"), NULL, FALSE,
    N_ ("what to make; 'qconv targets' lists them") },
  { "from", 0, OPENS, CLI_TEXT, AT (from), N_ ("FORMAT"), NULL, FALSE,
    N_ ("take the input as this instead of guessing; 'qconv formats' lists them") },
  { "keep", 0, WRITES, CLI_TEXT, AT (keep), N_ ("REGEX"), NULL, FALSE, N_ ("leave layers alone whose names match") },
  { "only", 0, WRITES, CLI_TEXT, AT (only), N_ ("REGEX"), NULL, FALSE,
    N_ ("quantize layers whose names match and no others") },
  { "layers", 0, CLI_CONVERT, CLI_LIST, AT (layers), N_ ("SCHEME:REGEX"), NULL, FALSE,
    N_ ("another scheme for layers whose names match, as in 'fp8:_mod' or 'keep:head'; options follow the scheme, "
        "'fp8,dtype=e5m2:head'; may be repeated, the first that matches wins") },
  { "layer-config", 0, CLI_CONVERT, CLI_TEXT, AT (layer_config), N_ ("FILE"), NULL, TRUE,
    N_ ("such rules as a JSON array of { \"match\", \"scheme\", \"options\" }; they come before --layers") },
  { "fallback", 0, CLI_CONVERT, CLI_TEXT, AT (fallback), N_ ("SCHEME"), NULL, TRUE,
    N_ ("scheme of layers that the model's family would keep; 'keep': none, even where the family has one") },
  { "like", 0, CLI_CONVERT, CLI_TEXT, AT (like), N_ ("FILE"), NULL, TRUE,
    N_ ("quantize what is quantized in this file of the same model, and leave what it leaves") },
  { "skip-inefficient", 0, CLI_CONVERT, CLI_FLAG, AT (skip_inefficient), NULL, NULL, TRUE,
    N_ ("leave layers alone that are too small or too lopsided to gain") },
  { "lora", 0, CLI_CONVERT, CLI_LIST, AT (loras), N_ ("FILE[:STRENGTH]"), NULL, FALSE,
    N_ ("merge a LoRA into the weights before they are encoded; may be repeated") },
  { "lora-partial", 0, CLI_CONVERT, CLI_FLAG, AT (lora_partial), NULL, NULL, TRUE,
    N_ ("leave out keys of a LoRA that belong to no layer of the model") },
  { "family-file", 0, OPENS | CLI_FAMILIES, CLI_TEXT, AT (family_file), N_ ("FILE"), NULL, TRUE,
    N_ ("a description of a model family that comes before the installed ones") },
  { "hp-filter", 0, CLI_CONVERT, CLI_TEXT, AT (hp_filter), N_ ("REGEX"), NULL, TRUE,
    N_ ("stop unless layers whose names match are, and stay, in high precision") },
  { "effort", 0, CLI_CONVERT, CLI_TEXT, AT (effort), NULL, efforts, FALSE,
    N_ ("plain rounding, or search for better scales (default); for weights on which a LoRA is applied at load time "
        "use rtn or, better, bake the LoRA in before converting") },
  { "input-scale", 0, WRITES, CLI_TEXT, AT (input_scale), N_ ("none|VALUE|FILE"), NULL, TRUE,
    N_ ("scale of the activations to store, for schemes that have one") },
  { "full-precision-mm", 0, WRITES, CLI_FLAG, AT (full_precision_mm), NULL, NULL, TRUE,
    N_ ("the loader is to decode FP8 weights before multiplying: short for -o full-precision-mm=on") },
  { NULL, 'o', OPENS, CLI_LIST, AT (settings), N_ ("[ID.]KEY=VALUE"), NULL, FALSE,
    N_ ("set an option of a plugin, which 'qconv plugins NAME' lists; may be repeated") },
  { "set", 0, CLI_EDIT, CLI_LIST, AT (set), N_ ("KEY=VALUE"), NULL, FALSE,
    N_ ("put a key into the markers of quantized layers; VALUE is JSON or, failing that, text; may be repeated") },
  { "add", 0, CLI_EDIT, CLI_LIST, AT (add), N_ ("KEY=VALUE"), NULL, FALSE,
    N_ ("the same where the key is not there yet") },
  { "remove", 0, CLI_EDIT, CLI_LIST, AT (remove), N_ ("KEY"), NULL, FALSE,
    N_ ("take a key out of the markers; may be repeated") },
  { "metadata", 0, CLI_EDIT, CLI_LIST, AT (metadata), N_ ("KEY[=VALUE]"), NULL, FALSE,
    N_ ("set a text in the metadata of the file, or without a value remove it; may be repeated") },
  { "memory", 0, RUNS, CLI_SIZE, AT (memory), N_ ("SIZE"), NULL, FALSE,
    N_ ("working memory, as in 512M or 2G (binary units, default 1G)") },
  { NULL, 'j', RUNS, CLI_COUNT, AT (n_threads), N_ ("N"), NULL, FALSE,
    N_ ("number of threads (default: one for each processor)") },
  { "device", 0, CLI_CONVERT, CLI_TEXT, AT (device), NULL, devices, TRUE, N_ ("where to calculate") },
  { "force", 0, WRITES, CLI_FLAG, AT (force), NULL, NULL, FALSE, N_ ("overwrite an existing output") },
  { "no-verify", 0, CLI_CONVERT, CLI_FLAG, AT (no_verify), NULL, NULL, TRUE,
    N_ ("do not compare what was written with the input") },
  { "dry-run", 0, WRITES, CLI_FLAG, AT (dry_run), NULL, NULL, FALSE,
    N_ ("show what would be done and the exact size of the output, and stop") },
  { "template", 0, CLI_CONVERT, CLI_FLAG, AT (as_template), NULL, NULL, TRUE,
    N_ ("with --dry-run: print the plan as a file for --layer-config, to edit") },
  { "names", 0, CLI_CONVERT, CLI_TEXT, AT (names), NULL, spellings, TRUE, N_ ("spelling of the layers' names") },
  { "component", 0, CLI_CONVERT, CLI_TEXT, AT (component), NULL, components, TRUE,
    N_ ("part of an all-in-one checkpoint to write") },
  { "drop", 0, CLI_CONVERT, CLI_LIST, AT (drop), N_ ("REGEX"), NULL, TRUE,
    N_ ("leave out tensors whose names match; may be repeated") },
  { "allow-nonfinite", 0, OPENS & ~CLI_EDIT, CLI_FLAG, AT (allow_nonfinite), NULL, NULL, TRUE,
    N_ ("accept weights or scales that are infinite or no numbers (plain targets only)") },
  { "against", 0, CLI_VERIFY, CLI_TEXT, AT (against), N_ ("ORIGINAL"), NULL, FALSE,
    N_ ("the model it was made from: also measure the error of every layer") },
  { "all", 0, CLI_INSPECT, CLI_FLAG, AT (all), NULL, NULL, FALSE, N_ ("list every layer and tensor") },
  { "json", 0, CLI_ANY, CLI_FLAG, AT (json), NULL, NULL, FALSE, N_ ("print the result as JSON") },
  { "progress", 0, RUNS, CLI_TEXT, AT (progress), NULL, progresses, FALSE,
    N_ ("how to show progress on standard error (default auto: a bar on a terminal)") },
  { "verbose", 'v', CLI_ANY, CLI_FLAG, AT (verbose), NULL, NULL, FALSE, N_ ("say more") },
  { "help", 'h', CLI_ANY, CLI_FLAG, AT (help), NULL, NULL, FALSE,
    N_ ("show the usual options, of a command if named") },
  { "help-all", 0, CLI_ANY, CLI_FLAG, AT (help_all), NULL, NULL, FALSE,
    N_ ("show all options, those of plugins included") },
  { "version", 0, CLI_ANY, CLI_FLAG, AT (version), NULL, NULL, FALSE, N_ ("show the version") },
  { .name = NULL },
};

#define N_OPTIONS (G_N_ELEMENTS (cli_options) - 1)
#define LONG_BASE 256              /* getopt's values of long options begin behind all letters */
G_STATIC_ASSERT (N_OPTIONS <= 64); /* CliSettings.given */

char *
cli_option_label (const CliOption *o)
{
  return o->name != NULL ? g_strconcat ("--", o->name, NULL) : g_strdup_printf ("-%c", o->letter);
}

/* "512M", "1GiB", "65536" */
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

static gboolean
store (CliSettings *s, const CliOption *o, const char *value, GError **error)
{
  gpointer field = G_STRUCT_MEMBER_P (s, o->offset);
  g_autofree char *label = cli_option_label (o);
  guint64 number;

  s->given |= G_GUINT64_CONSTANT (1) << (o - cli_options);
  if (o->choices != NULL && !g_strv_contains (o->choices, value))
    return cli_fail_unknown (error, QCONV_ERROR_OPTION, g_strdup_printf (_ ("%s does not take \"%s\""), label, value),
                             value, o->choices);
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
  for (guint i = 0; i < N_OPTIONS; i++)
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
  for (guint i = 0; i < N_OPTIONS; i++)
    g_ptr_array_add (labels, cli_option_label (&cli_options[i]));
  g_ptr_array_add (labels, NULL);
  return cli_fail_unknown (error, QCONV_ERROR_OPTION, g_strdup_printf (_ ("unknown option \"%s\""), name), name,
                           (const char *const *) labels->pdata);
}

/* The same table in the words of getopt_long() */
static void
describe_options (struct option *rows, GString *letters)
{
  guint n = 0;

  g_string_assign (letters, ":");
  for (guint i = 0; i < N_OPTIONS; i++)
    {
      const CliOption *o = &cli_options[i];
      int argument = o->kind == CLI_FLAG ? no_argument : required_argument;

      if (o->letter != 0)
        g_string_append_printf (letters, "%c%s", o->letter, o->kind == CLI_FLAG ? "" : ":");
      if (o->name != NULL)
        rows[n++] = (struct option) { o->name, argument, NULL, LONG_BASE + (int) i };
    }
}

/* --full-precision-mm is short for a plugin's option, which may not be given as well */
static gboolean
add_full_precision (CliSettings *s, GError **error)
{
  static const char option[] = "full-precision-mm";

  for (guint i = 0; s->settings->pdata[i] != NULL; i++)
    {
      const char *setting = s->settings->pdata[i], *name = strstr (setting, option);

      if (name != NULL && strchr ("=", name[strlen (option)]) != NULL && (name == setting || name[-1] == '.'))
        return qconv_fail (error, QCONV_ERROR_OPTION, _ ("--full-precision-mm and -o %s are the same option twice"),
                           setting);
    }
  g_ptr_array_insert (s->settings, (int) s->settings->len - 1, (gpointer) "full-precision-mm=on");
  return TRUE;
}

gboolean
cli_settings_parse (CliSettings *s, int argc, char **argv, GError **error)
{
  struct option rows[N_OPTIONS + 1] = { { .name = NULL } };
  g_autoptr (GString) letters = g_string_new (NULL);
  int code;

  for (guint i = 0; i < N_OPTIONS; i++)
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
      if (code == '?')
        return fail_unknown_option (argv[optind - 1], optopt, error);
      if (code == ':')
        {
          g_autofree char *label = cli_option_label (option_for_code (optopt));

          return qconv_fail (error, QCONV_ERROR_OPTION, _ ("%s needs a value"), label);
        }
      if (!store (s, option_for_code (code), optarg, error))
        return FALSE;
    }
  if (s->full_precision_mm && !add_full_precision (s, error))
    return FALSE;
  s->words = (const char *const *) argv + optind;
  s->n_words = (guint) (argc - optind);
  return TRUE;
}

gboolean
cli_settings_check (const CliSettings *s, const char *name, guint command, GError **error)
{
  for (guint i = 0; i < N_OPTIONS; i++)
    if ((s->given >> i & 1) != 0 && (cli_options[i].commands & command) == 0)
      {
        g_autofree char *label = cli_option_label (&cli_options[i]);

        return qconv_fail (error, QCONV_ERROR_OPTION, _ ("%s has no meaning for \"%s\""), label, name);
      }
  return TRUE;
}

void
cli_settings_clear (CliSettings *s)
{
  for (guint i = 0; i < N_OPTIONS; i++)
    if (cli_options[i].kind == CLI_LIST)
      g_clear_pointer ((GPtrArray **) G_STRUCT_MEMBER_P (s, cli_options[i].offset), g_ptr_array_unref);
}
