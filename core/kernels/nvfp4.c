/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "nvfp4-encode-rtn" and "-search": checks arguments, walks rows, pads the last block of a row. */
#include "kernels/nvfp4.h"

typedef struct {
  QconvDType dtype;
  const guint8 *src;
  guint8 *codes, *scales;
  float tensor_scale;
  gsize rows, cols;
  gboolean search;
} Job;

/* Encodes the weights behind the last whole block of a row, padded with zeros. */
static void
encode_row_end (const Job *job, const guint8 *src, gsize n, guint8 *codes, guint8 *scale)
{
  float padded[QCONV_NVFP4_BLOCK] = { 0 };
  guint8 packed[QCONV_NVFP4_BLOCK_BYTES];
  const QconvNvfp4Run run = { QCONV_F32, padded, 1, packed, scale, job->tensor_scale, job->search };

  QCONV_LEVEL_NAME (qconv_widen) (job->dtype, src, padded, n);
  QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (&run);
  memcpy (codes, packed, (n + 1) / 2);
}

static void
encode_rows (const Job *job)
{
  gsize item = qconv_dtype_bits (job->dtype) / 8, whole = job->cols / QCONV_NVFP4_BLOCK;
  gsize rest = job->cols % QCONV_NVFP4_BLOCK, code_bytes = (job->cols + 1) / 2, blocks = whole + (rest > 0);
  gsize n_rows = rest > 0 ? job->rows : 1, n_blocks = rest > 0 ? whole : whole * job->rows;

  for (gsize r = 0; r < n_rows; r++)
    {
      const guint8 *src = job->src + r * job->cols * item;
      guint8 *codes = job->codes + r * code_bytes, *scales = job->scales + r * blocks;
      const QconvNvfp4Run run = { job->dtype, src, n_blocks, codes, scales, job->tensor_scale, job->search };

      QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (&run);
      if (rest > 0)
        encode_row_end (job, src + whole * QCONV_NVFP4_BLOCK * item, rest, codes + whole * QCONV_NVFP4_BLOCK_BYTES,
                        scales + whole);
    }
}

static gboolean
encode (const QconvArg *args, gboolean search, GError **error)
{
  Job job = { .search = search };
  gsize blocks;

  if (!qconv_kernel_count (&args[4], "rows", &job.rows, error)
      || !qconv_kernel_count (&args[5], "cols", &job.cols, error))
    return FALSE;
  blocks = job.cols / QCONV_NVFP4_BLOCK + (job.cols % QCONV_NVFP4_BLOCK != 0);
  if (!qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, job.rows, job.cols, error)
      || !qconv_kernel_fits (&args[1], "codes", QCONV_MASK (QCONV_U4), job.rows, job.cols, error)
      || !qconv_kernel_fits (&args[2], "block_scale", QCONV_MASK (QCONV_F8_E4M3), job.rows, blocks, error)
      || !qconv_kernel_fits (&args[3], "tensor_scale", QCONV_MASK (QCONV_F32), 1, 1, error))
    return FALSE;
  job.dtype = qconv_buffer_dtype (args[0].buffer);
  job.src = qconv_kernel_in (&args[0]);
  job.codes = qconv_kernel_out (&args[1]);
  job.scales = qconv_kernel_out (&args[2]);
  job.tensor_scale = *(const float *) qconv_kernel_in (&args[3]);
  if (job.tensor_scale > 0)
    {
      encode_rows (&job);
      return TRUE;
    }
  /* such a scale can express only zeros */
  memset (job.codes, 0, job.rows * (job.cols / 2 + job.cols % 2));
  memset (job.scales, 0, job.rows * blocks);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_nvfp4_encode_rtn) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return encode (args, FALSE, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_nvfp4_encode_search) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return encode (args, TRUE, error);
}
