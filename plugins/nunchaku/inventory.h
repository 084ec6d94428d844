/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Knows the modules of the models that nunchaku has classes for, as tensors of their files are called. The checks
   ask. */
#pragma once
#include "look.h"

/* OTHER: no class is known */
typedef enum { NUNCHAKU_OTHER, NUNCHAKU_FLUX, NUNCHAKU_QWEN_IMAGE, NUNCHAKU_Z_IMAGE, NUNCHAKU_SDXL } NunchakuModel;

/* LINEAR: "weight" and "bias", also of convolutions and of norms that have both. NORM: "weight". GUIDANCE: as LINEAR,
   only in models with guidance. BARE: the name is that of the tensor */
typedef enum {
  NUNCHAKU_MODULE_W4A4,
  NUNCHAKU_MODULE_AWQ,
  NUNCHAKU_MODULE_LINEAR,
  NUNCHAKU_MODULE_NORM,
  NUNCHAKU_MODULE_GUIDANCE,
  NUNCHAKU_MODULE_BARE
} NunchakuModuleKind;

/**
 * NunchakuModule: one module of a model.
 *
 * @stem: of its blocks, with a dot before the number: "transformer_blocks."; "": it is in no block
 * @rows, @cols: of its weight, as multiples of the model's width; 0: any
 * @blocks: the least number of blocks of @stem
 */
typedef struct {
  NunchakuModel model;
  NunchakuModuleKind kind;
  const char *stem, *name;
  guint rows, cols, blocks;
} NunchakuModule;

/**
 * NunchakuFile: a file that is checked.
 *
 * @prefix: before all names: "model.diffusion_model.", mostly ""
 * @second_names: (nullable): a layer in the names of nunchaku's class V2 for FLUX.1
 * @skips_refiners: Z-Image: the refiners are not quantized
 * @width: of the model; 0: not known
 */
typedef struct {
  const QconvDirectory *directory;
  const GPtrArray *looks;
  NunchakuModel model;
  const char *prefix, *second_names;
  gboolean skips_refiners;
  guint64 width;
} NunchakuFile;

void nunchaku_file_init (NunchakuFile *f, const QconvDirectory *d, const GPtrArray *looks);
/* Returns all modules of all models; ends with a @name of NULL. */
const NunchakuModule *nunchaku_modules (void);
/* Returns whether the file needs the module. */
gboolean nunchaku_file_has (const NunchakuFile *f, const NunchakuModule *m);
/* Returns the module that owns the tensor @name, and sets @member to what follows the dot behind it ("qweight"; "" if
   it is BARE); NULL if no module of the model does. */
const NunchakuModule *nunchaku_file_module (const NunchakuFile *f, const char *name, const char **member);
/* Returns the number after the highest number of a block "@stemN." in the file, at most the number of its tensors. */
guint64 nunchaku_file_blocks (const NunchakuFile *f, const char *stem);
/* Returns the size of axis @axis of the tensor @name; 0: there is none. */
guint64 nunchaku_file_extent (const NunchakuFile *f, const char *name, guint axis);
