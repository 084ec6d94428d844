/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes the block types of ggml on a device: a thread for every 8 items. */
#include "launch.h"

#include "kernels/items/ggml-eights.h"

#define DEFINE_DECODE(name, op, bytes, items)                                                            \
  extern "C" cudaError_t qconv_cuda_ggml_##name (const QconvGgmlJob *job, const QconvCudaStream *stream) \
  {                                                                                                      \
    return launch_units<QconvGgmlJob, ggml_##name##_unit> (job, job->n * ((items) / 8), stream);         \
  }
QCONV_GGML_TYPES (DEFINE_DECODE)
