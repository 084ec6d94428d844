/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "nvfp4-encode-rtn" and "-search": walks rows, pads the last block of a row. */
#include "kernels/nvfp4.h"

/* Encodes the weights behind the last whole block of a row, padded with zeros. */
static void
encode_row_end (const QconvNvfp4Job *job, const guint8 *src, gsize n, guint8 *codes, guint8 *scale)
{
  float padded[QCONV_NVFP4_BLOCK] = { 0 };
  guint8 packed[QCONV_NVFP4_BLOCK_BYTES];
  const QconvNvfp4Run run = { QCONV_F32, padded, 1, packed, scale, *job->tensor_scale, job->search };

  QCONV_LEVEL_NAME (qconv_widen) (job->dtype, src, padded, n);
  QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (&run);
  memcpy (codes, packed, (n + 1) / 2);
}

static void
encode_rows (const QconvNvfp4Job *job)
{
  gsize item = item_bytes (job->dtype), whole = job->cols / QCONV_NVFP4_BLOCK;
  gsize rest = job->cols % QCONV_NVFP4_BLOCK, code_bytes = (job->cols + 1) / 2;
  gsize n_rows = rest > 0 ? job->rows : 1, n_blocks = rest > 0 ? whole : whole * job->rows;

  for (gsize r = 0; r < n_rows; r++)
    {
      const guint8 *src = (const guint8 *) job->src + r * job->cols * item;
      guint8 *codes = job->codes + r * code_bytes, *scales = job->scales + r * job->blocks;
      const QconvNvfp4Run run = { job->dtype, src, n_blocks, codes, scales, *job->tensor_scale, job->search };

      QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (&run);
      if (rest > 0)
        encode_row_end (job, src + whole * QCONV_NVFP4_BLOCK * item, rest, codes + whole * QCONV_NVFP4_BLOCK_BYTES,
                        scales + whole);
    }
}

static gboolean
encode (const QconvArg *args, gboolean search, GError **error)
{
  QconvNvfp4Job job;

  if (!qconv_job_nvfp4 (&job, args, search, error))
    return FALSE;
  if (*job.tensor_scale > 0)
    {
      encode_rows (&job);
      return TRUE;
    }
  /* such a scale can express only zeros */
  memset (job.codes, 0, job.rows * (job.cols / 2 + job.cols % 2));
  memset (job.scales, 0, job.rows * job.blocks);
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
