/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the quantizers int8, int8_block and convrot_w4a4 of this plugin. */
#pragma once
#include "amax-pass.h"
#include "qconv-plugin.h"
#include "quantizer-checks.h"
#include "rotation.h"

extern const QconvQuantizer int8_block_quantizer, w4a4_quantizer;

/* ---- rows.c ---- */

/* Returns the bytes of scratch memory for one row of F32. */
gsize rotation_row_bytes (const QconvLayer *layer);
/* Returns the worst relative MSE of @n numbers that share a scale of their largest magnitude / @highest. The largest is
   exact; every other number, rounded to a step, is off by half a step or by less than itself; a rotation keeps lengths.
   With half a step for each: (n / 4) / (highest^2 + n / 4). 1 % for FP32. Weights that are small beside the least scale
   may be lost */
double largest_error_of (guint highest, double n);
/* Bytes of scratch memory that check_rotated() takes */
#define CHECK_BYTES sizeof (guint64)
/* Fails with QCONV_ERROR_NON_FINITE if @rotated, rotated weights of @t or their scales, hold Inf or NaN. Runs the
   operation "nonfinite" version 1 */
gboolean check_rotated (const QconvTile *t, QconvBuffer *rotated, GError **error);
