/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "w4a8-encode" and "w4a8-decode" on a device. To encode, a block of threads has a row, of which each
   thread takes groups; to decode, a thread has 8 columns. */
#include "launch.h"

#include "kernels/items/w4a8.h"

/* Own scales are found twice rather than stored: all rows run at once, and the scratch holds those of one */
static __global__ void
encode_row (QconvW4a8Job job)
{
  __shared__ guint32 top;
  gsize row = blockIdx.x, first = row * job.groups;
  float peak = 0.0f, row_scale;

  if (threadIdx.x == 0)
    top = 0;
  __syncthreads ();
  for (gsize k = threadIdx.x; k < job.groups; k += THREADS)
    {
      const float *w = job.src + (first + k) * job.group;
      float of_group = w4a8_peak (&job, w, w4a8_own_scale (&job, w));

      peak = MAX (peak, of_group);
    }
  atomicMax (&top, bits_of_f32 (peak));
  __syncthreads ();
  row_scale = w4a8_row_scale (f32_of_bits (top));
  if (threadIdx.x == 0)
    job.row_scales[row] = row_scale;
  for (gsize k = threadIdx.x; k < job.groups; k += THREADS)
    w4a8_finish_group (&job, first + k, w4a8_own_scale (&job, job.src + (first + k) * job.group), row_scale);
}

extern "C" cudaError_t
qconv_cuda_w4a8 (const QconvW4a8Job *job, const QconvCudaStream *stream)
{
  return launch (encode_row, job->rows, THREADS, true, stream, *job);
}

extern "C" cudaError_t
qconv_cuda_w4a8_top (const QconvW4a8Job *job, const QconvCudaStream *stream, float *top)
{
  const QconvMeasureJob weights = { QCONV_F32, job->src, NULL, job->rows * job->cols };
  cudaError_t error = qconv_cuda_top_bits (&weights, stream);

  if (error == cudaSuccess)
    error = cudaMemcpyAsync (top, stream->scratch, sizeof *top, cudaMemcpyDeviceToHost, stream->handle);
  return error == cudaSuccess ? cudaStreamSynchronize (stream->handle) : error;
}

extern "C" cudaError_t
qconv_cuda_w4a8_decode (const QconvW4a8DecodeJob *job, const QconvCudaStream *stream)
{
  return launch_units<QconvW4a8DecodeJob, w4a8_decode_unit> (job, job->rows * job->runs, stream);
}
