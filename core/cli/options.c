/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of options, with their places in CliSettings. */
#include <glib/gi18n.h>

#include "cli/backends.h"
#include "cli/features.h"
#include "cli/options.h"
#include "cli/settings.h"

static const char *const progresses[] = { "auto", "bar", "plain", "json", "none", NULL };
static const char *const components[] = { "all", "diffusion", "text-encoder", "text-encoder:NAME", "vae", NULL };

#define WRITES (CLI_CONVERT | CLI_EDIT)
#define OPENS (WRITES | CLI_INSPECT | CLI_VERIFY)
#define RUNS (WRITES | CLI_VERIFY)
#define AT(field) G_STRUCT_OFFSET (CliSettings, field)

const CliOption cli_options[] = {
  { "to", 0, CLI_CONVERT, CLI_TEXT, AT (output.to), N_ ("TARGET"), NULL, FALSE,
    N_ ("target to make; 'qconv targets' lists them"), cli_target_names },
  { "from", 0, OPENS, CLI_TEXT, AT (input.from), N_ ("FORMAT"), NULL, FALSE,
    N_ ("read the input as FORMAT instead of detecting it; 'qconv formats' lists them"), cli_format_names },
  { "keep", 0, WRITES, CLI_LIST, AT (rules.keep), N_ ("REGEX"), NULL, FALSE,
    N_ ("leave layers as they are if their names match; may be repeated") },
  { "only", 0, WRITES, CLI_LIST, AT (rules.only), N_ ("REGEX"), NULL, FALSE,
    N_ ("quantize only layers whose names match; may be repeated") },
  { "layers", 0, CLI_CONVERT, CLI_LIST, AT (rules.layers), N_ ("SCHEME:REGEX"), NULL, FALSE,
    N_ ("use SCHEME for layers whose names match, for example 'fp8:_mod' or 'keep:head'; options follow the scheme: "
        "'fp8,dtype=e5m2:head'; may be repeated: the first match wins") },
  { "layer-config", 0, CLI_CONVERT, CLI_LIST, AT (rules.layer_config), N_ ("FILE"), NULL, TRUE,
    N_ ("read such rules from FILE, a JSON array of { \"match\", \"scheme\", \"options\" }; they come before "
        "--layers") },
  { "fallback", 0, CLI_CONVERT, CLI_TEXT, AT (rules.fallback), N_ ("SCHEME"), NULL, TRUE,
    N_ ("scheme for layers that the model's family keeps; 'keep' also switches off the family's own fallback") },
  { "like", 0, CLI_CONVERT, CLI_LIST, AT (rules.like), N_ ("FILE"), NULL, TRUE,
    N_ ("quantize the layers that are quantized in FILE, which holds the same model, and no others") },
  { "skip-inefficient", 0, CLI_CONVERT, CLI_FLAG, AT (rules.skip_inefficient), NULL, NULL, TRUE,
    N_ ("do not quantize layers that are too small or too narrow to gain from it") },
  { "lora", 0, CLI_CONVERT, CLI_LIST, AT (output.loras), N_ ("FILE[:STRENGTH]"), NULL, FALSE,
    N_ ("merge a LoRA into the weights before they are encoded; may be repeated") },
  { "lora-partial", 0, CLI_CONVERT, CLI_FLAG, AT (output.lora_partial), NULL, NULL, TRUE,
    N_ ("skip keys of a LoRA that belong to no layer of the model") },
  { "error-lora", 0, CLI_CONVERT, CLI_TEXT, AT (output.error_lora), N_ ("FILE[:RANK]"), NULL, TRUE,
    N_ ("also write FILE, a LoRA of rank RANK (default 32) that gives the quantized model back part of what encoding "
        "took; load it with strength 1") },
  { "family-file", 0, OPENS | CLI_FAMILIES, CLI_TEXT, AT (input.family_file), N_ ("FILE"), NULL, TRUE,
    N_ ("read a model family from FILE; it comes before the installed ones") },
  { "hp-filter", 0, CLI_CONVERT, CLI_LIST, AT (rules.hp_filter), N_ ("REGEX"), NULL, TRUE,
    N_ ("stop if a layer whose name matches is not in high precision, or would lose it") },
  { "effort", 0, CLI_CONVERT, CLI_TEXT, AT (output.effort), NULL, QCONV_EFFORT_CHOICES, FALSE,
    N_ ("round plainly (rtn), or search for better scales (default); if a LoRA will be applied when the model is "
        "loaded, use rtn or, better, merge it with --lora") },
  { "input-scale", 0, WRITES, CLI_TEXT, AT (output.input_scale), N_ ("none|VALUE|FILE"), NULL, TRUE,
    N_ ("scale of the activations to store, if the scheme has one") },
  { "full-precision-mm", 0, WRITES, CLI_FLAG, AT (output.full_precision_mm), NULL, NULL, TRUE,
    N_ ("tell the loader to decode FP8 weights before it multiplies; short for -o full-precision-mm=on") },
  { "config", 0, CLI_CONVERT, CLI_TEXT, AT (output.config), N_ ("FILE"), NULL, TRUE,
    N_ ("config.json of the model, for targets that write it into the metadata; short for -o config=FILE") },
  { NULL, 'o', OPENS, CLI_LIST, AT (input.plugin_options), N_ ("[ID.]KEY=VALUE"), NULL, FALSE,
    N_ ("set an option of a plugin; 'qconv plugins NAME' lists them; may be repeated") },
  { "set", 0, CLI_EDIT, CLI_LIST, AT (changes.set), N_ ("KEY=VALUE"), NULL, FALSE,
    N_ ("set a key in the markers of quantized layers; VALUE is JSON, or else text; may be repeated") },
  { "add", 0, CLI_EDIT, CLI_LIST, AT (changes.add), N_ ("KEY=VALUE"), NULL, FALSE,
    N_ ("like --set, but only if the marker lacks the key") },
  { "remove", 0, CLI_EDIT, CLI_LIST, AT (changes.remove), N_ ("KEY"), NULL, FALSE,
    N_ ("remove a key from the markers; may be repeated") },
  { "metadata", 0, CLI_EDIT, CLI_LIST, AT (changes.metadata), N_ ("KEY[=VALUE]"), NULL, FALSE,
    N_ ("set a key in the metadata of the file, or remove it if no value is given; may be repeated") },
  { "memory", 0, RUNS, CLI_SIZE, AT (run.memory), N_ ("SIZE"), NULL, FALSE,
    N_ ("limit of the working memory, such as 512M or 2G (binary units, default 1G)") },
  { NULL, 'j', RUNS, CLI_COUNT, AT (run.n_threads), N_ ("N"), NULL, FALSE,
    N_ ("number of threads (default: one for each processor)") },
  { "device", 0, CLI_CONVERT, CLI_TEXT, AT (run.device), N_ ("auto|cpu|ID[:N]"), NULL, TRUE,
    N_ ("device that calculates, such as cuda or cuda:1; 'qconv plugins' lists them; auto takes the first one there is "
        "(default cpu; the result is the same)"),
    cli_device_words },
  { "device-memory", 0, CLI_CONVERT, CLI_SIZE, AT (run.device_memory), N_ ("SIZE"), NULL, TRUE,
    N_ ("limit of the memory that is used on the device, such as 4G (default: all of it)") },
  { "split", 0, CLI_CONVERT, CLI_SIZE, AT (output.split), N_ ("SIZE"), NULL, TRUE,
    N_ ("write several files, each with whole layers of at most SIZE, such as 4G, and an index if such sets have one; "
        "a larger layer gets a file of its own") },
  { "force", 0, WRITES, CLI_FLAG, AT (run.force), NULL, NULL, FALSE, N_ ("overwrite an existing output") },
  { "resume", 0, CLI_CONVERT, CLI_FLAG, AT (run.resume), NULL, NULL, TRUE,
    N_ ("keep the work of a conversion that is interrupted; the same command, given again, goes on with it") },
  { "no-verify", 0, CLI_CONVERT, CLI_FLAG, AT (run.no_verify), NULL, NULL, TRUE,
    N_ ("do not compare the written file with the input") },
  { "no-checksums", 0, WRITES, CLI_FLAG, AT (run.no_checksums), NULL, NULL, TRUE,
    N_ ("do not put checksums of the tensors and of the header into the metadata") },
  { "dry-run", 0, WRITES, CLI_FLAG, AT (show.dry_run), NULL, NULL, FALSE,
    N_ ("show the plan and the exact size of the output, then stop") },
  { "template", 0, CLI_CONVERT, CLI_FLAG, AT (show.as_template), NULL, NULL, TRUE,
    N_ ("with --dry-run: print the plan as a file that you can edit and pass to --layer-config") },
  { "names", 0, CLI_CONVERT, CLI_TEXT, AT (output.names), NULL, NULL, TRUE,
    N_ ("layer names in the output: unchanged, those that a loader knows, or those of diffusers"), cli_naming_words },
  { "component", 0, CLI_CONVERT, CLI_TEXT, AT (output.component), NULL, components, TRUE,
    N_ ("write only this part of an all-in-one checkpoint (default all)") },
  { "drop", 0, CLI_CONVERT, CLI_LIST, AT (output.drop), N_ ("REGEX"), NULL, TRUE,
    N_ ("leave out tensors whose names match; may be repeated") },
  { "allow-incomplete", 0, CLI_CONVERT | CLI_VERIFY, CLI_FLAG, AT (output.allow_incomplete), NULL, NULL, TRUE,
    N_ ("convert a model, or accept it, although tensors that its loaders need are missing") },
  { "allow-nonfinite", 0, OPENS & ~CLI_EDIT, CLI_FLAG, AT (input.allow_nonfinite), NULL, NULL, TRUE,
    N_ ("accept weights and scales that are Inf or NaN (plain targets only)") },
  { "allow-unscaled", 0, OPENS, CLI_LIST, AT (input.unscaled), N_ ("REGEX"), NULL, TRUE,
    N_ ("take FP8 and integer tensors whose names match for plain numbers, although tensors beside them could scale "
        "them; may be repeated") },
  { "against", 0, CLI_VERIFY, CLI_TEXT, AT (input.against), N_ ("ORIGINAL"), NULL, FALSE,
    N_ ("also measure the error of every layer against ORIGINAL, from which the file was made") },
  { "all", 0, CLI_INSPECT, CLI_FLAG, AT (show.all), NULL, NULL, FALSE, N_ ("list every layer and tensor") },
  { "json", 0, CLI_ANY, CLI_FLAG, AT (show.json), NULL, NULL, FALSE, N_ ("print the result as JSON") },
  { "progress", 0, RUNS, CLI_TEXT, AT (show.progress), NULL, progresses, FALSE,
    N_ ("how to show progress on standard error (default auto: a bar on a terminal)") },
  { "quiet", 'q', CLI_ANY, CLI_FLAG, AT (show.quiet), NULL, NULL, FALSE, N_ ("print only errors and the result") },
  { "verbose", 'v', CLI_ANY, CLI_FLAG, AT (show.verbose), NULL, NULL, FALSE,
    N_ ("also print what is decided about every layer, and what its tensors are made of") },
  { "help", 'h', CLI_ANY, CLI_FLAG, AT (show.help), NULL, NULL, FALSE,
    N_ ("show the usual options, or those of the named command") },
  { "help-all", 0, CLI_ANY, CLI_FLAG, AT (show.help_all), NULL, NULL, FALSE,
    N_ ("show all options, those of plugins included") },
  { "version", 'V', CLI_ANY, CLI_FLAG, AT (show.version), NULL, NULL, FALSE, N_ ("show the version") },
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
