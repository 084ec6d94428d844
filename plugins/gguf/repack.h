/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packs the components of "mxfp4" and "nvfp4" into blocks: the inverse of load.c. No value changes. */
#pragma once
#include "qconv-quantizer.h"
#include "qconv-writer.h"

extern const QconvEncoder qconv_gguf_from_mxfp4;
/* Blocks have no tensor scale, because the loaders of diffusion models ignore the tensor beside them from which
   llama.cpp reads one. A power of two goes into the block scales; any other tensor scale does not fit. */
extern const QconvEncoder qconv_gguf_from_nvfp4;

/* Pack functions of tensors of blocks, from "blocks" or from "codes" and "block_scale". The columns must be a multiple
   of the block. */
gboolean qconv_gguf_pack_blocks (const QconvPack *pack, GError **error);
gboolean qconv_gguf_pack_mxfp4 (const QconvPack *pack, GError **error);
gboolean qconv_gguf_pack_nvfp4 (const QconvPack *pack, GError **error);
