/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "nvfp4-decode", "nvfp4-decode-divided" and "mxfp4-decode": E2M1 codes with a scale for every block. */
#include "kernels/decode4.h"

/* @values: by code; @scales: by scale byte */
static void
decode_row (const QconvDecode4Job *job, const float *values, const float scales[256], gsize row)
{
  const guint8 *codes = job->codes + row * (job->cols / 2 + job->cols % 2), *bytes = job->scales + row * job->blocks;
  float *dst = job->dst + row * job->cols;
  gsize c = 0;

  for (; c + DECODE4_RUN <= job->cols; c += DECODE4_RUN)
    decode4_run (values, codes + c / 2, scales[bytes[c / job->block]], dst + c);
  for (; c < job->cols; c++)
    dst[c] = values[codes[c / 2] >> (c % 2 * 4) & 15] * scales[bytes[c / job->block]];
}

static gboolean
decode (QconvDecode4 how, const QconvArg *args, GError **error)
{
  QconvDecode4Job job;
  float scales[256];

  if (!qconv_job_decode4 (&job, how, args, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (scales); i++)
    scales[i] = decode4_scale (how, (guint8) i, job.tensor_scale != NULL ? *job.tensor_scale : 0.0f);
  for (gsize r = 0; r < job.rows; r++)
    decode_row (&job, decode4_values[how], scales, r);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_nvfp4_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return decode (QCONV_NVFP4, args, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_nvfp4_decode_divided) (gpointer device, gpointer stream, const QconvArg *args,
                                                  GError **error)
{
  return decode (QCONV_NVFP4_DIVIDED, args, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_mxfp4_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return decode (QCONV_MXFP4, args, error);
}
