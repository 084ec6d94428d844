/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model classes of nunchaku, and what a file for each of them needs. The writer asks. */
#pragma once
#include "names.h"
#include "qconv-plugin.h"

/**
 * NunchakuConfigMember: one member of a config, a JSON object.
 *
 * @text: its value as JSON; NULL: the dimension @dim, divided by @per (nullable, another dimension) and by @by (0: 1)
 * @times: with @dim: if not 0, the value is a list of the number times each of these
 * @logical: true or false instead of a number
 */
typedef struct {
  const char *key, *text, *dim, *per;
  gint64 by, times[3];
  gboolean logical;
} NunchakuConfigMember;

/* The published model of one variant of a family: @repo is "ORG/NAME" on the Hugging Face hub */
typedef struct {
  const char *variant, *repo;
} NunchakuRepo;

/**
 * NunchakuClass: one class of nunchaku.
 *
 * @family: id of the family file
 * @naming: (nullable): of family files: the row is for models in these names alone; NULL: for all others
 * @name: of the class, as the metadata have it
 * @spelling: of the tensors' names
 * @part: folder of the published model that the class is for
 * @row_scales: FP4 layers have a scale for each row and none for the tensor
 * @biases: every quantized layer has a bias, if need be of zeros; else those that have one in the model
 * @quantized: patterns of the names of weights that the class has only in 4 bits; ends with NULL
 * @without: dimensions that must be 0: the class lacks what they stand for; ends with NULL
 * @skip_refiners: (nullable): the model has refiner blocks: "true" if they are plain, "false" if they are quantized
 * @config_class: "_class_name" of the config
 * @config: the config, if no file has it; ends with { NULL }
 * @repos: models whose configs suit the variants; ends with { NULL }
 * @comfy: (nullable): "model_config" of what ComfyUI's loader reads; NULL: it reads nothing
 */
typedef struct {
  const char *family, *naming, *name, *config_class;
  NunchakuSpelling spelling;
  const char *const *quantized, *const *without;
  const char *part, *skip_refiners;
  gboolean biases, row_scales;
  const NunchakuConfigMember *config, *comfy;
  const NunchakuRepo *repos;
} NunchakuClass;

/* Returns: (transfer none): the class for the model of @o. QCONV_ERROR_UNSUPPORTED: there is none. */
const NunchakuClass *nunchaku_class (const QconvOutput *o, GError **error);
/* Returns whether the class has the matrix @name only in 4 bits. */
gboolean nunchaku_class_quantizes (const NunchakuClass *c, const char *name);
