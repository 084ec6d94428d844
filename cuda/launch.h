/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts kernels. Every kernel of this folder is started from here, so that tests can run them on the processor: their
   cuda_runtime.h has qconv_cuda_host_launch(). */
#pragma once
#include <cuda_runtime.h>

#include "device.h"

#define ALL_LANES 0xffffffffu
#define THREADS 256        /* of a block whose threads work alone */
#define MOST_BLOCKS 262144 /* then threads take several units */

/* Starts @kernel. @together: whether the threads of a block wait for each other */
template <typename... Params, typename... Args>
static inline cudaError_t
launch (void (*kernel) (Params...), gsize blocks, guint threads, bool together, const QconvCudaStream *stream,
        Args... args)
{
  if (blocks == 0)
    return cudaSuccess;
#ifdef __CUDACC__
  (void) together;
  /* clang-format 14 splits the brackets */
  /* clang-format off */
  kernel<<<(unsigned int) blocks, threads, 0, stream->handle>>> (args...);
  /* clang-format on */
  return cudaGetLastError ();
#else
  return qconv_cuda_host_launch (stream->handle, (guint) blocks, threads, together, [&] { kernel (args...); });
#endif
}

/* Runs @unit for the units 0 … @n - 1, each by a thread of its own */
template <typename Job, void (*unit) (const Job *, gsize)>
static __global__ void
each_unit (Job job, gsize n)
{
  for (gsize i = (gsize) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (gsize) gridDim.x * blockDim.x)
    unit (&job, i);
}

template <typename Job, void (*unit) (const Job *, gsize, QconvDType), QconvDType dtype>
static __global__ void
each_unit_of_type (Job job, gsize n)
{
  for (gsize i = (gsize) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (gsize) gridDim.x * blockDim.x)
    unit (&job, i, dtype);
}

QCONV_SIZE gsize
blocks_of (gsize n, gsize per_block)
{
  return n / per_block + (n % per_block != 0);
}

template <typename Job, void (*unit) (const Job *, gsize)>
static inline cudaError_t
launch_units (const Job *job, gsize n, const QconvCudaStream *stream)
{
  return launch (each_unit<Job, unit>, MIN (blocks_of (n, THREADS), MOST_BLOCKS), THREADS, false, stream, *job, n);
}

template <typename Job, void (*unit) (const Job *, gsize, QconvDType), QconvDType dtype>
static inline cudaError_t
launch_units_of_type (const Job *job, gsize n, const QconvCudaStream *stream)
{
  return launch (each_unit_of_type<Job, unit, dtype>, MIN (blocks_of (n, THREADS), MOST_BLOCKS), THREADS, false, stream,
                 *job, n);
}

/* Likewise, with @dtype, the type of the weights, as a constant */
template <typename Job, void (*unit) (const Job *, gsize, QconvDType)>
static inline cudaError_t
launch_units_of_weights (const Job *job, gsize n, QconvDType dtype, const QconvCudaStream *stream)
{
  if (dtype == QCONV_F32)
    return launch_units_of_type<Job, unit, QCONV_F32> (job, n, stream);
  if (dtype == QCONV_F16)
    return launch_units_of_type<Job, unit, QCONV_F16> (job, n, stream);
  return launch_units_of_type<Job, unit, QCONV_BF16> (job, n, stream);
}
