/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation "awq-decode" on a device: a thread for every 8 columns. */
#include "launch.h"

#include "kernels/items/awq.h"

extern "C" cudaError_t
qconv_cuda_awq (const QconvAwqJob *job, const QconvCudaStream *stream)
{
  return launch_units<QconvAwqJob, awq_unit> (job, job->rows * job->runs, stream);
}
