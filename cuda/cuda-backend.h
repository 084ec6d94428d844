/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the C sources of the CUDA backend share: errors of the runtime, and the table of operations. */
#pragma once
#include "device.h"
#include "qconv-backend.h"

/* Returns TRUE if @code is cudaSuccess, else sets @error and returns FALSE. @what: "copying failed" */
gboolean qconv_cuda_done (cudaError_t code, const char *what, GError **error);

/* Returns: (transfer none): the grids of ggml in memory of @device */
const QconvGgmlGrids *qconv_cuda_grids (gpointer device);

/* Ends with { NULL } */
extern const QconvOp qconv_cuda_ops[];
