/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the arguments of the operations on plain tensors, of products, and of blocks of 4 bits. */
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

gboolean
qconv_job_ggml (QconvGgmlJob *job, const QconvArg *args, gsize block_bytes, gsize block_items, GError **error)
{
  const guint32 bytes = QCONV_MASK (QCONV_OPAQUE) | QCONV_MASK (QCONV_U8);

  if (!qconv_kernel_count (&args[2], "the number of blocks", &job->n, error)
      || !qconv_kernel_fits (&args[0], "the buffer of blocks", bytes, job->n, block_bytes, error)
      || !qconv_kernel_fits (&args[1], "the decoded buffer", QCONV_MASK (QCONV_F32), job->n, block_items, error))
    return FALSE;
  job->blocks = qconv_kernel_in (&args[0]);
  job->dst = qconv_kernel_out (&args[1]);
  job->grids = NULL;
  return TRUE;
}

/* Arguments: codes, scales, zeros, group of each column if @indexed, destination, rows, columns, and the number of
   groups if @indexed, else the columns of a group */
gboolean
qconv_job_gptq (QconvGptqJob *job, const QconvArg *args, gboolean indexed, GError **error)
{
  const QconvArg *dst = &args[3 + indexed], *size = dst + 1;
  gsize last;

  if (!qconv_kernel_count (&size[0], "rows", &job->rows, error)
      || !qconv_kernel_count (&size[1], "cols", &job->cols, error)
      || !qconv_kernel_count (&size[2], indexed ? "groups" : "group", &last, error))
    return FALSE;
  if (last == 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "there are no groups, or they have no columns");
  job->group = MIN (last, MAX (job->cols, 1));
  job->groups = indexed ? last : job->cols / job->group + (job->cols % job->group != 0);
  job->runs = job->cols / QCONV_GPTQ_RUN + (job->cols % QCONV_GPTQ_RUN != 0);
  job->packed = qconv_buffer_dtype (args[0].buffer) == QCONV_U4;
  job->codes = qconv_kernel_in (&args[0]);
  job->scales = qconv_kernel_in (&args[1]);
  job->zeros = qconv_kernel_in (&args[2]);
  job->index = indexed ? qconv_kernel_in (&args[3]) : NULL;
  job->dst = qconv_kernel_out (dst);
  return qconv_kernel_fits (&args[0], "codes", QCONV_MASK (QCONV_U4) | QCONV_MASK (QCONV_U8), job->rows, job->cols,
                            error)
         && qconv_kernel_fits (&args[1], "scale", QCONV_MASK (QCONV_F32), job->rows, job->groups, error)
         && qconv_kernel_fits (&args[2], "zero", QCONV_MASK (QCONV_I16), job->rows, job->groups, error)
         && (!indexed || qconv_kernel_fits (&args[3], "group_index", QCONV_MASK (QCONV_I32), 1, job->cols, error))
         && qconv_kernel_fits (dst, "destination", QCONV_MASK (QCONV_F32), job->rows, job->cols, error);
}

gboolean
qconv_job_gptq_no_group (const QconvGptqJob *job, gsize column, gint32 index, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_INPUT,
                     "column %" G_GSIZE_FORMAT " is of group %d, but there are %" G_GSIZE_FORMAT " groups", column,
                     index, job->groups);
}

gboolean
qconv_job_scaled (QconvScaledJob *job, const QconvArg *args, GError **error)
{
  job->w = qconv_kernel_out (&args[0]);
  job->x = qconv_kernel_in (&args[1]);
  job->scale = (float) args[2].f;
  if (!qconv_kernel_fits (&args[0], "sums", QCONV_MASK (QCONV_F32), 0, 0, error)
      || !qconv_kernel_fits (&args[1], "other", QCONV_MASK (QCONV_F32), 0, 0, error))
    return FALSE;
  job->n = qconv_kernel_items (&args[0]);
  return job->n == qconv_kernel_items (&args[1])
         || qconv_fail (error, QCONV_ERROR_BUG, "sums have %" G_GSIZE_FORMAT " items, other has %" G_GSIZE_FORMAT,
                        job->n, qconv_kernel_items (&args[1]));
}

gboolean
qconv_job_product (QconvProductJob *job, const QconvArg *args, GError **error)
{
  job->w = qconv_kernel_out (&args[0]);
  job->left = qconv_kernel_in (&args[1]);
  job->right = qconv_kernel_in (&args[2]);
  job->scale = (float) args[6].f;
  return qconv_kernel_count (&args[3], "rows", &job->rows, error)
         && qconv_kernel_count (&args[4], "cols", &job->cols, error)
         && qconv_kernel_count (&args[5], "rank", &job->rank, error)
         && qconv_kernel_fits (&args[0], "sums", QCONV_MASK (QCONV_F32), job->rows, job->cols, error)
         && qconv_kernel_fits (&args[1], "left", QCONV_MASK (QCONV_F32), job->rows, job->rank, error)
         && qconv_kernel_fits (&args[2], "right", QCONV_MASK (QCONV_F32), job->rank, job->cols, error);
}

/* Reads the distance between the rows of a transposed matrix, and checks that the last row ends within the buffer */
static gboolean
take_stride (const QconvArg *args, QconvThinJob *job, GError **error)
{
  gsize all = 0;

  if (!qconv_kernel_count (&args[6], "stride", &job->stride, error))
    return FALSE;
  if (job->stride < job->rows)
    return qconv_fail (error, QCONV_ERROR_BUG, "the stride is below the number of columns");
  if (job->depth > 0
      && (!g_size_checked_mul (&all, job->depth - 1, job->stride) || !g_size_checked_add (&all, all, job->rows)))
    return qconv_fail (error, QCONV_ERROR_BUG, "the matrix is beyond all memory");
  return qconv_kernel_fits (&args[0], "matrix", QCONV_MASK (QCONV_F32), 1, all, error);
}

gboolean
qconv_job_thin (QconvThinJob *job, const QconvArg *args, gboolean transposed, GError **error)
{
  gsize rows, columns;

  if (!qconv_kernel_count (&args[3], "rows", &rows, error) || !qconv_kernel_count (&args[4], "cols", &columns, error)
      || !qconv_kernel_count (&args[5], "width", &job->width, error))
    return FALSE;
  job->transposed = transposed;
  job->rows = transposed ? columns : rows;
  job->depth = transposed ? rows : columns;
  job->stride = 0;
  job->matrix = qconv_kernel_in (&args[0]);
  job->factor = qconv_kernel_in (&args[1]);
  job->product = qconv_kernel_out (&args[2]);
  return (transposed ? take_stride (args, job, error)
                     : qconv_kernel_fits (&args[0], "matrix", QCONV_MASK (QCONV_F32), rows, columns, error))
         && qconv_kernel_fits (&args[1], "factor", QCONV_MASK (QCONV_F32), job->depth, job->width, error)
         && qconv_kernel_fits (&args[2], "product", QCONV_MASK (QCONV_F32), job->rows, job->width, error);
}

gboolean
qconv_job_gram (QconvGramJob *job, const QconvArg *args, GError **error)
{
  job->matrix = qconv_kernel_in (&args[0]);
  job->gram = qconv_kernel_out (&args[1]);
  return qconv_kernel_count (&args[2], "rows", &job->rows, error)
         && qconv_kernel_count (&args[3], "width", &job->width, error)
         && qconv_kernel_fits (&args[0], "matrix", QCONV_MASK (QCONV_F32), job->rows, job->width, error)
         && qconv_kernel_fits (&args[1], "gram", QCONV_MASK (QCONV_F64), job->width, job->width, error);
}
