/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packs the components of "mxfp4" and "nvfp4" into blocks: the inverse of load.c. No value changes. */
#pragma once
#include "qconv-quantizer.h"

extern const QconvEncoder qconv_gguf_from_mxfp4;
/* Blocks have no tensor scale, because the loaders of diffusion models ignore the tensor beside them that llama.cpp reads
   one from. A power of two goes into the block scales; any other tensor scale does not fit. */
extern const QconvEncoder qconv_gguf_from_nvfp4;
