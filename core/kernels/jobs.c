/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the arguments of the operations on plain tensors and 4-bit floats. */
#include "kernels/jobs.h"

gboolean
qconv_job_convert (QconvConvertJob *job, const QconvArg *args, GError **error)
{
  const guint32 floats = QCONV_MASK_WEIGHTS | QCONV_MASK (QCONV_F64);
  const guint32 others = QCONV_MASK (QCONV_F8_E4M3) | QCONV_MASK (QCONV_F8_E5M2) | QCONV_MASK (QCONV_F8_E8M0)
                         | QCONV_MASK (QCONV_I8) | QCONV_MASK (QCONV_I16) | QCONV_MASK (QCONV_I32)
                         | QCONV_MASK (QCONV_I64) | QCONV_MASK (QCONV_U8) | QCONV_MASK (QCONV_U16)
                         | QCONV_MASK (QCONV_U32) | QCONV_MASK (QCONV_U64) | QCONV_MASK (QCONV_BOOL);

  job->from = qconv_buffer_dtype (args[0].buffer);
  job->to = qconv_buffer_dtype (args[1].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->dst = qconv_kernel_out (&args[1]);
  if (!qconv_kernel_fits (&args[0], "source", job->to == QCONV_F32 ? floats | others : floats, 0, 0, error)
      || !qconv_kernel_fits (&args[1], "destination", floats, 0, 0, error))
    return FALSE;
  job->n = qconv_kernel_items (&args[0]);
  if (job->n != qconv_kernel_items (&args[1]))
    return qconv_fail (error, QCONV_ERROR_BUG, "source has %" G_GSIZE_FORMAT " items, destination has %" G_GSIZE_FORMAT,
                       job->n, qconv_kernel_items (&args[1]));
  return TRUE;
}

/* Takes the source, whose type must be in @from, and the result, @n items of the type @to */
static gboolean
take_measure (QconvMeasureJob *job, const QconvArg *args, guint32 from, QconvDType to, gsize n, GError **error)
{
  if (!qconv_kernel_fits (&args[0], "source", from, 0, 0, error)
      || !qconv_kernel_fits (&args[1], "result", QCONV_MASK (to), 1, n, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->dst = qconv_kernel_out (&args[1]);
  job->n = qconv_kernel_items (&args[0]);
  return TRUE;
}

gboolean
qconv_job_amax (QconvMeasureJob *job, const QconvArg *args, GError **error)
{
  return take_measure (job, args, QCONV_MASK_WEIGHTS, QCONV_F32, 1, error);
}

gboolean
qconv_job_nonfinite (QconvMeasureJob *job, const QconvArg *args, GError **error)
{
  const guint32 from
      = QCONV_MASK_WEIGHTS | QCONV_MASK (QCONV_F64) | QCONV_MASK (QCONV_F8_E4M3) | QCONV_MASK (QCONV_F8_E5M2);

  return take_measure (job, args, from, QCONV_U64, 1, error);
}

gboolean
qconv_job_magnitudes (QconvMeasureJob *job, const QconvArg *args, GError **error)
{
  return take_measure (job, args, QCONV_MASK_WEIGHTS, QCONV_F32, QCONV_WORD_COUNTS + QCONV_MAGNITUDES, error);
}

gboolean
qconv_job_error (QconvErrorJob *job, const QconvArg *args, GError **error)
{
  if (!qconv_kernel_count (&args[3], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[4], "cols", &job->cols, error)
      || !qconv_kernel_fits (&args[0], "reference", QCONV_MASK_WEIGHTS | QCONV_MASK (QCONV_F64), job->rows, job->cols,
                             error)
      || !qconv_kernel_fits (&args[1], "other", QCONV_MASK (QCONV_F32), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[2], "sums", QCONV_MASK (QCONV_F64), 1, 2, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->ref = qconv_kernel_in (&args[0]);
  job->got = qconv_kernel_in (&args[1]);
  job->out = qconv_kernel_out (&args[2]);
  return TRUE;
}

gboolean
qconv_job_nvfp4 (QconvNvfp4Job *job, const QconvArg *args, gboolean search, GError **error)
{
  if (!qconv_kernel_count (&args[4], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[5], "cols", &job->cols, error))
    return FALSE;
  job->blocks = job->cols / QCONV_NVFP4_BLOCK + (job->cols % QCONV_NVFP4_BLOCK != 0);
  if (!qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "codes", QCONV_MASK (QCONV_U4), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[2], "block_scale", QCONV_MASK (QCONV_F8_E4M3), job->rows, job->blocks, error)
      || !qconv_kernel_fits (&args[3], "tensor_scale", QCONV_MASK (QCONV_F32), 1, 1, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->codes = qconv_kernel_out (&args[1]);
  job->scales = qconv_kernel_out (&args[2]);
  job->tensor_scale = qconv_kernel_in (&args[3]);
  job->search = search;
  return TRUE;
}

gboolean
qconv_job_decode4 (QconvDecode4Job *job, QconvDecode4 how, const QconvArg *args, GError **error)
{
  const QconvArg *tensor_scale = how == QCONV_MXFP4 ? NULL : &args[2];
  const QconvArg *dst = &args[tensor_scale != NULL ? 3 : 2], *size = dst + 1;
  QconvDType scale_dtype = how == QCONV_MXFP4 ? QCONV_F8_E8M0 : QCONV_F8_E4M3;

  if (!qconv_kernel_count (&size[0], "rows", &job->rows, error)
      || !qconv_kernel_count (&size[1], "cols", &job->cols, error))
    return FALSE;
  job->how = how;
  job->block = how == QCONV_MXFP4 ? 32 : 16;
  job->blocks = job->cols / job->block + (job->cols % job->block != 0);
  job->runs = job->cols / QCONV_DECODE4_RUN + (job->cols % QCONV_DECODE4_RUN != 0);
  if ((tensor_scale != NULL && !qconv_kernel_fits (tensor_scale, "tensor_scale", QCONV_MASK (QCONV_F32), 1, 1, error))
      || !qconv_kernel_fits (&args[0], "codes", QCONV_MASK (QCONV_U4), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "block_scale", QCONV_MASK (scale_dtype), job->rows, job->blocks, error)
      || !qconv_kernel_fits (dst, "destination", QCONV_MASK (QCONV_F32), job->rows, job->cols, error))
    return FALSE;
  job->codes = qconv_kernel_in (&args[0]);
  job->scales = qconv_kernel_in (&args[1]);
  job->tensor_scale = tensor_scale != NULL ? qconv_kernel_in (tensor_scale) : NULL;
  job->dst = qconv_kernel_out (dst);
  return TRUE;
}
