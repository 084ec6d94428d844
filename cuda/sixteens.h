/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sixteen threads that work on one block of weights, a thread for each partial sum: half of a warp. The other half may
   be elsewhere. */
#pragma once
#include "launch.h"

#define SIXTEEN 16
#define SIXTEENS (THREADS / SIXTEEN) /* of a block of threads */

/* Returns the number of this thread among its sixteen */
static __device__ __forceinline__ guint
sixteen_lane (void)
{
  return threadIdx.x % SIXTEEN;
}

/* Returns the number of these sixteen threads among all */
static __device__ __forceinline__ gsize
sixteen_number (void)
{
  return (gsize) blockIdx.x * SIXTEENS + threadIdx.x / SIXTEEN;
}

static __device__ __forceinline__ unsigned int
sixteen_mask (void)
{
  return 0xffffu << (threadIdx.x & SIXTEEN);
}

/* Returns the sum of the sixteen: sum i and i + 8, then i and i + 4, and so on */
static __device__ __forceinline__ float
sum_of_sixteen (float sum)
{
  for (guint width = SIXTEEN / 2; width > 0; width /= 2)
    sum += __shfl_xor_sync (sixteen_mask (), sum, width);
  return sum;
}

static __device__ __forceinline__ float
top_of_sixteen (float magnitude)
{
  guint32 top = bits_of_f32 (magnitude);

  for (guint width = SIXTEEN / 2; width > 0; width /= 2)
    {
      guint32 other = __shfl_xor_sync (sixteen_mask (), top, width);

      top = MAX (top, other);
    }
  return f32_of_bits (top);
}
