/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims FP8 weights whose scales lie in a grid. The readers of all formats that have such weights call it. */
#pragma once
#include "qconv-reader.h"

/**
 * QconvFp8: FP8 codes and what lies beside them.
 *
 * @codes: [rows, cols], or [matrices, rows, cols] of experts
 * @scale: multiplies the codes: one number, one for each row, or a grid of blocks; U8 are exponents, as E8M0
 * @input: (nullable): one number, the scale of the layer's input. It is dropped if the scheme has no place for it
 * @block: rows and columns of a block as config.json says; 0: it says nothing
 */
typedef struct {
  const char *layer;
  const QconvTensor *codes, *scale, *input;
  guint64 block[2];
} QconvFp8;

/* Returns whether the tensor holds exponents: U8 or E8M0. */
gboolean qconv_is_exponent (const QconvTensor *t);
/* Claims the layer in the scheme that holds it: fp8, fp8_row, fp8_block, mxfp8, else fp8_group. Returns FALSE, and
   claims nothing, if the shapes fit no grid. */
gboolean qconv_claim_fp8 (QconvClaims *claims, const QconvFp8 *w);
