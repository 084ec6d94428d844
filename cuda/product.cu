/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products of matrices on a device. Every item is one sum in the order of the operation: a thread has 4 × 4 of them,
   and a block brings the factors of its 64 × 64 items to shared memory, some steps at a time. */
#include "launch.h"

#include "kernels/items/product.h"

#define SIDE 16            /* threads along each side of a block */
#define EACH 4             /* items of a thread along each side */
#define TILE (SIDE * EACH) /* items of a block along each side */
#define DEPTH 16           /* steps at a time */

/* The operations: shape of the result, factors, and where the result lies. left_by_steps(): whether neighbours in
   memory of the left factor are steps, not rows */
struct AddProduct {
  typedef float Sum;
  QconvProductJob job;

  __device__ gsize rows () const
  {
    return job.rows;
  }
  __device__ gsize cols () const
  {
    return job.cols;
  }
  __device__ gsize depth () const
  {
    return job.rank;
  }
  __device__ bool left_by_steps () const
  {
    return true;
  }
  __device__ float left (gsize row, gsize k) const
  {
    return job.scale * job.left[row * job.rank + k];
  }
  __device__ float right (gsize k, gsize col) const
  {
    return job.right[k * job.cols + col];
  }
  __device__ float first (gsize row, gsize col) const
  {
    return job.w[row * job.cols + col];
  }
  __device__ float *item (gsize row, gsize col) const
  {
    return job.w + row * job.cols + col;
  }
  static __device__ float step (float sum, float left, float right)
  {
    return product_step (sum, left, right);
  }
};

struct Thin {
  typedef float Sum;
  QconvThinJob job;

  __device__ gsize rows () const
  {
    return job.rows;
  }
  __device__ gsize cols () const
  {
    return job.width;
  }
  __device__ gsize depth () const
  {
    return job.depth;
  }
  __device__ bool left_by_steps () const
  {
    return !job.transposed;
  }
  __device__ float left (gsize row, gsize k) const
  {
    return job.matrix[job.transposed ? row + k * job.stride : row * job.depth + k];
  }
  __device__ float right (gsize k, gsize col) const
  {
    return job.factor[k * job.width + col];
  }
  __device__ float first (gsize, gsize) const
  {
    return 0.0f;
  }
  __device__ float *item (gsize row, gsize col) const
  {
    return job.product + row * job.width + col;
  }
  static __device__ float step (float sum, float left, float right)
  {
    return thin_step (sum, left, right);
  }
};

struct Gram {
  typedef double Sum;
  QconvGramJob job;

  __device__ gsize rows () const
  {
    return job.width;
  }
  __device__ gsize cols () const
  {
    return job.width;
  }
  __device__ gsize depth () const
  {
    return job.rows;
  }
  __device__ bool left_by_steps () const
  {
    return false;
  }
  __device__ float left (gsize row, gsize k) const
  {
    return job.matrix[k * job.width + row];
  }
  __device__ float right (gsize k, gsize col) const
  {
    return job.matrix[k * job.width + col];
  }
  __device__ double first (gsize, gsize) const
  {
    return 0.0;
  }
  __device__ double *item (gsize row, gsize col) const
  {
    return job.gram + row * job.width + col;
  }
  static __device__ double step (double sum, float left, float right)
  {
    return gram_step (sum, left, right);
  }
};

/* Brings DEPTH steps of the factors of a tile to shared memory. Neighbours in memory go to neighbouring threads */
template <typename Op>
static __device__ void
load_factors (const Op &op, gsize row, gsize col, gsize k, float (*left)[TILE + 1], float (*right)[TILE + 1])
{
  for (guint i = threadIdx.x; i < DEPTH * TILE; i += SIDE * SIDE)
    {
      guint step = op.left_by_steps () ? i % DEPTH : i / TILE, at = op.left_by_steps () ? i / DEPTH : i % TILE;

      left[step][at] = row + at < op.rows () && k + step < op.depth () ? op.left (row + at, k + step) : 0.0f;
      step = i / TILE;
      at = i % TILE;
      right[step][at] = col + at < op.cols () && k + step < op.depth () ? op.right (k + step, col + at) : 0.0f;
    }
}

template <typename Op>
static __global__ void
multiply (Op op, gsize across)
{
  __shared__ float left[DEPTH][TILE + 1], right[DEPTH][TILE + 1];
  gsize row = blockIdx.x / across * TILE, col = blockIdx.x % across * TILE;
  guint y = threadIdx.x / SIDE, x = threadIdx.x % SIDE;
  typename Op::Sum sums[EACH][EACH];

  QCONV_UNROLL
  for (guint r = 0; r < EACH; r++)
    QCONV_UNROLL
  for (guint c = 0; c < EACH; c++)
    {
      gsize at = row + y + r * SIDE, to = col + x + c * SIDE;

      sums[r][c] = at < op.rows () && to < op.cols () ? op.first (at, to) : 0;
    }
  for (gsize k = 0; k < op.depth (); k += DEPTH)
    {
      guint steps = (guint) MIN (op.depth () - k, DEPTH);

      load_factors (op, row, col, k, left, right);
      __syncthreads ();
      for (guint step = 0; step < steps; step++)
        QCONV_UNROLL
      for (guint r = 0; r < EACH; r++)
        QCONV_UNROLL
      for (guint c = 0; c < EACH; c++)
        sums[r][c] = Op::step (sums[r][c], left[step][y + r * SIDE], right[step][x + c * SIDE]);
      __syncthreads ();
    }
  QCONV_UNROLL
  for (guint r = 0; r < EACH; r++)
    QCONV_UNROLL
  for (guint c = 0; c < EACH; c++)
    if (row + y + r * SIDE < op.rows () && col + x + c * SIDE < op.cols ())
      *op.item (row + y + r * SIDE, col + x + c * SIDE) = sums[r][c];
}

template <typename Op>
static cudaError_t
launch_multiply (const Op &op, gsize rows, gsize cols, const QconvCudaStream *stream)
{
  gsize across = blocks_of (cols, TILE);

  return launch (multiply<Op>, blocks_of (rows, TILE) * across, SIDE * SIDE, true, stream, op, across);
}

extern "C" cudaError_t
qconv_cuda_scaled (const QconvScaledJob *job, const QconvCudaStream *stream)
{
  return launch_units<QconvScaledJob, scaled_unit> (job, job->n, stream);
}

extern "C" cudaError_t
qconv_cuda_product (const QconvProductJob *job, const QconvCudaStream *stream)
{
  AddProduct op = { *job };

  return launch_multiply (op, job->rows, job->cols, stream);
}

extern "C" cudaError_t
qconv_cuda_thin (const QconvThinJob *job, const QconvCudaStream *stream)
{
  Thin op = { *job };

  return launch_multiply (op, job->rows, job->width, stream);
}

extern "C" cudaError_t
qconv_cuda_gram (const QconvGramJob *job, const QconvCudaStream *stream)
{
  Gram op = { *job };

  return launch_multiply (op, job->width, job->width, stream);
}
