/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table of options. */
#include <glib/gi18n.h>

#include "cli/features.h"
#include "cli/options.h"
#include "cli/settings.h"

static const char *const efforts[] = { "rtn", "search", NULL };
static const char *const devices[] = { "cpu", "auto", "cuda", NULL };
static const char *const progresses[] = { "auto", "bar", "plain", "json", "none", NULL };
static const char *const components[] = { "all", "diffusion", "text-encoder", "vae", NULL };

#define WRITES (CLI_CONVERT | CLI_EDIT)
#define OPENS (WRITES | CLI_INSPECT | CLI_VERIFY)
#define RUNS (WRITES | CLI_VERIFY)
#define AT(field) G_STRUCT_OFFSET (CliSettings, field)

const CliOption cli_options[] = {
  { "to", 0, CLI_CONVERT, CLI_TEXT, AT (output.to), N_ ("TARGET"), NULL, FALSE,
    N_ ("what to make; 'qconv targets' lists them"), cli_target_names },
  { "from", 0, OPENS, CLI_TEXT, AT (input.from), N_ ("FORMAT"), NULL, FALSE,
    N_ ("take the input as this instead of guessing; 'qconv formats' lists them"), cli_format_names },
  { "keep", 0, WRITES, CLI_TEXT, AT (rules.keep), N_ ("REGEX"), NULL, FALSE,
    N_ ("leave layers alone whose names match") },
  { "only", 0, WRITES, CLI_TEXT, AT (rules.only), N_ ("REGEX"), NULL, FALSE,
    N_ ("quantize layers whose names match and no others") },
  { "layers", 0, CLI_CONVERT, CLI_LIST, AT (rules.layers), N_ ("SCHEME:REGEX"), NULL, FALSE,
    N_ ("another scheme for layers whose names match, as in 'fp8:_mod' or 'keep:head'; options follow the scheme, "
        "'fp8,dtype=e5m2:head'; may be repeated, the first that matches wins") },
  { "layer-config", 0, CLI_CONVERT, CLI_TEXT, AT (rules.layer_config), N_ ("FILE"), NULL, TRUE,
    N_ ("such rules as a JSON array of { \"match\", \"scheme\", \"options\" }; they come before --layers") },
  { "fallback", 0, CLI_CONVERT, CLI_TEXT, AT (rules.fallback), N_ ("SCHEME"), NULL, TRUE,
    N_ ("scheme of layers that the model's family would keep; 'keep': none, even where the family has one") },
  { "like", 0, CLI_CONVERT, CLI_TEXT, AT (rules.like), N_ ("FILE"), NULL, TRUE,
    N_ ("quantize what is quantized in this file of the same model, and leave what it leaves") },
  { "skip-inefficient", 0, CLI_CONVERT, CLI_FLAG, AT (rules.skip_inefficient), NULL, NULL, TRUE,
    N_ ("leave layers alone that are too small or too lopsided to gain") },
  { "lora", 0, CLI_CONVERT, CLI_LIST, AT (output.loras), N_ ("FILE[:STRENGTH]"), NULL, FALSE,
    N_ ("merge a LoRA into the weights before they are encoded; may be repeated") },
  { "lora-partial", 0, CLI_CONVERT, CLI_FLAG, AT (output.lora_partial), NULL, NULL, TRUE,
    N_ ("leave out keys of a LoRA that belong to no layer of the model") },
  { "family-file", 0, OPENS | CLI_FAMILIES, CLI_TEXT, AT (input.family_file), N_ ("FILE"), NULL, TRUE,
    N_ ("a description of a model family that comes before the installed ones") },
  { "hp-filter", 0, CLI_CONVERT, CLI_TEXT, AT (rules.hp_filter), N_ ("REGEX"), NULL, TRUE,
    N_ ("stop unless layers whose names match are, and stay, in high precision") },
  { "effort", 0, CLI_CONVERT, CLI_TEXT, AT (output.effort), NULL, efforts, FALSE,
    N_ ("plain rounding, or search for better scales (default); for weights on which a LoRA is applied at load time "
        "use rtn or, better, bake the LoRA in before converting") },
  { "input-scale", 0, WRITES, CLI_TEXT, AT (output.input_scale), N_ ("none|VALUE|FILE"), NULL, TRUE,
    N_ ("scale of the activations to store, for schemes that have one") },
  { "full-precision-mm", 0, WRITES, CLI_FLAG, AT (output.full_precision_mm), NULL, NULL, TRUE,
    N_ ("the loader is to decode FP8 weights before multiplying: short for -o full-precision-mm=on") },
  { NULL, 'o', OPENS, CLI_LIST, AT (input.plugin_options), N_ ("[ID.]KEY=VALUE"), NULL, FALSE,
    N_ ("set an option of a plugin, which 'qconv plugins NAME' lists; may be repeated") },
  { "set", 0, CLI_EDIT, CLI_LIST, AT (changes.set), N_ ("KEY=VALUE"), NULL, FALSE,
    N_ ("put a key into the markers of quantized layers; VALUE is JSON or, failing that, text; may be repeated") },
  { "add", 0, CLI_EDIT, CLI_LIST, AT (changes.add), N_ ("KEY=VALUE"), NULL, FALSE,
    N_ ("the same where the key is not there yet") },
  { "remove", 0, CLI_EDIT, CLI_LIST, AT (changes.remove), N_ ("KEY"), NULL, FALSE,
    N_ ("take a key out of the markers; may be repeated") },
  { "metadata", 0, CLI_EDIT, CLI_LIST, AT (changes.metadata), N_ ("KEY[=VALUE]"), NULL, FALSE,
    N_ ("set a text in the metadata of the file, or without a value remove it; may be repeated") },
  { "memory", 0, RUNS, CLI_SIZE, AT (run.memory), N_ ("SIZE"), NULL, FALSE,
    N_ ("working memory, as in 512M or 2G (binary units, default 1G)") },
  { NULL, 'j', RUNS, CLI_COUNT, AT (run.n_threads), N_ ("N"), NULL, FALSE,
    N_ ("number of threads (default: one for each processor)") },
  { "device", 0, CLI_CONVERT, CLI_TEXT, AT (run.device), NULL, devices, TRUE, N_ ("where to calculate") },
  { "force", 0, WRITES, CLI_FLAG, AT (run.force), NULL, NULL, FALSE, N_ ("overwrite an existing output") },
  { "no-verify", 0, CLI_CONVERT, CLI_FLAG, AT (run.no_verify), NULL, NULL, TRUE,
    N_ ("do not compare what was written with the input") },
  { "dry-run", 0, WRITES, CLI_FLAG, AT (show.dry_run), NULL, NULL, FALSE,
    N_ ("show what would be done and the exact size of the output, and stop") },
  { "template", 0, CLI_CONVERT, CLI_FLAG, AT (show.as_template), NULL, NULL, TRUE,
    N_ ("with --dry-run: print the plan as a file for --layer-config, to edit") },
  { "names", 0, CLI_CONVERT, CLI_TEXT, AT (output.names), NULL, NULL, TRUE, N_ ("spelling of the layers' names"),
    cli_naming_words },
  { "component", 0, CLI_CONVERT, CLI_TEXT, AT (output.component), NULL, components, TRUE,
    N_ ("part of an all-in-one checkpoint to write") },
  { "drop", 0, CLI_CONVERT, CLI_LIST, AT (output.drop), N_ ("REGEX"), NULL, TRUE,
    N_ ("leave out tensors whose names match; may be repeated") },
  { "allow-nonfinite", 0, OPENS & ~CLI_EDIT, CLI_FLAG, AT (input.allow_nonfinite), NULL, NULL, TRUE,
    N_ ("accept weights or scales that are infinite or no numbers (plain targets only)") },
  { "against", 0, CLI_VERIFY, CLI_TEXT, AT (input.against), N_ ("ORIGINAL"), NULL, FALSE,
    N_ ("the model it was made from: also measure the error of every layer") },
  { "all", 0, CLI_INSPECT, CLI_FLAG, AT (show.all), NULL, NULL, FALSE, N_ ("list every layer and tensor") },
  { "json", 0, CLI_ANY, CLI_FLAG, AT (show.json), NULL, NULL, FALSE, N_ ("print the result as JSON") },
  { "progress", 0, RUNS, CLI_TEXT, AT (show.progress), NULL, progresses, FALSE,
    N_ ("how to show progress on standard error (default auto: a bar on a terminal)") },
  { "verbose", 'v', CLI_ANY, CLI_FLAG, AT (show.verbose), NULL, NULL, FALSE, N_ ("say more") },
  { "help", 'h', CLI_ANY, CLI_FLAG, AT (show.help), NULL, NULL, FALSE,
    N_ ("show the usual options, of a command if named") },
  { "help-all", 0, CLI_ANY, CLI_FLAG, AT (show.help_all), NULL, NULL, FALSE,
    N_ ("show all options, those of plugins included") },
  { "version", 0, CLI_ANY, CLI_FLAG, AT (show.version), NULL, NULL, FALSE, N_ ("show the version") },
  { .name = NULL },
};
G_STATIC_ASSERT (G_N_ELEMENTS (cli_options) - 1 <= 64); /* CliSettings.given */

guint
cli_n_options (void)
{
  return G_N_ELEMENTS (cli_options) - 1;
}

char *
cli_option_label (const CliOption *o)
{
  return o->name != NULL ? g_strconcat ("--", o->name, NULL) : g_strdup_printf ("-%c", o->letter);
}
