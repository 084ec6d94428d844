/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ConvRot, INT8 and INT4 on a device. A block of threads has a row, or a stretch of it in shared memory while it is
   rotated. */
#include "launch.h"

#include "kernels/items/integers.h"

#define STRETCH QCONV_ROTATE_LARGEST /* columns that are rotated at once: whole groups */

/* What "int8-encode…" and "int4-encode-row" find scales for */
enum Scaling { TENSOR, INT8_ROW, INT4_ROW };

/* Loads @n weights from item @at on, whole groups and at most STRETCH, and rotates them. Returns which of the two
   buffers they are in. All threads of the block call it, and may read what others wrote when it returns */
template <QconvDType dtype>
static __device__ const float *
load_rotated (const void *src, gsize at, gsize n, gsize group, float (*buffers)[STRETCH])
{
  float factor = rotate_factor (group), *x = buffers[0], *y = buffers[1];
  guint quarter = (guint) group / 4;

  for (guint i = threadIdx.x; i < n; i += THREADS)
    x[i] = group == 1 ? widen_item (dtype, src, at + i) : widen_item (dtype, src, at + i) * factor;
  __syncthreads ();
  for (gsize digit = 1; digit < group; digit *= 4)
    {
      float *swap = x;

      for (guint i = threadIdx.x; 4 * i < n; i += THREADS)
        {
          guint first = i / quarter * (guint) group, in_group = i % quarter;
          const float *from = x + first + in_group;

          rotate_quartet (from[0], from[quarter], from[2 * quarter], from[3 * quarter], y + first + 4 * in_group);
        }
      __syncthreads ();
      x = y;
      y = swap;
    }
  return x;
}

template <QconvDType dtype>
static __global__ void
rotate (QconvRotateJob job)
{
  __shared__ float buffers[2][STRETCH];
  gsize at = (gsize) blockIdx.x * STRETCH, n = MIN (job.n - at, STRETCH);
  const float *x = load_rotated<dtype> (job.src, at, n, job.group, buffers);

  for (guint i = threadIdx.x; i < n; i += THREADS)
    job.dst[at + i] = x[i];
}

extern "C" cudaError_t
qconv_cuda_rotate (const QconvRotateJob *job, const QconvCudaStream *stream)
{
  gsize blocks = blocks_of (job->n, STRETCH);

  if (job->dtype == QCONV_F32)
    return launch (rotate<QCONV_F32>, blocks, THREADS, true, stream, *job);
  if (job->dtype == QCONV_F16)
    return launch (rotate<QCONV_F16>, blocks, THREADS, true, stream, *job);
  return launch (rotate<QCONV_BF16>, blocks, THREADS, true, stream, *job);
}

/* Returns the largest magnitude of a row */
template <QconvDType dtype>
static __device__ float
largest_of_row (const QconvIntegerJob *job, gsize row, float (*buffers)[STRETCH])
{
  __shared__ guint32 top;
  guint32 own = 0;

  if (threadIdx.x == 0)
    top = 0;
  for (gsize c = 0; c < job->cols; c += STRETCH)
    {
      gsize n = MIN (job->cols - c, STRETCH);
      const float *x = load_rotated<dtype> (job->src, row * job->cols + c, n, job->group, buffers);

      for (guint i = threadIdx.x; i < n; i += THREADS)
        own = MAX (own, bits_of_f32 (x[i]) & 0x7fffffff);
      __syncthreads ();
    }
  atomicMax (&top, own);
  __syncthreads ();
  return f32_of_bits (top);
}

/* Writes codes of @n columns from column @col on, an even number. INT4: a thread has two columns */
static __device__ void
store_codes (const QconvIntegerJob *job, Scaling scaling, gsize row, gsize col, const float *x, gsize n, float scale)
{
  if (scaling == INT4_ROW)
    {
      guint8 *codes = job->codes + row * (job->cols / 2 + job->cols % 2) + col / 2;

      for (guint i = threadIdx.x; 2 * i < n; i += THREADS)
        {
          guint8 high = 2 * i + 1 < n ? int4_code (x[2 * i + 1], scale) : 0;

          codes[i] = (guint8) (int4_code (x[2 * i], scale) | high << 4);
        }
      return;
    }
  for (guint i = threadIdx.x; i < n; i += THREADS)
    job->codes[row * job->cols + col + i] = (guint8) int8_code (x[i], scale);
}

template <QconvDType dtype>
static __global__ void
encode_row (QconvIntegerJob job, Scaling scaling)
{
  __shared__ float buffers[2][STRETCH];
  gsize row = blockIdx.x;
  float scale;

  if (scaling == TENSOR)
    scale = *job.scales;
  else
    {
      float top = largest_of_row<dtype> (&job, row, buffers);

      scale = scaling == INT8_ROW ? int8_row_scale (top) : int4_row_scale (top);
      if (threadIdx.x == 0)
        job.scales[row] = scale;
    }
  for (gsize c = 0; c < job.cols; c += STRETCH)
    {
      gsize n = MIN (job.cols - c, STRETCH);

      store_codes (&job, scaling, row, c, load_rotated<dtype> (job.src, row * job.cols + c, n, job.group, buffers), n,
                   scale);
      __syncthreads ();
    }
}

static cudaError_t
launch_rows (const QconvIntegerJob *job, Scaling scaling, const QconvCudaStream *stream)
{
  if (job->dtype == QCONV_F32)
    return launch (encode_row<QCONV_F32>, job->rows, THREADS, true, stream, *job, scaling);
  if (job->dtype == QCONV_F16)
    return launch (encode_row<QCONV_F16>, job->rows, THREADS, true, stream, *job, scaling);
  return launch (encode_row<QCONV_BF16>, job->rows, THREADS, true, stream, *job, scaling);
}

extern "C" cudaError_t
qconv_cuda_int8 (const QconvIntegerJob *job, const QconvCudaStream *stream)
{
  return launch_rows (job, TENSOR, stream);
}

extern "C" cudaError_t
qconv_cuda_int8_row (const QconvIntegerJob *job, const QconvCudaStream *stream)
{
  return launch_rows (job, INT8_ROW, stream);
}

extern "C" cudaError_t
qconv_cuda_int4_row (const QconvIntegerJob *job, const QconvCudaStream *stream)
{
  return launch_rows (job, INT4_ROW, stream);
}

/* A block of threads encodes a square with one scale: 32 threads side by side */
template <QconvDType dtype>
static __global__ void
encode_square (QconvIntegerJob job)
{
  __shared__ guint32 top;
  gsize row = blockIdx.x / job.across * job.block, col = blockIdx.x % job.across * job.block;
  gsize height = MIN (job.rows - row, job.block), width = MIN (job.cols - col, job.block);
  guint32 own = 0;
  float scale;

  if (threadIdx.x == 0)
    top = 0;
  __syncthreads ();
  for (gsize r = threadIdx.x / 32; r < height; r += THREADS / 32)
    for (gsize c = threadIdx.x % 32; c < width; c += 32)
      own = MAX (own, bits_of_f32 (widen_item (dtype, job.src, (row + r) * job.cols + col + c)) & 0x7fffffff);
  atomicMax (&top, own);
  __syncthreads ();
  scale = int8_block_scale (f32_of_bits (top));
  if (threadIdx.x == 0)
    job.scales[blockIdx.x] = scale;
  for (gsize r = threadIdx.x / 32; r < height; r += THREADS / 32)
    for (gsize c = threadIdx.x % 32; c < width; c += 32)
      {
        gsize at = (row + r) * job.cols + col + c;

        job.codes[at] = (guint8) int8_code (widen_item (dtype, job.src, at), scale);
      }
}

extern "C" cudaError_t
qconv_cuda_int8_block (const QconvIntegerJob *job, const QconvCudaStream *stream)
{
  gsize blocks = blocks_of (job->rows, job->block) * job->across;

  if (job->dtype == QCONV_F32)
    return launch (encode_square<QCONV_F32>, blocks, THREADS, true, stream, *job);
  if (job->dtype == QCONV_F16)
    return launch (encode_square<QCONV_F16>, blocks, THREADS, true, stream, *job);
  return launch (encode_square<QCONV_BF16>, blocks, THREADS, true, stream, *job);
}

extern "C" cudaError_t
qconv_cuda_int4_decode (const QconvRowDecodeJob *job, const QconvCudaStream *stream)
{
  return launch_units<QconvRowDecodeJob, int4_decode_unit> (job, job->rows * job->runs, stream);
}

extern "C" cudaError_t
qconv_cuda_int8_largest (const QconvRowDecodeJob *job, const QconvCudaStream *stream)
{
  return launch_units<QconvRowDecodeJob, int8_largest_unit> (job, job->rows * job->runs, stream);
}
