/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "amax", "nonfinite", "magnitudes" and "squared-error" on a device. */
#include "launch.h"

#define RUN 8           /* items that a thread loads at once */
#define FEW_BLOCKS 2048 /* of kernels whose blocks all add to one number */
#define LANES QCONV_ERROR_LANES
#define ROWS_AT_ONCE (QCONV_CUDA_SCRATCH / (2 * sizeof (double)))

/* Starts @kernel with enough threads for the runs of the job's items */
template <typename... Args>
static cudaError_t
launch_over_runs (void (*kernel) (Args...), const QconvMeasureJob *job, const QconvCudaStream *stream, Args... args)
{
  return launch (kernel, MIN (blocks_of (job->n, RUN * THREADS), FEW_BLOCKS), THREADS, true, stream, args...);
}

template <QconvDType dtype>
static __global__ void
find_top (QconvMeasureJob job, guint32 *top_of_all)
{
  guint32 top = 0;

  for (gsize i = ((gsize) blockIdx.x * blockDim.x + threadIdx.x) * RUN; i < job.n;
       i += (gsize) gridDim.x * blockDim.x * RUN)
    {
      float x[RUN];

      load_run (dtype, job.src, i, job.n - i, x, RUN);
      for (guint k = 0; k < RUN; k++)
        top = MAX (top, bits_of_f32 (x[k]) & 0x7fffffff);
    }
  for (guint width = 16; width > 0; width /= 2)
    {
      guint32 other = __shfl_xor_sync (ALL_LANES, top, width);

      top = MAX (top, other);
    }
  if (threadIdx.x % 32 == 0)
    atomicMax (top_of_all, top);
}

/* NaN is no larger than any number */
static __global__ void
keep_top (const guint32 *top_of_all, float *dst)
{
  float top = f32_of_bits (*top_of_all);

  if (top > *dst)
    *dst = top;
}

extern "C" cudaError_t
qconv_cuda_top_bits (const QconvMeasureJob *job, const QconvCudaStream *stream)
{
  guint32 *top = (guint32 *) stream->scratch;
  cudaError_t error = cudaMemsetAsync (top, 0, sizeof *top, stream->handle);

  if (error == cudaSuccess && job->dtype == QCONV_F32)
    error = launch_over_runs (find_top<QCONV_F32>, job, stream, *job, top);
  else if (error == cudaSuccess && job->dtype == QCONV_F16)
    error = launch_over_runs (find_top<QCONV_F16>, job, stream, *job, top);
  else if (error == cudaSuccess)
    error = launch_over_runs (find_top<QCONV_BF16>, job, stream, *job, top);
  return error;
}

extern "C" cudaError_t
qconv_cuda_amax (const QconvMeasureJob *job, const QconvCudaStream *stream)
{
  const guint32 *top = (const guint32 *) stream->scratch;
  cudaError_t error = qconv_cuda_top_bits (job, stream);

  return error != cudaSuccess ? error : launch (keep_top, 1, 1, false, stream, top, (float *) job->dst);
}

template <QconvDType dtype>
static __global__ void
count_nonfinite (QconvMeasureJob job)
{
  guint32 found = 0;

  for (gsize i = ((gsize) blockIdx.x * blockDim.x + threadIdx.x) * RUN; i < job.n;
       i += (gsize) gridDim.x * blockDim.x * RUN)
    {
      float x[RUN];

      load_run (dtype, job.src, i, job.n - i, x, RUN);
      for (guint k = 0; k < RUN; k++)
        found += (bits_of_f32 (x[k]) & 0x7fffffff) >= 0x7f800000;
    }
  for (guint width = 16; width > 0; width /= 2)
    found += __shfl_xor_sync (ALL_LANES, found, width);
  if (threadIdx.x % 32 == 0 && found > 0)
    atomicAdd ((unsigned long long *) job.dst, (unsigned long long) found);
}

/* FP64 may become Inf when it becomes F32, so its bits decide */
static __global__ void
count_nonfinite_f64 (QconvMeasureJob job)
{
  const guint64 *x = (const guint64 *) job.src;
  QconvNonFinite bits = nonfinite_bits (QCONV_F64);

  for (gsize i = (gsize) blockIdx.x * blockDim.x + threadIdx.x; i < job.n; i += (gsize) gridDim.x * blockDim.x)
    if ((x[i] & bits.mask) >= bits.least)
      atomicAdd ((unsigned long long *) job.dst, 1ull);
}

extern "C" cudaError_t
qconv_cuda_nonfinite (const QconvMeasureJob *job, const QconvCudaStream *stream)
{
  switch ((int) job->dtype)
    {
    case QCONV_F64:
      return launch (count_nonfinite_f64, blocks_of (job->n, THREADS), THREADS, false, stream, *job);
    case QCONV_F32:
      return launch_over_runs (count_nonfinite<QCONV_F32>, job, stream, *job);
    case QCONV_F16:
      return launch_over_runs (count_nonfinite<QCONV_F16>, job, stream, *job);
    case QCONV_BF16:
      return launch_over_runs (count_nonfinite<QCONV_BF16>, job, stream, *job);
    case QCONV_F8_E4M3:
      return launch_over_runs (count_nonfinite<QCONV_F8_E4M3>, job, stream, *job);
    default:
      return launch_over_runs (count_nonfinite<QCONV_F8_E5M2>, job, stream, *job);
    }
}

static __global__ void
count_magnitudes (QconvMeasureJob job)
{
  guint32 *words = (guint32 *) job.dst, flags = job.dtype == QCONV_F16 ? QCONV_FLAG_F16 : 0;

  for (gsize i = (gsize) blockIdx.x * blockDim.x + threadIdx.x; i < job.n; i += (gsize) gridDim.x * blockDim.x)
    {
      guint32 bits, magnitude;

      if (job.dtype == QCONV_F32)
        {
          bits = ((const guint32 *) job.src)[i];
          magnitude = bf16_magnitude (bits);
          flags |= (bits & 0xffff) != 0 ? QCONV_FLAG_ROUNDED : 0;
        }
      else
        magnitude = ((const guint16 *) job.src)[i] & 0x7fff;
      atomicAdd (words + QCONV_WORD_COUNTS + magnitude, 1u);
    }
  if ((words[QCONV_WORD_FLAGS] | flags) != words[QCONV_WORD_FLAGS])
    atomicOr (words + QCONV_WORD_FLAGS, flags);
}

extern "C" cudaError_t
qconv_cuda_magnitudes (const QconvMeasureJob *job, const QconvCudaStream *stream)
{
  cudaError_t error = qconv_cuda_amax (job, stream);

  /* an empty tensor of F16 sets its flag too */
  return error != cudaSuccess ? error
                              : launch (count_magnitudes, MAX (1, MIN (blocks_of (job->n, THREADS), FEW_BLOCKS)),
                                        THREADS, false, stream, *job);
}

/* Adds up single rows from @first on: 16 threads for each, one for every lane */
static __global__ void
sum_rows (QconvErrorJob job, gsize first, gsize n, double *sums)
{
  gsize row = (gsize) blockIdx.x * (THREADS / LANES) + threadIdx.x / LANES;
  double difference = 0.0, reference = 0.0;

  for (gsize c = threadIdx.x % LANES; row < n && c < job.cols; c += LANES)
    {
      gsize at = (first + row) * job.cols + c;
      double ref = reference_item (job.dtype, job.ref, at), d = ref - (double) job.got[at];

      difference += d * d;
      reference += ref * ref;
    }
  for (guint width = LANES / 2; width > 0; width /= 2)
    {
      difference += __shfl_xor_sync (ALL_LANES, difference, width);
      reference += __shfl_xor_sync (ALL_LANES, reference, width);
    }
  if (row < n && threadIdx.x % LANES == 0)
    {
      sums[2 * row] = difference;
      sums[2 * row + 1] = reference;
    }
}

/* Adds the sums of rows in their order */
static __global__ void
add_rows (const double *sums, gsize n, double *out)
{
  double difference = out[0], reference = out[1];

  for (gsize i = 0; i < n; i++)
    {
      difference += sums[2 * i];
      reference += sums[2 * i + 1];
    }
  out[0] = difference;
  out[1] = reference;
}

extern "C" cudaError_t
qconv_cuda_error (const QconvErrorJob *job, const QconvCudaStream *stream)
{
  double *sums = (double *) stream->scratch;
  cudaError_t error = cudaSuccess;

  for (gsize row = 0; row < job->rows && error == cudaSuccess; row += ROWS_AT_ONCE)
    {
      gsize n = MIN (job->rows - row, ROWS_AT_ONCE);

      error = launch (sum_rows, blocks_of (n * LANES, THREADS), THREADS, true, stream, *job, row, n, sums);
      if (error == cudaSuccess)
        error = launch (add_rows, 1, 1, false, stream, (const double *) sums, n, job->out);
    }
  return error;
}
