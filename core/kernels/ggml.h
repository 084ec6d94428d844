/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declares the decoders of the ggml block types. ggml-plain.c is the reference; ggml-simple.c, ggml-k.c and ggml-iq.c
   give the same bytes with vectors. */
#pragma once
#include "kernels/items/ggml.h"
#include "kernels/level.h"

/* Decodes @n blocks at @src, which need not be aligned */
typedef void QconvGgmlDecode (const guint8 *restrict src, float *restrict dst, gsize n);

#define QCONV_GGML_DECODER(name, op, bytes, items) extern QconvGgmlDecode QCONV_LEVEL_NAME (qconv_ggml_##name);
QCONV_GGML_TYPES (QCONV_GGML_DECODER)
