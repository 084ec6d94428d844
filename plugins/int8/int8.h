/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the schemes of this module share. */
#pragma once
#include "amax-pass.h"
#include "qconv-plugin.h"
#include "quantizer-checks.h"
#include "rotation.h"

extern const QconvQuantizer int8_block_quantizer, w4a4_quantizer;

/* ---- rows.c ---- */

/* Returns: bytes of scratch memory for one row of F32 */
gsize rotation_row_bytes (const QconvLayer *layer);
/* The worst relative MSE: 1 */
double largest_error (const QconvQuantizer *self, const QconvLayer *layer);
/* QCONV_ERROR_NON_FINITE where weights that a rotation made, or their scales, are Inf or NaN */
gboolean check_rotated (QconvBuffer *rotated, GError **error);
