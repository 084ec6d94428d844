/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation "convert" on a device: a thread for every run of items. */
#include "launch.h"

template <QconvDType from>
static cudaError_t
convert (const QconvConvertJob *job, const QconvCudaStream *stream)
{
  return launch_units_of_type<QconvConvertJob, convert_unit, from> (job, blocks_of (job->n, QCONV_CONVERT_RUN), stream);
}

extern "C" cudaError_t
qconv_cuda_convert (const QconvConvertJob *job, const QconvCudaStream *stream)
{
  if (job->from == job->to)
    return job->n == 0 ? cudaSuccess
                       : cudaMemcpyAsync (job->dst, job->src, job->n * item_bytes (job->to), cudaMemcpyDeviceToDevice,
                                          stream->handle);
#define CASE(dtype)   \
  case QCONV_##dtype: \
    return convert<QCONV_##dtype> (job, stream)
  switch ((int) job->from)
    {
      CASE (F64);
      CASE (F16);
      CASE (BF16);
      CASE (F8_E4M3);
      CASE (F8_E5M2);
      CASE (F8_E8M0);
      CASE (I8);
      CASE (I16);
      CASE (I32);
      CASE (I64);
      CASE (U8);
      CASE (U16);
      CASE (U32);
      CASE (U64);
      CASE (BOOL);
    default:
      return convert<QCONV_F32> (job, stream);
    }
#undef CASE
}

extern "C" cudaError_t
qconv_cuda_probe (void)
{
  cudaFuncAttributes attributes;

  return cudaFuncGetAttributes (&attributes,
                                (const void *) each_unit_of_type<QconvConvertJob, convert_unit, QCONV_BF16>);
}
