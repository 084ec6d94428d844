/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "gptq-decode" and "gptq-decode-indexed" on a device: a thread for every 8 columns. */
#include "launch.h"

#include "kernels/items/gptq.h"

extern "C" cudaError_t
qconv_cuda_gptq (const QconvGptqJob *job, const QconvCudaStream *stream)
{
  return launch_units<QconvGptqJob, gptq_unit> (job, job->rows * job->runs, stream);
}

static __global__ void
find_bad_index (QconvGptqJob job, unsigned long long *first)
{
  gsize i = (gsize) blockIdx.x * blockDim.x + threadIdx.x;

  if (i < job.cols && !gptq_is_group (&job, job.index[i]))
    atomicMin (first, (unsigned long long) i << 32 | (guint32) job.index[i]);
}

extern "C" cudaError_t
qconv_cuda_gptq_look (const QconvGptqJob *job, const QconvCudaStream *stream)
{
  cudaError_t error = cudaSuccess;

  if (stream->n_groups == 0)
    error = cudaMemsetAsync (stream->bad_group, 0xff, sizeof *stream->bad_group, stream->handle);
  if (error != cudaSuccess)
    return error;
  return launch (find_bad_index, blocks_of (job->cols, THREADS), THREADS, false, stream, *job, stream->bad_group);
}
