/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes two plans the same: a run that goes on with the work of another one compares their digests. */
#pragma once
#include "plan/plan.h"

/**
 * DigestPart: whose digest it is.
 *
 * @DIGEST_PROGRAM: of qconv and its plugins
 * @DIGEST_INPUTS: of all files that are read, which counts their sizes, times and first bytes, not their names
 * @DIGEST_PLAN: of everything that decides about the bytes of the output besides these
 */
typedef enum { DIGEST_PROGRAM, DIGEST_INPUTS, DIGEST_PLAN, N_DIGEST_PARTS } DigestPart;

/* Returns: (transfer full): 64 digits. Threads and memory do not count, nor does what an earlier run of @p left in it.
   Fails only if an input cannot be read */
char *qconv_plan_digest (const QconvPlan *p, DigestPart part, GError **error);
