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
    atomicMin (first, (unsigned long long) i);
}

extern "C" cudaError_t
qconv_cuda_gptq_bad_index (const QconvGptqJob *job, const QconvCudaStream *stream, gsize *first, gint32 *index)
{
  unsigned long long *on_device = (unsigned long long *) stream->scratch, found = 0;
  cudaError_t error = cudaMemsetAsync (on_device, 0xff, sizeof *on_device, stream->handle);

  if (error == cudaSuccess)
    error = launch (find_bad_index, blocks_of (job->cols, THREADS), THREADS, false, stream, *job, on_device);
  if (error == cudaSuccess)
    error = cudaMemcpyAsync (&found, on_device, sizeof found, cudaMemcpyDeviceToHost, stream->handle);
  if (error == cudaSuccess)
    error = cudaStreamSynchronize (stream->handle);
  *first = (gsize) found;
  if (error != cudaSuccess || *first >= job->cols)
    return error;
  error = cudaMemcpyAsync (index, job->index + *first, sizeof *index, cudaMemcpyDeviceToHost, stream->handle);
  return error == cudaSuccess ? cudaStreamSynchronize (stream->handle) : error;
}
