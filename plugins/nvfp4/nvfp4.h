/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of the quantizer nvfp4: E2M1 codes, an E4M3 scale for 16 columns, an F32 scale for the tensor. */
#pragma once
#include "qconv-plugin.h"

#define NVFP4_BLOCK 16

/* Takes the components of "mxfp4" if the exponents of all non-zero blocks lie within the range of E4M3. */
extern const QconvEncoder nvfp4_from_mxfp4;
/* Takes the components of "nvfp4_divided" with the reciprocal of its scale. */
extern const QconvEncoder nvfp4_from_divided;
extern const QconvQuantizer nvfp4_divided;

/* Lists codes, block scales and tensor scale. */
void nvfp4_add_components (const QconvLayer *layer, QconvComponents *out);
/* Runs @operation, which decodes these three. */
gboolean nvfp4_decode (const QconvTile *t, const char *operation, GError **error);
/* Fails with QCONV_ERROR_NON_FINITE if a block scale is NaN or negative. */
gboolean nvfp4_check_block_scales (QconvBuffer *scales, GError **error);
