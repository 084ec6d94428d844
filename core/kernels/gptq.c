/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "gptq-decode" and "gptq-decode-indexed": whole numbers with a scale and a whole zero for each group of
   columns. */
#include "kernels/ops.h"

#define STRETCH 512 /* codes that are unpacked at once; an even number */

/* Unpacks @n 4-bit codes. @wide: room for one more if @n is odd */
static inline void
unpack (const guint8 *codes, guint8 *wide, gsize n)
{
  for (gsize i = 0; i < (n + 1) / 2; i++)
    {
      wide[2 * i] = codes[i] & 15;
      wide[2 * i + 1] = codes[i] >> 4;
    }
}

static inline void
decode_run (const guint8 *codes, gint16 zero, float scale, float *dst, gsize n)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = gptq_item (codes[i], zero, scale);
}

/* Decodes columns [first, first + n), whose groups follow each other. @codes: a byte each, from column @first */
static void
decode_groups (const QconvGptqJob *job, const guint8 *codes, gsize row, gsize first, gsize n)
{
  const float *scales = job->scales + row * job->groups;
  const gint16 *zeros = job->zeros + row * job->groups;
  float *dst = job->dst + row * job->cols + first;

  for (gsize done = 0; done < n;)
    {
      gsize group = (first + done) / job->group, run = MIN ((group + 1) * job->group - first, n) - done;

      decode_run (codes + done, zeros[group], scales[group], dst + done, run);
      done += run;
    }
}

static void
decode_indexed (const QconvGptqJob *job, const guint8 *codes, gsize row, gsize first, gsize n)
{
  const float *scales = job->scales + row * job->groups;
  const gint16 *zeros = job->zeros + row * job->groups;
  const gint32 *index = job->index + first;
  float *dst = job->dst + row * job->cols + first;

  for (gsize i = 0; i < n; i++)
    dst[i] = gptq_item (codes[i], zeros[index[i]], scales[index[i]]);
}

static void
decode_row (const QconvGptqJob *job, gsize row)
{
  gsize row_bytes = job->packed ? job->cols / 2 + job->cols % 2 : job->cols;
  const guint8 *codes = job->codes + row * row_bytes;
  guint8 wide[STRETCH];

  for (gsize c = 0; c < job->cols; c += STRETCH)
    {
      gsize n = MIN (job->cols - c, STRETCH);

      if (job->packed)
        unpack (codes + c / 2, wide, n);
      (job->index != NULL ? decode_indexed : decode_groups) (job, job->packed ? wide : codes + c, row, c, n);
    }
}

gboolean
QCONV_LEVEL_NAME (qconv_op_gptq_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvGptqJob job;

  if (!qconv_job_gptq (&job, args, FALSE, error))
    return FALSE;
  for (gsize row = 0; row < job.rows; row++)
    decode_row (&job, row);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_gptq_decode_indexed) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvGptqJob job;

  if (!qconv_job_gptq (&job, args, TRUE, error))
    return FALSE;
  for (gsize i = 0; i < job.cols; i++)
    if (!gptq_is_group (&job, job.index[i]))
      return qconv_job_gptq_no_group (&job, i, job.index[i], error);
  for (gsize row = 0; row < job.rows; row++)
    decode_row (&job, row);
  return TRUE;
}
