/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "int8-…" and "int4-…": symmetric integers under F32 scales, after an optional rotation. Each
   row is widened and rotated into scratch memory, which stays in the nearest caches. */
#include "kernels/integers.h"

typedef struct {
  QconvDType dtype;
  const guint8 *src;
  guint8 *codes;
  float *scales, *scratch;
  gsize rows, cols, group;
} Job;

static float
largest_of (const float *x, gsize n)
{
  guint32 top = 0;

  for (gsize i = 0; i < n; i++)
    {
      guint32 magnitude = bits_of_f32 (x[i]) & 0x7fffffff;

      top = magnitude > top ? magnitude : top;
    }
  return f32_of_bits (top);
}

static void
encode_int8 (const float *x, gint8 *codes, gsize n, float scale)
{
  integers_run (x, codes, n, scale, -128.0f, 127.0f);
}

static const float *
prepare_row (const Job *job, gsize row)
{
  gsize item = qconv_dtype_bits (job->dtype) / 8;

  QCONV_LEVEL_NAME (qconv_rotate)
  (job->dtype, job->src + row * job->cols * item, job->scratch, job->cols, job->group);
  return job->scratch;
}

/* Arguments of all encoders: weights, codes, scales, scratch, rows, cols, group */
static gboolean
begin (Job *job, const QconvArg *args, QconvDType codes, GError **error)
{
  if (!qconv_kernel_count (&args[4], "rows", &job->rows, error)
      || !qconv_kernel_count (&args[5], "cols", &job->cols, error)
      || !qconv_kernel_count (&args[6], "group", &job->group, error)
      || !QCONV_LEVEL_NAME (qconv_rotation_fits) (job->group, job->cols, error)
      || !qconv_kernel_fits (&args[0], "weight", QCONV_MASK_WEIGHTS, job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[1], "codes", QCONV_MASK (codes), job->rows, job->cols, error)
      || !qconv_kernel_fits (&args[3], "scratch", QCONV_MASK (QCONV_F32), 1, job->cols, error))
    return FALSE;
  job->dtype = qconv_buffer_dtype (args[0].buffer);
  job->src = qconv_kernel_in (&args[0]);
  job->codes = qconv_kernel_out (&args[1]);
  job->scales = qconv_kernel_out (&args[2]);
  job->scratch = qconv_kernel_out (&args[3]);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int8_encode_row) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  Job job;

  if (!begin (&job, args, QCONV_I8, error)
      || !qconv_kernel_fits (&args[2], "row_scale", QCONV_MASK (QCONV_F32), job.rows, 1, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    {
      const float *x = prepare_row (&job, r);
      float scale = largest_of (x, job.cols) / 127.0f;

      job.scales[r] = scale < 1e-30f ? 1e-30f : scale;
      encode_int8 (x, (gint8 *) job.codes + r * job.cols, job.cols, job.scales[r]);
    }
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int8_encode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  Job job;

  if (!begin (&job, args, QCONV_I8, error)
      || !qconv_kernel_fits (&args[2], "tensor_scale", QCONV_MASK (QCONV_F32), 1, 1, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    encode_int8 (prepare_row (&job, r), (gint8 *) job.codes + r * job.cols, job.cols, *job.scales);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int4_encode_row) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  Job job;

  if (!begin (&job, args, QCONV_U4, error)
      || !qconv_kernel_fits (&args[2], "row_scale", QCONV_MASK (QCONV_F32), job.rows, 1, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    {
      const float *x = prepare_row (&job, r);
      float top = largest_of (x, job.cols);

      job.scales[r] = (top < 1e-10f ? 1e-10f : top) / 7.0f;
      integers_encode_int4 (x, job.codes + r * (job.cols / 2 + job.cols % 2), job.cols, job.scales[r]);
    }
  return TRUE;
}

/* Finds the scales of one row of blocks, which are @height rows high */
static void
find_block_scales (const Job *job, gsize first, gsize height, gsize block, float *scales)
{
  gsize n = job->cols / block + (job->cols % block != 0);

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
    scales[b] = scales[b] / 127.0f < 1e-8f ? 1e-8f : scales[b] / 127.0f;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int8_encode_block) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  Job job;
  gsize block, down, across;
  const QconvArg same[] = { args[0], args[1], args[2], args[3], args[4], args[5], QCONV_I (1) };

  if (!qconv_kernel_count (&args[6], "block", &block, error) || !begin (&job, same, QCONV_I8, error))
    return FALSE;
  if (block == 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "the block is 0");
  down = job.rows / block + (job.rows % block != 0);
  across = job.cols / block + (job.cols % block != 0);
  if (!qconv_kernel_fits (&args[2], "block_scale", QCONV_MASK (QCONV_F32), down, across, error))
    return FALSE;
  for (gsize r = 0; r < job.rows; r++)
    {
      float *scales = job.scales + r / block * across;
      const float *x;

      if (r % block == 0)
        find_block_scales (&job, r, MIN (job.rows - r, block), block, scales);
      x = prepare_row (&job, r);
      for (gsize c = 0; c < job.cols; c += block)
        encode_int8 (x + c, (gint8 *) job.codes + r * job.cols + c, MIN (job.cols - c, block), scales[c / block]);
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
  const gint8 *codes = qconv_kernel_in (&args[0]);
  const float *scales = qconv_kernel_in (&args[1]);
  float *dst = qconv_kernel_out (&args[2]);
  gsize rows, cols, height, width, across;

  if (!qconv_kernel_count (&args[3], "rows", &rows, error) || !qconv_kernel_count (&args[4], "cols", &cols, error)
      || !qconv_kernel_count (&args[5], "height", &height, error)
      || !qconv_kernel_count (&args[6], "width", &width, error))
    return FALSE;
  if (height == 0 || width == 0)
    return qconv_fail (error, QCONV_ERROR_BUG, "height or width of a tile is 0");
  across = cols / width + (cols % width != 0);
  if (!qconv_kernel_fits (&args[0], "codes", QCONV_MASK (QCONV_I8), rows, cols, error)
      || !qconv_kernel_fits (&args[1], "scales", QCONV_MASK (QCONV_F32), rows / height + (rows % height != 0), across,
                             error)
      || !qconv_kernel_fits (&args[2], "destination", QCONV_MASK (QCONV_F32), rows, cols, error))
    return FALSE;
  for (gsize r = 0; r < rows; r++)
    for (gsize c = 0; c < cols; c += width)
      decode_int8 (codes + r * cols + c, dst + r * cols + c, MIN (cols - c, width),
                   scales[r / height * across + c / width]);
  return TRUE;
}

static void
decode_int4 (const guint8 *codes, float *dst, gsize n, float scale)
{
  for (gsize i = 0; i < n / 2; i++)
    {
      gint32 low = ((codes[i] & 15) ^ 8) - 8, high = ((codes[i] >> 4) ^ 8) - 8;

      dst[2 * i] = (float) low * scale;
      dst[2 * i + 1] = (float) high * scale;
    }
  if (n % 2 != 0)
    dst[n - 1] = (float) (((codes[n / 2] & 15) ^ 8) - 8) * scale;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_int4_decode_row) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  const guint8 *codes = qconv_kernel_in (&args[0]);
  const float *scales = qconv_kernel_in (&args[1]);
  float *dst = qconv_kernel_out (&args[2]);
  gsize rows, cols;

  if (!qconv_kernel_count (&args[3], "rows", &rows, error) || !qconv_kernel_count (&args[4], "cols", &cols, error)
      || !qconv_kernel_fits (&args[0], "codes", QCONV_MASK (QCONV_U4), rows, cols, error)
      || !qconv_kernel_fits (&args[1], "row_scale", QCONV_MASK (QCONV_F32), rows, 1, error)
      || !qconv_kernel_fits (&args[2], "destination", QCONV_MASK (QCONV_F32), rows, cols, error))
    return FALSE;
  for (gsize r = 0; r < rows; r++)
    decode_int4 (codes + r * (cols / 2 + cols % 2), dst + r * cols, cols, scales[r]);
  return TRUE;
}
