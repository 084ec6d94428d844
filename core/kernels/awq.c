/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation "awq-decode": 4-bit codes with a scale and a zero for each group of columns. */
#include "kernels/items/awq.h"

#include "kernels/decode4.h"
#include "kernels/ops.h"

/* Decodes columns [first, end), a group, code by code */
static void
decode_few (const QconvAwqJob *job, const guint8 *codes, float scale, float zero, float *dst, gsize first, gsize end)
{
  for (gsize c = first; c < end; c++)
    dst[c] = awq_item (job, codes[c / 2] >> (c % 2 * 4) & 15, scale, zero);
}

/* Looks each code up among the weights of all 16 codes, unless the group is smaller. decode4_columns() multiplies them
   with a scale, here 1 */
static void
decode_row (const QconvAwqJob *job, gsize row)
{
  const guint8 *codes = job->codes + row * (job->cols / 2 + job->cols % 2);
  float *dst = job->dst + row * job->cols;

  for (gsize k = 0; k < job->groups; k++)
    {
      gsize of = row * job->groups + k, first = k * job->group, end = MIN (job->cols - first, job->group) + first;
      float scale = widen_item (job->stored, job->scales, of), zero = widen_item (job->stored, job->zeros, of);
      float weights[16];

      if (job->group < G_N_ELEMENTS (weights))
        {
          decode_few (job, codes, scale, zero, dst, first, end);
          continue;
        }
      for (guint i = 0; i < G_N_ELEMENTS (weights); i++)
        weights[i] = awq_item (job, i, scale, zero);
      decode4_columns (weights, codes, 1.0f, dst, first, end);
    }
}

gboolean
QCONV_LEVEL_NAME (qconv_op_awq_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvAwqJob job;

  if (!qconv_job_awq (&job, args, error))
    return FALSE;
  for (gsize row = 0; row < job.rows; row++)
    decode_row (&job, row);
  return TRUE;
}
