/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the schemes of this module share. */
#pragma once
#include "qconv-plugin.h"

extern const QconvQuantizer int8_block_quantizer, w4a4_quantizer;

/* ---- rotation.c ---- */

/* Puts the group that is meant for @layer in the place of "auto" in the option "convrot"; @none: a group that does not
   suit its columns becomes "none" */
void rotation_settle (const QconvLayer *layer, QconvValues *values, gboolean none);
/* Returns: columns that are rotated together, "auto" or not; 1: no rotation */
guint64 rotation_group (const QconvLayer *layer);
/* Rotates decoded rows back, in place */
gboolean rotation_undo (const QconvTile *t, GError **error);
/* Returns: bytes of scratch memory for one row of F32 */
gsize rotation_row_bytes (const QconvLayer *layer);

/* Returns: FALSE with QCONV_ERROR_UNSUPPORTED unless @layer is a matrix that is not empty */
gboolean is_matrix (const QconvLayer *layer, GError **error);
/* The worst relative MSE: 1 */
double largest_error (const QconvQuantizer *self, const QconvLayer *layer);
/* Returns: FALSE with QCONV_ERROR_NON_FINITE where a component of F32, if it is there and in host memory, holds Inf,
   NaN or negative numbers */
gboolean check_scales (const QconvTile *t, const char *component, GError **error);
/* The same for weights that a rotation made: Inf or NaN */
gboolean check_rotated (QconvBuffer *rotated, GError **error);
