/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libqconv for programs: open a model, plan a conversion, run it, check a file. Nothing here prints. */
#pragma once
#include "qconv-plugin.h"
G_BEGIN_DECLS

/* Returns: (transfer none): "0.1.0" */
QCONV_API const char *qconv_version (void);
/* Returns: exit status of the program for @error: 1 failed, 2 usage, 3 bad input, 4 check failed, 130 interrupted */
QCONV_API int qconv_error_exit_status (const GError *error);
/* Returns: (transfer none) (nullable): the member of @names (NULL-terminated) that a person who typed @word meant */
QCONV_API const char *qconv_nearest (const char *word, const char *const *names);
/* Returns: (transfer none): level of the CPU kernels in use ("avx512") */
QCONV_API const char *qconv_cpu_level (void);

/* ---- Registry: what is loaded ---- */

/**
 * QconvModule: one plugin module that was found.
 * @plugin: (nullable): NULL when it did not load
 * @reason: (nullable): why not
 */
typedef struct {
  char *name, *path;
  const QconvPlugin *plugin;
  char *reason;
} QconvModule;
/* Loads all modules at the first call; broken ones are reported once by g_warning() and stay in the list.
   Returns: (transfer none) (element-type QconvModule): sorted by name */
QCONV_API GPtrArray *qconv_registry_modules (void);
/* Returns: (transfer none) (element-type QconvContainer): in the order of their modules; readers, quantizers alike */
QCONV_API GPtrArray *qconv_registry_containers (void);
QCONV_API GPtrArray *qconv_registry_readers (void);
QCONV_API GPtrArray *qconv_registry_quantizers (void);
QCONV_API GPtrArray *qconv_registry_writers (void);
/* QCONV_ERROR_NO_PLUGIN where no module was found at all, with the folders that were searched */
QCONV_API gboolean qconv_registry_check (GError **error);
/* Returns: (transfer none) (nullable) */
QCONV_API const QconvContainer *qconv_registry_container (const char *id);
QCONV_API const QconvReader *qconv_registry_reader (const char *id);
QCONV_API const QconvQuantizer *qconv_registry_quantizer (const char *id);
QCONV_API const QconvWriter *qconv_registry_writer (const char *id);

/* A way to write: SCHEME-WRITER. @target is one row of @writer's table; @quantizer is NULL for plain targets */
typedef struct {
  char *name;
  const QconvWriter *writer;
  const QconvTarget *target;
  const QconvQuantizer *quantizer;
} QconvTargetInfo;
/* Returns: (transfer none) (element-type QconvTargetInfo): every target whose plugins are loaded, sorted by name */
QCONV_API GPtrArray *qconv_registry_targets (void);

/* ---- Families: what is known of models ---- */

/**
 * QconvVariantInfo: one published size or kind of a family.
 * @n_tensors, @n_params: of a complete model; 0: not known
 * @detect_as: (nullable): the variant that files of it are taken for, as their weights look alike
 */
typedef struct {
  char *name, *detect_as;
  char **aliases;
  guint64 n_tensors, n_params;
} QconvVariantInfo;

/**
 * QconvFamilyRule: what becomes of layers unless somebody says otherwise.
 * @scheme: (nullable): NULL: they stay as they are
 * @pattern: (nullable): GRegex, searched in layer names of the original naming
 * @blocks: (nullable): instead: start of the names of blocks, of which the @first and the @last so many are meant
 * @classes: what these layers are for: "io" "cond" "final" "mod" …
 * @peers: other converters that keep some of them in high precision
 */
typedef struct {
  char *scheme, *pattern, *blocks;
  guint first, last;
  char **classes, **peers;
} QconvFamilyRule;

/* @schemes: that use it; @rules: (element-type QconvFamilyRule): the first that matches counts, and what none matches
   takes the scheme */
typedef struct {
  char **schemes;
  GPtrArray *rules;
} QconvPresetInfo;

/**
 * QconvFamilyInfo:
 * @kind: "diffusion" "text_encoder" "llm"
 * @reads: namings that are recognised; @writes: those that names can be changed to from "original" and back
 * @variants: (element-type QconvVariantInfo)
 * @presets: (nullable) (element-type QconvPresetInfo)
 * @probed: tensors that are never packed, since loaders tell models apart by their stored shape
 */
typedef struct {
  char *id, *title, *kind, *path;
  char **reads, **writes, **probed;
  GPtrArray *variants, *presets;
} QconvFamilyInfo;
/* @family_file: (nullable): as in QconvOpenOptions; @id: (nullable): this family only, and with its presets.
   Returns: (transfer full) (element-type QconvFamilyInfo): sorted by id; empty where there is none called @id */
QCONV_API GPtrArray *qconv_families_describe (const char *family_file, const char *id, GError **error);

/* ---- Model: an opened input ---- */

typedef void (*QconvWarnFunc) (const char *message, gpointer user_data);

/**
 * QconvOpenOptions: zero is the default.
 * @from: (nullable): id of a reader or a container that must take the file
 * @options: (nullable): NULL-terminated "[ID.]key=value"; those that no container or reader knows are left for the plan
 * @allow_nonfinite: claim schemes that decode scales which are no numbers
 * @family_file: (nullable): a family file that comes before the installed ones
 * @for_verify: layers that a reader cannot claim become problems of qconv_model_verify() instead of an error
 * @warn: (nullable): gets one line each
 */
typedef struct {
  const char *from;
  const char *const *options;
  const char *family_file;
  gboolean allow_nonfinite, for_verify;
  QconvWarnFunc warn;
  gpointer warn_data;
} QconvOpenOptions;

typedef struct _QconvModel QconvModel;
/* @path: a file, an index.json, a folder of shards, or a part of a split set. Returns: (transfer full) */
QCONV_API QconvModel *qconv_model_open (const char *path, const QconvOpenOptions *options, GError **error);
QCONV_API void qconv_model_free (QconvModel *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvModel, qconv_model_free)
/* Returns: (transfer none) */
QCONV_API const QconvDirectory *qconv_model_directory (const QconvModel *m);
/* Returns: (transfer none): "gguf", "comfy", …: the reader that claimed most layers, else the container */
QCONV_API const char *qconv_model_format (const QconvModel *m);
/* Returns: (transfer none) (nullable): as family files call them; NULL where unknown */
QCONV_API const char *qconv_model_family (const QconvModel *m);
QCONV_API const char *qconv_model_variant (const QconvModel *m);

/* One weight as `inspect` lists it. @bytes counts the weight and its scales; @dtype of the weight before it was
   quantized, as text */
typedef struct {
  const char *name, *scheme, *dtype;
  QconvShape shape;
  guint64 bytes;
} QconvWeightInfo;
/* Returns: (transfer full) (element-type QconvWeightInfo): strings belong to @m */
QCONV_API GArray *qconv_model_weights (const QconvModel *m);

/* ---- Plan ---- */

/**
 * QconvHintChange: what an edit changes in the markers of quantized layers.
 * @value: (nullable): as the marker spells it (JSON); NULL: the key is removed
 * @if_absent: a value that is there stays
 * @or_text: a @value that is not JSON becomes a JSON string
 */
typedef struct {
  const char *key, *value;
  gboolean if_absent, or_text;
} QconvHintChange;

/**
 * QconvJob: what to do with a model. Zero is the default; everything must outlive qconv_plan_new() only.
 * @target: "nvfp4-comfy"; NULL: an edit: the form and all numbers stay as they are, and @hints, @metadata and
 *   @input_scale change what is said about the layers that @only and @keep leave
 * @output: path, or NULL for the derived name; of an edit, for the file itself
 * @options: (nullable): NULL-terminated "[ID.]key=value", or "[ID.]key" for switches
 * @keep, @only: (nullable): GRegex, searched in layer names
 * @effort: (nullable): "rtn" or "search"
 * @input_scale: (nullable): "none", which drops those of the source; a number, for layers without one; or a file
 * @hp_filter: (nullable): GRegex: layers with such names must be, and stay, floats of 16 bits or more
 * @naming: (nullable): of the layers in the output, as family files call it ("original", "diffusers"); "keep": that of
 *   the input; NULL: the first that the target's writer knows
 * @component: (nullable): part of an all-in-one checkpoint to write: "diffusion", "text-encoder", "vae"; else "all"
 * @drop: (nullable): NULL-terminated GRegex: tensors with such names are left out
 * @layers: (nullable): NULL-terminated "SCHEME[,key=value…]:REGEX" or "keep:REGEX": the first that matches wins
 * @layer_config: (nullable): file of such rules, which come before @layers
 * @fallback: (nullable): scheme of layers that the model's family keeps; "keep": none, also where the family has one
 * @like: (nullable): a file of the same model: what it has in high precision stays so, what it packed is packed
 * @loras: (nullable): NULL-terminated "FILE[:STRENGTH]": merged in this order into the weights
 * @lora_partial: keys of these that belong to no layer are left out
 * @skip_inefficient: leave layers alone that are too small or too lopsided to gain
 * @hints: @n_hints changes of an edit
 * @metadata: (nullable): NULL-terminated "KEY=VALUE" of an edit; "KEY" alone removes it
 * @memory: bytes; 0: 1 GiB
 * @n_threads: 0: one for each processor
 */
typedef struct {
  const char *target;
  const char *output;
  const char *const *options;
  const char *keep, *only;
  const char *effort;
  const char *input_scale;
  const char *hp_filter;
  const char *naming, *component;
  const char *const *drop;
  const char *const *layers;
  const char *layer_config, *fallback, *like;
  const char *const *loras;
  gboolean lora_partial, skip_inefficient;
  const QconvHintChange *hints;
  guint n_hints;
  const char *const *metadata;
  guint64 memory;
  guint n_threads;
  gboolean force, no_verify, allow_nonfinite;
  QconvWarnFunc warn;
  gpointer warn_data;
} QconvJob;

typedef struct _QconvPlan QconvPlan;
/* Everything that can be known before a weight is read. @model must outlive it. Returns: (transfer full) */
QCONV_API QconvPlan *qconv_plan_new (QconvModel *model, const QconvJob *job, GError **error);
QCONV_API void qconv_plan_free (QconvPlan *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvPlan, qconv_plan_free)
QCONV_API const char *qconv_plan_output (const QconvPlan *p);   /* (transfer none) path */
QCONV_API const char *qconv_plan_target (const QconvPlan *p);   /* (transfer none) name */
QCONV_API guint64 qconv_plan_output_bytes (const QconvPlan *p); /* of the whole file, exactly */
QCONV_API guint64 qconv_plan_peak_memory (const QconvPlan *p);  /* bytes of working memory */

/**
 * QconvPlannedInfo: one weight of the plan.
 * @rule: "target" "keep" "only" "source" "probed" "size" "shape" "family" "fallback" "layers" "config:N" "like"
 * @how: "encode" "move" "adopt" "copy" "cast" "decode"
 * @short_name: as rules see it: @name without the prefix of the model
 * @options: (nullable): "key=value,…" that a rule of its own gave its scheme
 * @packable: the target's scheme can hold it
 * @bytes: in the output, scales included
 */
typedef struct {
  const char *name, *scheme, *rule, *how, *short_name, *options;
  gboolean packable;
  QconvShape shape;
  guint64 bytes;
} QconvPlannedInfo;
/* Returns: (transfer full) (element-type QconvPlannedInfo): strings belong to @p */
QCONV_API GArray *qconv_plan_weights (const QconvPlan *p);

/* ---- Run and check ---- */

/* @rate: bytes per second, @eta: seconds, both < 0 while unknown; @layer: (nullable); @phase: "converting" or
   "checking" */
typedef struct {
  guint64 done_bytes, total_bytes;
  const char *phase, *layer;
  double rate, eta;
} QconvProgress;
typedef void (*QconvProgressFunc) (const QconvProgress *progress, gpointer user_data);

typedef struct {
  char *layer; /* (nullable) */
  char *code, *message;
} QconvProblem;
/* @relmse: Σ(w−ŵ)²/Σw²; < 0: no reference. @sqnr_db: in dB, infinite for 0 */
typedef struct {
  char *name, *scheme;
  double relmse, sqnr_db;
} QconvLayerError;
typedef struct {
  gboolean ok;
  GPtrArray *problems; /* QconvProblem */
  GPtrArray *layers;   /* QconvLayerError */
} QconvReport;
QCONV_API void qconv_report_free (QconvReport *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QconvReport, qconv_report_free)

/* Writes the output and checks it before it gets its name. @progress is called from any one thread at a time, at most
   some ten times a second.
   Returns: (transfer full): the report of the check, also with an error of QCONV_ERROR_CHECK (through @report) */
QCONV_API gboolean qconv_plan_run (QconvPlan *p, QconvProgressFunc progress, gpointer user_data,
                                   GCancellable *cancellable, QconvReport **report, GError **error);

/**
 * QconvVerifyOptions: how a file is verified. Zero is the default.
 * @original: (nullable): report the error of every layer against this model, too
 * @memory, @n_threads: as in QconvJob
 * @progress: (nullable): is called with @progress_data as in qconv_plan_run()
 * @cancellable: (nullable)
 */
typedef struct {
  QconvModel *original;
  guint64 memory;
  guint n_threads;
  QconvProgressFunc progress;
  gpointer progress_data;
  GCancellable *cancellable;
} QconvVerifyOptions;
/* Checks the structure of a quantized file. @options: (nullable).
   Returns: (transfer full): the report; NULL with an error only if it could not be made */
QCONV_API QconvReport *qconv_model_verify (QconvModel *model, const QconvVerifyOptions *options, GError **error);
G_END_DECLS
