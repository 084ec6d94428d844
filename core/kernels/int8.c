/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "int8-…" and "int4-…": symmetric integers under F32 scales, after an optional rotation. Each
   row is widened and rotated into scratch memory, which stays in the nearest caches. */
#include "kernels/integers.h"
#include "kernels/largest.h"

static void
encode_int8 (const float *x, gint8 *codes, gsize n, float scale)
{
  integers_run (x, codes, n, scale, -128.0f, 127.0f);
}

static const float *
prepare_row (const QconvIntegerJob *job, gsize row)
{
  gsize item = item_bytes (job->dtype);

  QCONV_LEVEL_NAME (qconv_rotate)
  (job->dtype, (const guint8 *) job->src + row * job->cols * item, job->scratch, job->cols, job->group);
  return job->scratch;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int8_encode_row) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvIntegerJob job;

  if (!qconv_job_integer_rows (&job, args, QCONV_I8, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    {
      const float *x = prepare_row (&job, r);

      job.scales[r] = int8_row_scale (largest_of (x, job.cols));
      encode_int8 (x, (gint8 *) job.codes + r * job.cols, job.cols, job.scales[r]);
    }
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int8_encode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvIntegerJob job;

  if (!qconv_job_int8 (&job, args, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    encode_int8 (prepare_row (&job, r), (gint8 *) job.codes + r * job.cols, job.cols, *job.scales);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int4_encode_row) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvIntegerJob job;

  if (!qconv_job_integer_rows (&job, args, QCONV_U4, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    {
      const float *x = prepare_row (&job, r);

      job.scales[r] = int4_row_scale (largest_of (x, job.cols));
      integers_encode_int4 (x, job.codes + r * (job.cols / 2 + job.cols % 2), job.cols, job.scales[r]);
    }
  return TRUE;
}

/* Finds the scales of one row of blocks, which are @height rows high */
static void
find_block_scales (const QconvIntegerJob *job, gsize first, gsize height, float *scales)
{
  gsize n = job->across, block = job->block;

  for (gsize b = 0; b < n; b++)
    scales[b] = 0.0f;
  for (gsize r = first; r < first + height; r++)
    {
      const float *x = prepare_row (job, r);

      for (gsize b = 0; b < n; b++)
        {
          float top = largest_of (x + b * block, MIN (job->cols - b * block, block));

          scales[b] = top > scales[b] ? top : scales[b];
        }
    }
  for (gsize b = 0; b < n; b++)
    scales[b] = int8_block_scale (scales[b]);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int8_encode_block) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvIntegerJob job;

  if (!qconv_job_int8_block (&job, args, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    {
      float *scales = job.scales + r / job.block * job.across;
      const float *x;

      if (r % job.block == 0)
        find_block_scales (&job, r, MIN (job.rows - r, job.block), scales);
      x = prepare_row (&job, r);
      for (gsize c = 0; c < job.cols; c += job.block)
        encode_int8 (x + c, (gint8 *) job.codes + r * job.cols + c, MIN (job.cols - c, job.block),
                     scales[c / job.block]);
    }
  return TRUE;
}

static void
decode_int8 (const gint8 *codes, float *dst, gsize n, float scale)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = (float) codes[i] * scale;
}

/* Decodes. Arguments: codes, scales, destination, rows, cols, and the height and width of the weights that share a
   scale */
gboolean
QCONV_LEVEL_NAME (qconv_op_int8_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvTileDecodeJob job;
  const QconvTiles *t = &job.tiles;

  if (!qconv_job_int8_decode (&job, args, error))
    return FALSE;
  for (gsize r = 0; r < t->rows; r++)
    for (gsize c = 0; c < t->cols; c += t->width)
      decode_int8 ((const gint8 *) job.codes + r * t->cols + c, job.dst + r * t->cols + c, MIN (t->cols - c, t->width),
                   job.scales[r / t->height * t->across + c / t->width]);
  return TRUE;
}

static void
decode_of_largest (const gint8 *codes, float *dst, gsize n, float largest)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = int8_item_of_largest ((float) codes[i], largest);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int8_decode_largest) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvRowDecodeJob job;

  if (!qconv_job_decode_rows (&job, args, QCONV_I8, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    decode_of_largest ((const gint8 *) job.codes + r * job.cols, job.dst + r * job.cols, job.cols, job.scales[r]);
  return TRUE;
}

static void
decode_int4 (const guint8 *codes, float *dst, gsize n, float scale)
{
  for (gsize i = 0; i < n / 2; i++)
    {
      dst[2 * i] = int4_item (codes[i] & 15, scale);
      dst[2 * i + 1] = int4_item (codes[i] >> 4, scale);
    }
  if (n % 2 != 0)
    dst[n - 1] = int4_item (codes[n / 2] & 15, scale);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int4_decode_row) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvRowDecodeJob job;

  if (!qconv_job_decode_rows (&job, args, QCONV_U4, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    decode_int4 (job.codes + r * (job.cols / 2 + job.cols % 2), job.dst + r * job.cols, job.cols, job.scales[r]);
  return TRUE;
}
