/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shift of the inputs of some INT4 layers, which their biases make up for. Loading and packing call it.

   INT4 kernels add NUNCHAKU_SHIFT to outputs of GELU, which are never below -0.17, so that they need no sign (nunchaku:
   src/kernels/zgemm/gemm_w4a4_launch_impl.cuh). A stored bias is therefore less by the shift times the sum of the row
   of the residual. The product acts on the input without the shift. */
#pragma once
#include <glib.h>
G_BEGIN_DECLS

#define NUNCHAKU_SHIFT 0.171875

/* Returns the sum of one row of a residual, with the scales that are given. @codes: its 4-bit codes, the even column
   low; @scales: one for NUNCHAKU_GROUP_INT4 columns; @inverse: 1 / smooth of each column. */
double nunchaku_sum_row (const guint8 *codes, const float *scales, const double *inverse, guint64 cols);
G_END_DECLS
