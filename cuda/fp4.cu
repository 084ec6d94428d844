/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NVFP4 and MXFP4 on a device: a thread for every block to encode, and for every 8 columns to decode. */
#include "launch.h"

extern "C" cudaError_t
qconv_cuda_nvfp4 (const QconvNvfp4Job *job, const QconvCudaStream *stream)
{
  return launch_units_of_weights<QconvNvfp4Job, nvfp4_encode_unit> (job, job->rows * job->blocks, job->dtype, stream);
}

extern "C" cudaError_t
qconv_cuda_decode4 (const QconvDecode4Job *job, const QconvCudaStream *stream)
{
  return launch_units<QconvDecode4Job, decode4_unit> (job, job->rows * job->runs, stream);
}
