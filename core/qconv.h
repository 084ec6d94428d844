/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libqconv for programs: open a model, plan a conversion, run it, check a file. The qconv program includes nothing else
   of core. Nothing here prints.

   Growth: a program sets every struct that it fills to zero first, as "= { 0 }" and named members do. New members of
   these structs, and of structs that lie in a GArray, come out of reserved[]; zero means that nothing changes. Structs
   that core allocates and hands out by pointer grow at their end, so a program must neither allocate nor copy them.

   Soname: N of libqconv.so.N, which is soversion in meson.build. N rises in a release that removes a symbol, changes
   its arguments or meaning, or changes an offset, a size or a number that programs were compiled with. Additions leave
   it as it is. While the version is 0.x, N stays 0 and the notes of a release say what it breaks. Modules link the
   library, so QCONV_PLUGIN_ABI rises with N; N does not rise with it. tests/abi keeps the lists.

   Threads: functions about plugins and families may be called from any thread. A model, and the plans made of it, must
   be used by one thread at a time; different models may be used at the same time. qconv_plan_run() and
   qconv_model_verify() start threads of their own and call QconvProgressFunc from any of them, one at a time; a
   GCancellable may be cancelled from any thread. */
#pragma once
#include "qconv-registry.h"
G_BEGIN_DECLS

/* Returns: (transfer none): "0.1.0" */
QCONV_API const char *qconv_version (void);
/* Returns the exit status of a program that ends with @error: 1 failed, 2 usage, 3 bad input, 4 check failed, 130
   interrupted */
QCONV_API int qconv_error_exit_status (const GError *error);
/* Returns: (transfer none): the member of @names (NULL-terminated) that is nearest to @word; NULL if none is near */
QCONV_API const char *qconv_nearest (const char *word, const char *const *names);
/* Returns: (transfer full): the first @most characters of @text, with "…" behind them if there are more */
QCONV_API char *qconv_text_start (const char *text, guint most);
/* Returns: (transfer full): the file name @name without its number in a set of shards: "m-of-00005.gguf" for
   "m-00002-of-00005.gguf" */
QCONV_API char *qconv_name_of_set (const char *name);
/* Returns: (transfer none): the level of the CPU kernels in use, such as "avx512" */
QCONV_API const char *qconv_cpu_level (void);

/* Turns guard zones around every buffer that hooks get @on or off. The bytes of a buffer are @fill before a hook writes
   them, so that runs with different @fill show bytes that it leaves unset. A hook that writes beyond a buffer fails
   with QCONV_ERROR_BUG. Builds with assertions (without NDEBUG) begin with @on; the environment
   variable QCONV_GUARD, 1 or 0, decides for one run of any program. No plan may exist meanwhile. */
QCONV_API void qconv_guard_buffers (gboolean on, guint8 fill);

/* ---- Families: what family files know about models ---- */

/**
 * QconvVariantInfo: one published size or kind of a family.
 * @n_tensors, @n_params: of a complete model; 0: not known
 * @detect_as: (nullable): the variant that its files are recognised as, because their weights look alike
 */
typedef struct {
  char *name, *detect_as;
  char **aliases;
  guint64 n_tensors, n_params;
} QconvVariantInfo;

/**
 * QconvFamilyRule: the scheme of layers for which the user gave no rule.
 * @scheme: (nullable): NULL: they stay as they are
 * @pattern: (nullable): GRegex, searched in layer names of the original naming
 * @blocks: (nullable): instead of @pattern: the start of the names of blocks; the rule is for the first @first and the
 *   last @last blocks
 * @classes: the purposes of these layers: "io" "cond" "final" "mod" …
 * @peers: other converters that keep some of them in high precision
 */
typedef struct {
  char *scheme, *pattern, *blocks;
  guint first, last;
  char **classes, **peers;
} QconvFamilyRule;

/* @schemes: the schemes that use the preset; @rules: (element-type QconvFamilyRule): the first that matches a layer
   counts. A layer that no rule matches takes the scheme */
typedef struct {
  char **schemes;
  GPtrArray *rules;
} QconvPresetInfo;

/**
 * QconvFamilyInfo: one family of models.
 * @kind: "diffusion" "text_encoder" "llm"
 * @reads: namings that are recognised; @writes: namings to which and from which "original" names can be changed
 * @variants: (element-type QconvVariantInfo)
 * @presets: (nullable) (element-type QconvPresetInfo)
 * @probed: tensors that are never packed, because loaders tell models apart by their stored shape
 */
typedef struct {
  char *id, *title, *kind, *path;
  char **reads, **writes, **probed;
  GPtrArray *variants, *presets;
} QconvFamilyInfo;
/* Describes all families, or the family @id (nullable) with its presets. @family_file: (nullable): as in
   QconvOpenOptions.
   Returns: (transfer full) (element-type QconvFamilyInfo): sorted by id; empty if no family is called @id */
QCONV_API GPtrArray *qconv_families_describe (const char *family_file, const char *id, GError **error);

/* ---- Model: an opened input ---- */

typedef void (*QconvWarnFunc) (const char *message, gpointer user_data);

/**
 * QconvOpenOptions: zero is the default.
 * @from: (nullable): id of the reader or container that must take the file
 * @options: (nullable): NULL-terminated "[ID.]key=value"; those that no container or reader knows are left for the plan
 * @family_file: (nullable): a family file that comes before the installed ones
 * @allow_nonfinite: readers may claim scales that are not finite
 * @for_verify: layers that a reader cannot claim become problems of qconv_model_verify() instead of an error
 * @warn: (nullable): is called with each warning, one line without newline
 * @plain: (nullable): NULL-terminated GRegex: tensors with such names hold plain numbers, although tensors beside them
 *   could scale them
 */
typedef struct {
  const char *from;
  const char *const *options;
  const char *family_file;
  gboolean allow_nonfinite, for_verify;
  QconvWarnFunc warn;
  gpointer warn_data;
  const char *const *plain;
  gconstpointer reserved[7];
} QconvOpenOptions;

typedef struct _QconvModel QconvModel;
/* Opens a model. @path: a file, an index.json, a folder of shards, or a part of a split set; @options: (nullable).
   Returns: (transfer full) */
QCONV_API QconvModel *qconv_model_open (const char *path, const QconvOpenOptions *options, GError **error);
QCONV_API void qconv_model_free (QconvModel *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvModel, qconv_model_free)
/* Returns: (transfer none): the tensors and metadata of the file */
QCONV_API const QconvDirectory *qconv_model_directory (const QconvModel *m);
/* Returns: (transfer none): the id of the reader that claimed most layers, else of the container, such as "comfy" */
QCONV_API const char *qconv_model_format (const QconvModel *m);
/* Returns: (transfer none): the family or variant as family files call it; NULL if it is unknown */
QCONV_API const char *qconv_model_family (const QconvModel *m);
QCONV_API const char *qconv_model_variant (const QconvModel *m);

/* One weight as `inspect` lists it. @dtype: of the weight before it was quantized; @bytes: of the stored weight and its
   scales; @markers: (nullable) (element-type utf8 utf8): what the file says of its quantization: key -> JSON */
typedef struct {
  const char *name, *scheme, *dtype;
  QconvShape shape;
  guint64 bytes;
  GHashTable *markers;
  gconstpointer reserved[3];
} QconvWeightInfo;
/* Returns: (transfer full) (element-type QconvWeightInfo): strings and tables belong to @m */
QCONV_API GArray *qconv_model_weights (const QconvModel *m);

/* ---- Plan ---- */

/* Makes a NULL-terminated list of texts for a member of the structs below. It lives as long as the block around it */
#define QCONV_LIST(...) ((const char *const[]) { __VA_ARGS__, NULL })

/**
 * QconvHintChange: one change of the markers of quantized layers.
 * @value: (nullable): JSON, as the marker spells it; NULL: the key is removed
 * @if_absent: a value that exists stays
 * @or_text: a @value that is not JSON becomes a JSON string
 */
typedef struct {
  const char *key, *value;
  gboolean if_absent, or_text;
  gconstpointer reserved[2];
} QconvHintChange;

/**
 * QconvRuleOptions: the rules that give layers their schemes. Lists are NULL-terminated, and may be empty or NULL;
 * QCONV_LIST() makes one.
 * @keep, @only: (nullable): GRegex, searched in layer names: one that matches is enough
 * @hp_filter: (nullable): GRegex: layers with such names must be floats of 16 bits or more, and stay so
 * @layers: (nullable): "SCHEME[,key=value…]:REGEX" or "keep:REGEX": the first that matches wins
 * @layer_config: (nullable): files of such rules, which come before @layers
 * @fallback: (nullable): scheme of layers that the model's family keeps; "keep": they stay plain, even if the family
 *   has a scheme for them
 * @like: (nullable): files of the same model: layers that one of them quantizes become quantized, all others stay
 * @skip_inefficient: leave layers alone that are too small or too lopsided to gain
 * @plain: (nullable): names of layers in the output that stay plain whatever the other rules say, because an earlier
 *   run found that they lose too much
 */
typedef struct {
  const char *const *keep, *const *only, *const *hp_filter;
  const char *const *layers;
  const char *const *layer_config;
  const char *fallback;
  const char *const *like;
  gboolean skip_inefficient;
  const char *const *plain;
  gconstpointer reserved[7];
} QconvRuleOptions;

/**
 * QconvNameOptions: the tensors that are written, and their names.
 * @naming: (nullable): of the layers in the output, as family files call it ("original", "diffusers"); "keep": the
 *   naming of the input; NULL: the first naming that the target's writer knows
 * @component: (nullable): the model of an all-in-one checkpoint to write: "diffusion", "text-encoder", "vae"; NULL or
 *   "all": all of them
 * @drop: (nullable): NULL-terminated GRegex: tensors with such names are left out
 * @allow_incomplete: go on although tensors that the loader needs are missing
 */
typedef struct {
  const char *naming, *component;
  const char *const *drop;
  gboolean allow_incomplete;
  gconstpointer reserved[3];
} QconvNameOptions;

/**
 * QconvLoraOptions: the LoRA files that are merged into the weights, and the one that is written.
 * @files: (nullable): NULL-terminated "FILE[:STRENGTH]", merged in this order; FILE may be a folder
 * @partial: leave out keys that belong to no layer or do not fit it
 * @error: (nullable): "FILE[:RANK]": this file gets the best approximation of rank RANK (1 to 1024, default 32) of what
 *   encoding takes from every layer, as a LoRA of strength 1
 */
typedef struct {
  const char *const *files;
  gboolean partial;
  const char *error;
  gconstpointer reserved[3];
} QconvLoraOptions;

/**
 * QconvEditOptions: the changes that an edit makes.
 * @hints: (nullable): @n_hints changes of markers
 * @metadata: (nullable): NULL-terminated "KEY=VALUE"; "KEY" alone removes it
 * @known_only: refuse new keys that no program is known to read
 */
typedef struct {
  const QconvHintChange *hints;
  guint n_hints;
  const char *const *metadata;
  gboolean known_only;
  gconstpointer reserved[3];
} QconvEditOptions;

/**
 * QconvRunOptions: the resources of a run and its checks.
 * @memory: bytes of working memory; 0: 1 GiB
 * @n_threads: 0: one for each processor
 * @force: an existing output may be replaced
 * @no_verify: do not read the written file again and compare it with the source
 * @allow_nonfinite: plain targets may get Inf and NaN
 * @no_checksums: the metadata get no checksums of the tensors
 * @resume: a run that fails or is cancelled leaves its temporary file, and the next run of the same plan goes on with
 *   it; see qconv_plan_run()
 * @split: files of at most so many bytes of tensors each, but whole layers; 0: one file
 * @device: (nullable): "cpu", "auto", or a backend and the number of its device, "ID" or "ID:N"; NULL: "cpu". The bytes
 *   of the output do not depend on it. One that is not there is QCONV_ERROR_DEVICE, but "auto" only warns
 * @device_memory: bytes that may be held on the device; 0: as many as it has
 */
typedef struct {
  guint64 memory;
  guint n_threads;
  gboolean force, no_verify, allow_nonfinite, no_checksums, resume;
  guint64 split;
  const char *device;
  guint64 device_memory;
  gconstpointer reserved[4];
} QconvRunOptions;

/**
 * QconvJob: one conversion or edit of a model. Zero is the default; all pointers must stay valid until qconv_plan_new()
 * returns.
 * @target: (nullable): "nvfp4-comfy"; NULL: an edit: format and numbers stay as they are, @edit and @input_scale change
 *   the markers of the layers that @rules.only and @rules.keep leave
 * @output: (nullable): path; NULL: the derived name, for an edit the file itself; a folder: the derived name in it
 * @options: (nullable): NULL-terminated "[ID.]key=value", or "[ID.]key" for switches
 * @effort: (nullable): "rtn" or "search"
 * @input_scale: (nullable): "none", which drops those of the source; a number, for layers without one; or a file
 * @warn: (nullable): is called with each warning, one line without newline
 */
typedef struct {
  const char *target, *output;
  const char *const *options;
  const char *effort, *input_scale;
  QconvRuleOptions rules;
  QconvNameOptions names;
  QconvLoraOptions lora;
  QconvEditOptions edit;
  QconvRunOptions run;
  QconvWarnFunc warn;
  gpointer warn_data;
  gconstpointer reserved[8];
} QconvJob;

typedef struct _QconvPlan QconvPlan;
/* Plans all that can be known before a weight is read. @model must outlive the plan. Returns: (transfer full) */
QCONV_API QconvPlan *qconv_plan_new (QconvModel *model, const QconvJob *job, GError **error);
QCONV_API void qconv_plan_free (QconvPlan *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvPlan, qconv_plan_free)
QCONV_API const char *qconv_plan_output (const QconvPlan *p);   /* (transfer none) path of the first file */
QCONV_API const char *qconv_plan_target (const QconvPlan *p);   /* (transfer none) name */
QCONV_API guint64 qconv_plan_output_bytes (const QconvPlan *p); /* of all files, exactly */
QCONV_API guint64 qconv_plan_peak_memory (const QconvPlan *p);  /* bytes of working memory, the check included */

/**
 * QconvOutputFile: one file that a plan writes; there are several if QconvRunOptions.split or the writer asks for them.
 * @bytes: of the whole file, exactly
 */
typedef struct {
  const char *path;
  guint64 bytes;
  gconstpointer reserved[2];
} QconvOutputFile;
/* Returns: (transfer full) (element-type QconvOutputFile): at least one; the first is the one to open. The paths belong
   to @p */
QCONV_API GArray *qconv_plan_outputs (const QconvPlan *p);

/**
 * QconvErrorLora: the file that QconvLoraOptions.error asks for.
 * @rank: of its layers, less in layers with fewer rows or columns
 * @n_layers: the layers that it has
 * @bytes: of the whole file, exactly
 */
typedef struct {
  const char *path;
  guint rank, n_layers;
  guint64 bytes;
  gconstpointer reserved[2];
} QconvErrorLora;
/* Describes the error LoRA that @p writes. Returns FALSE if @p writes none. The path belongs to @p */
QCONV_API gboolean qconv_plan_error_lora (const QconvPlan *p, QconvErrorLora *lora);

/**
 * QconvPlannedInfo: one weight of the plan.
 * @rule: the rule that decided: "target" "keep" "only" "source" "probed" "size" "shape" "family" "fallback" "layers"
 *   "config:N" "like"
 * @how: "encode" "move" "adopt" "copy" "cast" "decode"
 * @short_name: @name without the prefix of the model; rules match it
 * @options: (nullable): "key=value,…" of its scheme, that a rule gave to this layer
 * @packable: the target's scheme can hold it
 * @bytes: of the weight and its scales in the output; @input_bytes: of what it is made from
 */
typedef struct {
  const char *name, *scheme, *rule, *how, *short_name, *options;
  gboolean packable;
  QconvShape shape;
  guint64 bytes, input_bytes;
  gconstpointer reserved[3];
} QconvPlannedInfo;
/* Returns: (transfer full) (element-type QconvPlannedInfo): strings belong to @p */
QCONV_API GArray *qconv_plan_weights (const QconvPlan *p);

/* Returns: (transfer full) (element-type utf8): what happens to every layer, one line each: its scheme, the rule that
   decided, and the layers that it is made of if their names differ; then the layers of the model that are left out */
QCONV_API GPtrArray *qconv_plan_decisions (const QconvPlan *p);

/* Returns: (transfer none) (nullable) (element-type utf8): what an edit changes, one line each, about
   keys of markers, input scales, metadata and tensors; empty if nothing changes. NULL if @p is no edit */
QCONV_API GPtrArray *qconv_plan_changes (const QconvPlan *p);

/* ---- Run and check ---- */

/* @phase: "converting", "checking" or "approximating" (the error LoRA); @layer: (nullable): the last one that was
   worked on; @rate: bytes per second; @eta: seconds; both are < 0 while they are unknown; @round, @n_rounds: which of
   how many rounds @layer is in, at most; 0: its scheme has none */
typedef struct {
  guint64 done_bytes, total_bytes;
  const char *phase, *layer;
  double rate, eta;
  guint round, n_rounds;
} QconvProgress;
typedef void (*QconvProgressFunc) (const QconvProgress *progress, gpointer user_data);

typedef struct {
  char *layer; /* NULL: the whole file */
  char *code, *message;
} QconvProblem;
/* @relmse: Σ(w−ŵ)²/Σw²; < 0 without a reference; @sqnr_db: the same in dB, infinite for 0 */
typedef struct {
  char *name, *scheme;
  double relmse, sqnr_db;
} QconvLayerError;
typedef struct {
  gboolean ok;
  GPtrArray *problems; /* QconvProblem */
  GPtrArray *layers;   /* QconvLayerError */
  guint n_checksums;   /* tensors whose bytes were compared with a checksum */
  GPtrArray *warnings; /* char *: a line each, without the file's name; @ok does not depend on them */
  GPtrArray *notes;    /* char *: a line each, about the file: what it runs on, for example */
  double lora_before;  /* mean relMSE of the layers of the error LoRA without it and, in lora_after, with it; */
  double lora_after;   /* < 0 if there is none */
} QconvReport;
QCONV_API void qconv_report_free (QconvReport *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvReport, qconv_report_free)

/* Fails as qconv_plan_run() would before it writes: the output exists and may not be replaced, it is the input, or its
   place cannot be written or is too small. Writes nothing */
QCONV_API gboolean qconv_plan_check_output (QconvPlan *p, GError **error);
/* Writes the output and checks it before it gets its name. @progress: (nullable): is called about ten times a
   second at most; @report: (out) (nullable) (transfer full): the report of the check, also with an error of
   QCONV_ERROR_CHECK; NULL if there was no check.

   With QconvRunOptions.resume two files beside the output, .NAME.qconv-partial and .NAME.qconv-journal, stay if the run
   ends early, unless the input or the result is at fault. The next such run of the same plan reads again what they
   hold, takes what is whole, and does the rest. Both files go when the output has its name. Those of another plan are
   written anew, after a warning */
QCONV_API gboolean qconv_plan_run (QconvPlan *p, QconvProgressFunc progress, gpointer user_data,
                                   GCancellable *cancellable, QconvReport **report, GError **error);

/* Removes the temporary files of all runs of this process that cannot be resumed. For a program that must end at once,
   while runs go on: from then on no output is created or gets its name. Must not be called from a signal handler */
QCONV_API void qconv_abandon_outputs (void);

/**
 * QconvVerifyOptions: the settings of a verification. Zero is the default.
 * @original: (nullable): report the error of every layer against this model, too
 * @memory, @n_threads: as in QconvRunOptions
 * @progress: (nullable): is called with @progress_data as in qconv_plan_run()
 * @cancellable: (nullable)
 * @allow_incomplete: tensors that the family's loaders need may be missing
 */
typedef struct {
  QconvModel *original;
  guint64 memory;
  guint n_threads;
  QconvProgressFunc progress;
  gpointer progress_data;
  GCancellable *cancellable;
  gboolean allow_incomplete;
  gconstpointer reserved[7];
} QconvVerifyOptions;
/* Checks the structure of a quantized file. @options: (nullable).
   Returns: (transfer full): the report; NULL with an error only if the file could not be checked */
QCONV_API QconvReport *qconv_model_verify (QconvModel *model, const QconvVerifyOptions *options, GError **error);
G_END_DECLS
