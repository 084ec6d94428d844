/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load functions: from stored blocks to components. */
#pragma once
#include "qconv-plugin.h"

#define GGUF_LOAD_SCRATCH (128u << 10) /* bytes that one call allocates at most */

/* Blocks as they are, their F16 fields in little-endian order */
gboolean qconv_gguf_load_blocks (const QconvLoad *load, GError **error);
/* The same of MXFP4 and NVFP4, after a look at the scales */
gboolean qconv_gguf_load_checked_blocks (const QconvLoad *load, GError **error);
/* MXFP4 and NVFP4 in the components of their schemes */
gboolean qconv_gguf_load_mxfp4_codes (const QconvLoad *load, GError **error);
gboolean qconv_gguf_load_mxfp4_scales (const QconvLoad *load, GError **error);
gboolean qconv_gguf_load_nvfp4_codes (const QconvLoad *load, GError **error);
gboolean qconv_gguf_load_nvfp4_scales (const QconvLoad *load, GError **error);
/* F32: 1 */
gboolean qconv_gguf_load_one (const QconvLoad *load, GError **error);
/* F32: the only number of the tensor for every item */
gboolean qconv_gguf_load_repeated (const QconvLoad *load, GError **error);
