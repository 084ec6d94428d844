/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims FP8 weights whose scales lie in a grid, for the reader. */
#pragma once
#include "group.h"

/* Reads rows and columns of a block from weight_block_size in config.json beside the file. Leaves @block as it is if
   there is none. */
void scaled_read_block_size (const QconvDirectory *d, guint64 *block);
/* Claims @g in a scheme that decodes it. Returns FALSE if there is none. @why: (transfer full) (nullable): the reason
   if the weight is FP8 and has one scale */
gboolean scaled_claim_fp8 (const ScaledGroup *g, const guint64 *block, QconvClaims *claims, char **why);
