/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "int4-group-encode-…" on a device: 16 threads for every group. */
#include "sixteens.h"

#include "kernels/items/integers.h"

static __device__ float
error_of (const float *w, gsize n, float scale)
{
  float sum = 0.0f;

  for (gsize i = sixteen_lane (); i < n; i += INT4_SUMS)
    sum += int4_error (w[i], scale);
  return sum_of_sixteen (sum);
}

static __device__ float
search_scale (const QconvInt4GroupJob *job, const float *w, float first)
{
  float best = first, least = error_of (w, job->group, first);

  for (guint i = 1; i < INT4_SCALES; i++)
    {
      float scale = int4_scale_to_try (job, i, first), error = error_of (w, job->group, scale);

      if (error < least)
        {
          least = error;
          best = scale;
        }
    }
  return best;
}

static __global__ void
encode_group (QconvInt4GroupJob job)
{
  gsize group = sixteen_number ();
  const float *w = job.src + group * job.group;
  float top = 0.0f, scale;

  if (group >= job.n_groups)
    return;
  for (gsize i = sixteen_lane (); i < job.group; i += SIXTEEN)
    top = magnitude_of (w[i]) > top ? magnitude_of (w[i]) : top;
  top = top_of_sixteen (top);
  scale = int4_stored_scale (job.stored, top / 7.0f);
  if (job.search && top > 0.0f)
    scale = search_scale (&job, w, scale);
  if (sixteen_lane () == 0)
    job.scales[group] = scale;
  for (gsize i = sixteen_lane (); i < job.group / 2; i += SIXTEEN)
    job.codes[group * (job.group / 2) + i]
        = (guint8) (int4_code (w[2 * i], scale) | int4_code (w[2 * i + 1], scale) << 4);
}

extern "C" cudaError_t
qconv_cuda_int4_group (const QconvInt4GroupJob *job, const QconvCudaStream *stream)
{
  return launch (encode_group, blocks_of (job->n_groups, SIXTEENS), THREADS, true, stream, *job);
}
