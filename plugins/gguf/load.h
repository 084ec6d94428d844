/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load functions, from stored blocks to components. The reader binds them. */
#pragma once
#include "qconv-plugin.h"

/* Loads blocks as they are, with their F16 fields in little-endian order. */
gboolean qconv_gguf_load_blocks (const QconvLoad *load, GError **error);
/* Loads blocks of MXFP4 or NVFP4 as they are. Fails with QCONV_ERROR_NON_FINITE if a scale is not a number. */
gboolean qconv_gguf_load_checked_blocks (const QconvLoad *load, GError **error);
/* Load blocks of MXFP4 or NVFP4 as one component of the scheme. */
gboolean qconv_gguf_load_mxfp4_codes (const QconvLoad *load, GError **error);
gboolean qconv_gguf_load_mxfp4_scales (const QconvLoad *load, GError **error);
gboolean qconv_gguf_load_nvfp4_codes (const QconvLoad *load, GError **error);
gboolean qconv_gguf_load_nvfp4_scales (const QconvLoad *load, GError **error);
/* Loads rows of two convolutions of one frame each as one convolution of two frames: the kernels alternate. */
gboolean qconv_gguf_load_frames (const QconvLoad *load, GError **error);
/* Loads the constant 1 (F32). */
gboolean qconv_gguf_load_one (const QconvLoad *load, GError **error);
/* Loads the one number of the tensor (F32) into every item. */
gboolean qconv_gguf_load_repeated (const QconvLoad *load, GError **error);
