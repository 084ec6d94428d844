/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the names in nunchaku's files mean: the tensors of a layer, and layers whose kind only their name shows. Reader
   and writer ask. */
#pragma once
#include <glib.h>
G_BEGIN_DECLS

/* The tensors of a layer; AWQ layers have those up to WZEROS, SVDQuant layers all others */
typedef enum {
  NUNCHAKU_QWEIGHT,
  NUNCHAKU_WSCALES,
  NUNCHAKU_BIAS,
  NUNCHAKU_WZEROS,
  NUNCHAKU_WTSCALE,
  NUNCHAKU_WCSCALES,
  NUNCHAKU_SMOOTH,
  NUNCHAKU_SMOOTH_ORIG,
  NUNCHAKU_DOWN,
  NUNCHAKU_UP,
  NUNCHAKU_N_MEMBERS
} NunchakuMember;

/* Two spellings of files: that of FLUX and SDXL, and that of Qwen-Image and Z-Image */
typedef enum { NUNCHAKU_LORA_NAMES, NUNCHAKU_PROJ_NAMES, NUNCHAKU_N_SPELLINGS } NunchakuSpelling;

/* Returns: (transfer none): the end of the tensor's name, ".lora_down". */
const char *nunchaku_member_name (NunchakuMember member, NunchakuSpelling spelling);
/* Returns the prefix of a checkpoint ("model.diffusion_model.") that @layer has, or "". */
const char *nunchaku_name_prefix (const char *layer);
/* Returns whether the name of @layer, with or without the prefix of a checkpoint, matches @pattern. */
gboolean nunchaku_name_matches (const char *layer, const char *pattern);
/* Returns the number of vectors (shift, scale, gate …) that a modulation layer of this name makes; 0 if none has
   it. */
guint nunchaku_name_chunks (const char *layer);
/* Returns whether INT4 kernels shift the input of the layer of this name. */
gboolean nunchaku_name_shifted (const char *layer);
/* Returns whether the layer of this name holds several of the model, each of which had a scale of the tensor. */
gboolean nunchaku_name_fused (const char *layer);
/* Returns whether the layer of this name has its own bias, of zeros: the projections "out_proj" and "mlp_fc2" of a
   single block of FLUX.1 are the columns of one layer, whose bias the second has. */
gboolean nunchaku_name_added (const char *layer);
G_END_DECLS
