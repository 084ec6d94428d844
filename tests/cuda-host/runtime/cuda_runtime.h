/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for the CUDA language, so that kernels compile as C++ for the processor: one thread of the device after
   another, or, if they wait for each other, each on a stack of its own. */
#pragma once
#include <functional>

#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static /* one block runs at a time */

struct CudaHostIndex {
  unsigned int x;
};
/* Of the device's thread that runs */
extern CudaHostIndex threadIdx, blockIdx, blockDim, gridDim;

cudaError_t qconv_cuda_host_launch (cudaStream_t stream, unsigned int blocks, unsigned int threads, bool together,
                                    const std::function<void ()> &kernel);

/* Waits until all threads of the block are here */
void __syncthreads (void);
/* Waits until the threads of a warp that @mask names are here, then returns the @n bytes that thread @lane of the warp
   brought, in @value */
void qconv_cuda_host_exchange (unsigned int mask, unsigned int lane, void *value, size_t n);

template <typename T>
static inline T
__shfl_xor_sync (unsigned int mask, T value, unsigned int width)
{
  qconv_cuda_host_exchange (mask, (threadIdx.x % 32) ^ width, &value, sizeof value);
  return value;
}

template <typename T>
static inline T
__shfl_sync (unsigned int mask, T value, unsigned int lane)
{
  qconv_cuda_host_exchange (mask, lane, &value, sizeof value);
  return value;
}

/* No other thread runs meanwhile */
template <typename T>
static inline T
atomicAdd (T *sum, T x)
{
  T before = *sum;

  *sum += x;
  return before;
}

template <typename T>
static inline T
atomicMax (T *top, T x)
{
  T before = *top;

  *top = x > before ? x : before;
  return before;
}

template <typename T>
static inline T
atomicMin (T *least, T x)
{
  T before = *least;

  *least = x < before ? x : before;
  return before;
}

template <typename T>
static inline T
atomicOr (T *bits, T x)
{
  T before = *bits;

  *bits |= x;
  return before;
}
