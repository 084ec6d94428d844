/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spellings of keys in LoRA files, from the tables in data/lora. lora-file.c and lora-names.c look spellings up
   here. */
#pragma once
#include <glib.h>

/* The purpose of one tensor of a LoRA file; role_names in dialect-file.c has the same order */
typedef enum {
  LORA_UP,
  LORA_DOWN,
  LORA_ALPHA,
  LORA_DIFF,
  LORA_DIFF_BIAS,
  LORA_UP_BIAS,
  LORA_REPLACE,
  LORA_REPLACE_BIAS,
  LORA_MID,
  LORA_HADAMARD_1A,
  LORA_HADAMARD_1B,
  LORA_HADAMARD_2A,
  LORA_HADAMARD_2B,
  LORA_KRONECKER_1,
  LORA_KRONECKER_1A,
  LORA_KRONECKER_1B,
  LORA_KRONECKER_2,
  LORA_KRONECKER_2A,
  LORA_KRONECKER_2B,
  LORA_REFUSED, /* qconv cannot merge it */
  LORA_N_ROLES
} LoraRole;

/**
 * LoraSuffix: one end of keys, and the role of such keys.
 *
 * @refused: (nullable): the kind of LoRA, for people; set if and only if @role is LORA_REFUSED
 */
typedef struct {
  const char *text;
  LoraRole role;
  const char *refused;
} LoraSuffix;

/* A replacement in names of layers: every match of @match becomes @replace. @rows_per_column: the new name means only
   the first rows of the layer, so many for each of its columns; 0: all rows */
typedef struct {
  GRegex *match;
  const char *replace;
  guint64 rows_per_column;
} LoraRewrite;

/* Another name of a layer; @rows_per_column as in LoraRewrite */
typedef struct {
  char *name;
  guint64 rows_per_column;
} LoraAlias;

/**
 * LoraMetadata: alpha and rank in the metadata of a file.
 *
 * @key: (nullable): of the metadata, which holds JSON; NULL: @alpha and @rank are keys of the metadata themselves
 * @alpha, @rank: the ends of the names of the two members; the text before them is the same in both
 * @root: (nullable): the end of the member that is true if alpha is divided by the square root of the rank
 * @patterns: (nullable) (element-type utf8): the ends of members that give layers an alpha or a rank of their own
 * @other_models: (element-type utf8): members that start with one of these are of another model
 */
typedef struct {
  const char *key, *alpha, *rank, *root;
  GPtrArray *patterns, *other_models;
} LoraMetadata;

/**
 * LoraEncoder: keys for the text encoders of a checkpoint.
 *
 * @starts: (element-type utf8): of the keys; "_" at the end: underscores replace the dots of the layer's name
 * @models: (element-type utf8): names of encoders, such as "clip_l": the first that the checkpoint has is meant
 */
typedef struct {
  GPtrArray *starts, *models;
} LoraEncoder;

/* What cannot be merged: "MEMBER" is true, or the text of "MEMBER=START" begins so; @what: the same for people */
typedef struct {
  const char *text, *what;
} LoraRefusal;

/**
 * LoraConfigForm: the file beside a LoRA that holds its alpha, as JSON.
 *
 * @file: its name
 * @prefix: the start of the keys of LoRAs that have such a file
 * @alpha: (element-type utf8): members of which the first number is alpha
 * @rank: the member that holds the rank
 * @alpha_pattern, @rank_pattern: the members that give layers an alpha or a rank of their own
 * @root: the member that is true if alpha is divided by the square root of the rank
 * @refused: (element-type LoraRefusal)
 */
typedef struct {
  const char *file, *prefix, *rank, *alpha_pattern, *rank_pattern, *root;
  GPtrArray *alpha;
  GArray *refused;
} LoraConfigForm;

/* The spelling of LoRAs that are written: a file of @container, @prefix in front of names with dots in the original
   naming, and the suffixes of the three tensors of a layer. All are NULL if no dialect file has it */
typedef struct {
  const char *container, *prefix, *up, *down, *alpha;
} LoraWritten;

/**
 * LoraDialects: the spellings of all dialect files. No spelling is empty; the first of two equal suffixes counts.
 *
 * @texts: owns every text below
 * @suffixes: text -> LoraSuffix
 * @prefixes: (element-type utf8): in front of names with dots
 * @flat_prefixes: (element-type utf8): in front of names with underscores instead of dots
 * @rewrites: (element-type GArray of LoraRewrite): one for each dialect that has rewrites
 * @metadata: (element-type LoraMetadata)
 * @configs: (element-type LoraConfigForm)
 * @files: (element-type utf8): the names of LoRAs in folders
 * @encoders: (element-type LoraEncoder)
 * @written: of the first dialect that states it
 */
typedef struct {
  GStringChunk *texts;
  GHashTable *suffixes;
  GPtrArray *prefixes, *flat_prefixes, *rewrites, *files;
  GArray *metadata, *configs, *encoders;
  LoraWritten written;
} LoraDialects;

/* Reads the dialect files of qconv_data_files(). Returns: (transfer full): NULL and an error that names file and member
   if a file is wrong, if the folder cannot be read or if there is no file */
LoraDialects *qconv_lora_dialects_load (GError **error);
LoraDialects *qconv_lora_dialects_new (void);
void qconv_lora_dialects_free (LoraDialects *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LoraDialects, qconv_lora_dialects_free)

/* Adds the dialects of one file, @text of @n bytes and NUL-terminated; errors begin with @path and the member */
gboolean qconv_lora_dialects_add (LoraDialects *d, const char *path, const char *text, gsize n, GError **error);

/* Returns: (transfer none) (nullable): the longest suffix that @key ends with and that is shorter than @key. "*" in a
   suffix stands for the last but one of the names that dots separate. Sets @layer_length to the bytes of @key before
   the suffix */
const LoraSuffix *qconv_lora_dialects_suffix (const LoraDialects *d, const char *key, gsize *layer_length);
/* Returns: (nullable): @name behind the longest of @prefixes that it starts with; NULL if it starts with none */
const char *qconv_lora_dialects_strip (const GPtrArray *prefixes, const char *name);
/* Returns: (transfer full) (element-type LoraAlias): the other names that rewrites make of @layer, which has neither
   prefix nor suffix */
GArray *qconv_lora_dialects_rewrite (const LoraDialects *d, const char *layer);
