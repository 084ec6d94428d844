/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the operations of the CUDA backend: checks arguments as the CPU does, and starts kernels. data/operations.md
   states what each operation promises. */
#include "cuda-backend.h"
#include "kernels/jobs.h"

/* Makes the device of @stream the current one of this thread; kernels start on that one */
static gboolean
enter (const QconvCudaStream *stream, GError **error)
{
  return qconv_cuda_done (cudaSetDevice (stream->ordinal), "the device does not answer", error);
}

/* An operation whose job is taken by @take and run by @start */
#define DEFINE_OP(name, Job, take, start)                                                             \
  static gboolean run_##name (gpointer device, gpointer stream, const QconvArg *args, GError **error) \
  {                                                                                                   \
    Job job;                                                                                          \
                                                                                                      \
    return (take) && enter (stream, error)                                                            \
           && qconv_cuda_done (start (&job, stream), "operation " #name " does not start", error);    \
  }

DEFINE_OP (convert, QconvConvertJob, qconv_job_convert (&job, args, error), qconv_cuda_convert)
DEFINE_OP (amax, QconvMeasureJob, qconv_job_amax (&job, args, error), qconv_cuda_amax)
DEFINE_OP (nonfinite, QconvMeasureJob, qconv_job_nonfinite (&job, args, error), qconv_cuda_nonfinite)
DEFINE_OP (magnitudes, QconvMeasureJob, qconv_job_magnitudes (&job, args, error), qconv_cuda_magnitudes)
DEFINE_OP (squared_error, QconvErrorJob, qconv_job_error (&job, args, error), qconv_cuda_error)
DEFINE_OP (nvfp4_rtn, QconvNvfp4Job, qconv_job_nvfp4 (&job, args, FALSE, error), qconv_cuda_nvfp4)
DEFINE_OP (nvfp4_search, QconvNvfp4Job, qconv_job_nvfp4 (&job, args, TRUE, error), qconv_cuda_nvfp4)
DEFINE_OP (nvfp4_decode, QconvDecode4Job, qconv_job_decode4 (&job, QCONV_NVFP4, args, error), qconv_cuda_decode4)
DEFINE_OP (nvfp4_decode_divided, QconvDecode4Job, qconv_job_decode4 (&job, QCONV_NVFP4_DIVIDED, args, error),
           qconv_cuda_decode4)
DEFINE_OP (mxfp4_decode, QconvDecode4Job, qconv_job_decode4 (&job, QCONV_MXFP4, args, error), qconv_cuda_decode4)

const QconvOp qconv_cuda_ops[] = {
  { "amax", 1, "bb", run_amax },
  { "nonfinite", 1, "bb", run_nonfinite },
  { "convert", 1, "bb", run_convert },
  { "magnitudes", 1, "bb", run_magnitudes },
  { "squared-error", 1, "bbbii", run_squared_error },
  { "nvfp4-encode-rtn", 1, "bbbbii", run_nvfp4_rtn },
  { "nvfp4-encode-search", 1, "bbbbii", run_nvfp4_search },
  { "nvfp4-decode", 1, "bbbbii", run_nvfp4_decode },
  { "nvfp4-decode-divided", 1, "bbbbii", run_nvfp4_decode_divided },
  { "mxfp4-decode", 1, "bbbii", run_mxfp4_decode },
  { .name = NULL },
};
