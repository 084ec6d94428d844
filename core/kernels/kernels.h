/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The CPU backend: one table of operations for each level of the instruction set. The registry of backends and tests
   use it. */
#pragma once
#include "qconv-backend.h"

/**
 * QconvKernelLevel: the operations for one level of the instruction set. Every level has every operation and gives the
 * same bytes; the first level, "scalar", is the reference.
 *
 * @supported: whether this processor can run it
 * @ops: ends with { NULL }
 */
typedef struct {
  const char *name;
  gboolean (*supported) (void);
  const QconvOp *ops;
} QconvKernelLevel;

/* Returns: (transfer none): all levels that were compiled, plainest first, ends with { NULL } */
const QconvKernelLevel *qconv_kernel_levels (void);

/* Returns: (transfer full): the operations of both tables, which end with { NULL } as this one does */
const QconvOp *qconv_kernel_join_ops (const QconvOp *first, const QconvOp *second);

/* Returns: (transfer none): the best level that the processor supports, or the one that QCONV_CPU names */
const QconvKernelLevel *qconv_kernel_level_chosen (void);

/* Returns: (transfer none): the backend "cpu" with the operations of the chosen level */
const QconvBackend *qconv_backend_cpu (void);
