/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "gptq-decode" and "gptq-decode-indexed": whole numbers with a scale and a whole zero for each group of
   columns. */
#include "kernels/ops.h"

#define STRETCH 512 /* codes that are unpacked at once; an even number */

/* @index: (nullable): the group of each column; NULL: groups follow each other, @group columns each */
typedef struct {
  gboolean packed;
  const guint8 *codes;
  const float *scales;
  const gint16 *zeros;
  const gint32 *index;
  float *dst;
  gsize rows, cols, group, groups;
} Job;

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
decode_run (const guint8 *codes, gint32 zero, float scale, float *dst, gsize n)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = (float) (codes[i] - zero) * scale;
}

/* Decodes columns [first, first + n), whose groups follow each other. @codes: a byte each, from column @first */
static void
decode_groups (const Job *job, const guint8 *codes, gsize row, gsize first, gsize n)
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
decode_indexed (const Job *job, const guint8 *codes, gsize row, gsize first, gsize n)
{
  const float *scales = job->scales + row * job->groups;
  const gint16 *zeros = job->zeros + row * job->groups;
  const gint32 *index = job->index + first;
  float *dst = job->dst + row * job->cols + first;

  for (gsize i = 0; i < n; i++)
    dst[i] = (float) (codes[i] - zeros[index[i]]) * scales[index[i]];
}

static void
decode_row (const Job *job, gsize row)
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

/* Arguments: codes, scales, zeros, group of each column if @indexed, destination, rows, columns, and the number of
   groups if @indexed, else the columns of a group */
static gboolean
begin (Job *job, const QconvArg *args, gboolean indexed, GError **error)
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
QCONV_LEVEL_NAME (qconv_op_gptq_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  Job job;

  if (!begin (&job, args, FALSE, error))
    return FALSE;
  for (gsize row = 0; row < job.rows; row++)
    decode_row (&job, row);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_gptq_decode_indexed) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  Job job;

  if (!begin (&job, args, TRUE, error))
    return FALSE;
  for (gsize i = 0; i < job.cols; i++)
    if (job.index[i] < 0 || (gsize) job.index[i] >= job.groups)
      return qconv_fail (error, QCONV_ERROR_INPUT,
                         "column %" G_GSIZE_FORMAT " is of group %d, but there are %" G_GSIZE_FORMAT " groups", i,
                         job.index[i], job.groups);
  for (gsize row = 0; row < job.rows; row++)
    decode_row (&job, row);
  return TRUE;
}
