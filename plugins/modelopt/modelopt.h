/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers as NVIDIA's ModelOpt stores them, and what its configuration says of them. The files of the reader share
   it. */
#pragma once
#include "qconv-plugin.h"
#include "trouble.h"

/* The forms of a layer (modelopt: torch/export/quant_utils.py, torch/quantization/qtensor/). */
typedef enum { MO_NVFP4, MO_FP8, MO_MXFP8, MO_MXFP4, MO_INT4 } MoKind;

typedef struct _MoConfig MoConfig;
/* Reads the JSON files beside the weights. @warn: as in quant_config_read()
   Returns: (transfer full): the configuration */
MoConfig *mo_config_read (const QconvDirectory *d, void (*warn) (gpointer data, const char *file, const char *why),
                          gpointer data);
void mo_config_free (MoConfig *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoConfig, mo_config_free)
/* Returns whether the files say that ModelOpt wrote the weights. */
gboolean mo_config_ours (const MoConfig *c);
/* Returns: (transfer none): the name of the file, for messages. */
const char *mo_config_file (const MoConfig *c);
/* Returns: (transfer full) (nullable): the algorithm of @layer ("NVFP4"). @group: columns that share a scale, or 0 */
char *mo_config_algorithm (const MoConfig *c, const char *layer, gint64 *group);
/* Returns whether the layer is one of those that are not to be quantized. */
gboolean mo_config_excludes (const MoConfig *c, const char *layer);

/**
 * MoLook: one layer.
 *
 * @codes, @scale, @second, @pre, @input: "weight", "weight_scale", "weight_scale_2", "pre_quant_scale", "input_scale";
 *   any may be NULL
 * @group: columns that share a scale; 0: of FP8, which has blocks
 * @troubles: what makes the layer unreadable; the sizes are then not set
 */
typedef struct {
  char *layer;
  MoKind kind;
  const QconvTensor *codes, *scale, *second, *pre, *input;
  guint64 rows, cols, group;
  GPtrArray *troubles;
} MoLook;
/* Returns whether @d has a layer of the format. */
gboolean mo_has_layers (const QconvDirectory *d);
/* Returns: (transfer full) (element-type MoLook): all layers of the format. @claims: (nullable): leaves out those that
   are taken */
GPtrArray *mo_looks (const QconvDirectory *d, const QconvClaims *claims);
