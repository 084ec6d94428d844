/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FP8 and MXFP8 on a device. A block of threads encodes a tile: in a search each factor has a group of 16 threads, one
   for each partial sum. */
#include "launch.h"

#include "kernels/items/fp8.h"

#define SEARCH_THREADS (FP8_N_SCALES * FP8_SUMS)
#define FEW_THREADS 64 /* for small tiles */

extern "C" cudaError_t
qconv_cuda_fp8 (const QconvFp8Job *job, const QconvCudaStream *stream)
{
  return launch_units_of_weights<QconvFp8Job, fp8_encode_unit> (job, blocks_of (job->n, QCONV_FP8_RUN), job->dtype,
                                                                stream);
}

extern "C" cudaError_t
qconv_cuda_tile_decode (const QconvTileDecodeJob *job, const QconvCudaStream *stream)
{
  gsize n = job->tiles.rows * job->runs;

  if (job->dtype == QCONV_F8_E4M3)
    return launch_units_of_type<QconvTileDecodeJob, tile_decode_unit, QCONV_F8_E4M3> (job, n, stream);
  if (job->dtype == QCONV_F8_E5M2)
    return launch_units_of_type<QconvTileDecodeJob, tile_decode_unit, QCONV_F8_E5M2> (job, n, stream);
  return launch_units_of_type<QconvTileDecodeJob, tile_decode_unit, QCONV_I8> (job, n, stream);
}

extern "C" cudaError_t
qconv_cuda_mxfp8_encode (const QconvMxfp8Job *job, const QconvCudaStream *stream)
{
  return launch_units_of_weights<QconvMxfp8Job, mxfp8_encode_unit> (job, job->rows * job->blocks, job->dtype, stream);
}

extern "C" cudaError_t
qconv_cuda_mxfp8_decode (const QconvMxfp8Job *job, const QconvCudaStream *stream)
{
  return launch_units<QconvMxfp8Job, mxfp8_decode_unit> (job, job->rows * job->runs, stream);
}

/* Sums up the errors of the weights of a tile for one factor: those that go to sum @lane */
template <QconvDType dtype>
static __device__ float
sum_errors (const QconvFp8TileJob *job, const QconvTile *tile, float factor, guint lane)
{
  float sum = 0.0f;

  for (gsize r = 0; r < tile->height; r++)
    for (gsize c = lane; c < tile->width; c += FP8_SUMS)
      {
        gsize at = (tile->row + r) * job->tiles.cols + tile->col + c;

        sum += fp8_error (magnitude_of (widen_item (dtype, job->src, at)), factor);
      }
  return sum;
}

/* Returns the factor with the least error, the first one if several have it. All threads of the block call it */
template <QconvDType dtype>
static __device__ float
search_factor (const QconvFp8TileJob *job, const QconvTile *tile, float amax)
{
  __shared__ double errors[FP8_N_SCALES];
  guint mine = threadIdx.x / FP8_SUMS, best = 0;
  float candidates[FP8_N_SCALES], sum;

  fp8_candidates (amax, candidates);
  sum = sum_errors<dtype> (job, tile, candidates[mine], threadIdx.x % FP8_SUMS);
  for (guint width = FP8_SUMS / 2; width > 0; width /= 2)
    sum += __shfl_xor_sync (ALL_LANES, sum, width);
  if (threadIdx.x % FP8_SUMS == 0)
    errors[mine] = fp8_error_of_sum (sum, candidates[mine], amax);
  __syncthreads ();
  for (guint i = 1; i < FP8_N_SCALES; i++)
    best = errors[i] < errors[best] ? i : best;
  return candidates[best];
}

/* A block of threads encodes a tile. They lie over it like a tile of their own, @across threads wide, a power of two */
template <QconvDType dtype>
static __global__ void
encode_tile (QconvFp8TileJob job, guint across)
{
  __shared__ guint32 top;
  QconvTile tile = tile_at (&job.tiles, blockIdx.x);
  guint x = threadIdx.x & (across - 1), y = threadIdx.x / across, down = blockDim.x / across;
  guint32 own = 0;
  float amax, factor;

  if (threadIdx.x == 0)
    top = 0;
  __syncthreads ();
  for (gsize r = y; r < tile.height; r += down)
    for (gsize c = x; c < tile.width; c += across)
      own = MAX (own, bits_of_f32 (widen_item (dtype, job.src, (tile.row + r) * job.tiles.cols + tile.col + c))
                          & 0x7fffffff);
  atomicMax (&top, own);
  __syncthreads ();
  amax = f32_of_bits (top);
  factor = job.search && amax > 0.0f ? search_factor<dtype> (&job, &tile, amax) : fp8_factor (amax);
  if (threadIdx.x == 0)
    job.scales[blockIdx.x] = 1.0f / factor;
  for (gsize r = y; r < tile.height; r += down)
    for (gsize c = x; c < tile.width; c += across)
      {
        gsize at = (tile.row + r) * job.tiles.cols + tile.col + c;

        job.codes[at] = fp8_of_f32 (widen_item (dtype, job.src, at) * factor, FP8_E4M3);
      }
}

extern "C" cudaError_t
qconv_cuda_fp8_tile (const QconvFp8TileJob *job, const QconvCudaStream *stream)
{
  gsize n = job->tiles.down * job->tiles.across;
  guint across = 32, threads = SEARCH_THREADS;

  while (!job->search && threads > FEW_THREADS && threads > job->tiles.width * job->tiles.height / 4)
    threads /= 2;
  while (across < threads && across < job->tiles.width)
    across *= 2;
  if (job->dtype == QCONV_F32)
    return launch (encode_tile<QCONV_F32>, n, threads, true, stream, *job, across);
  if (job->dtype == QCONV_F16)
    return launch (encode_tile<QCONV_F16>, n, threads, true, stream, *job, across);
  return launch (encode_tile<QCONV_BF16>, n, threads, true, stream, *job, across);
}
