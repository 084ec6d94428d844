/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metadata of a file: the config of the model, that of the quantization, and ComfyUI's. The writer sets them. */
#pragma once
#include "classes.h"

/**
 * NunchakuQuantization: what the metadata say about all layers.
 *
 * @fp4: the codes are NVFP4, else INT4
 * @rank: of all factors
 */
typedef struct {
  gboolean fp4;
  gint64 rank;
} NunchakuQuantization;

/* Returns whether the output is the folder of older versions: two files of tensors, and two configs. */
gboolean nunchaku_is_folder (const QconvOutput *o);
/* Sets the metadata of the file, and names the files of a folder. QCONV_ERROR_INPUT: the config that the user gave is
   none of this class. QCONV_ERROR_OPTION: nunchaku loads no folder of this class. */
gboolean nunchaku_set_metadata (QconvOutput *o, const NunchakuClass *c, const NunchakuQuantization *q, GError **error);
