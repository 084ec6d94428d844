/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "nvfp4-decode", "nvfp4-decode-divided" and "mxfp4-decode": E2M1 codes with a scale for every block. */
#include "kernels/decode4.h"

/* The values by code */
typedef struct {
  float value[16];
} Codebook;

/* @scale_values: by scale byte, whose type is @scale_dtype */
typedef struct {
  const Codebook *book;
  const float *scale_values;
  QconvDType scale_dtype;
  const guint8 *codes, *scales;
  float *dst;
  gsize rows, cols, block;
} Job;

static void
decode_row (const Job *job, const guint8 *codes, const guint8 *scales, float *dst)
{
  gsize c = 0;

  for (; c + DECODE4_RUN <= job->cols; c += DECODE4_RUN)
    decode4_run (job->book->value, codes + c / 2, job->scale_values[scales[c / job->block]], dst + c);
  for (; c < job->cols; c++)
    dst[c] = job->book->value[codes[c / 2] >> (c % 2 * 4) & 15] * job->scale_values[scales[c / job->block]];
}

/* Decodes. @in: codes and block scales; @out: destination, rows and columns */
static gboolean
decode (Job *job, const QconvArg *in, const QconvArg *out, GError **error)
{
  const QconvArg *codes = &in[0], *scales = &in[1], *dst = &out[0], *size = &out[1];
  gsize blocks;

  if (!qconv_kernel_count (&size[0], "rows", &job->rows, error)
      || !qconv_kernel_count (&size[1], "cols", &job->cols, error))
    return FALSE;
  blocks = job->cols / job->block + (job->cols % job->block != 0);
  if (!qconv_kernel_fits (codes, "codes", QCONV_MASK (QCONV_U4), job->rows, job->cols, error)
      || !qconv_kernel_fits (scales, "block_scale", QCONV_MASK (job->scale_dtype), job->rows, blocks, error)
      || !qconv_kernel_fits (dst, "destination", QCONV_MASK (QCONV_F32), job->rows, job->cols, error))
    return FALSE;
  job->codes = qconv_kernel_in (codes);
  job->scales = qconv_kernel_in (scales);
  job->dst = qconv_kernel_out (dst);
  for (gsize r = 0; r < job->rows; r++)
    decode_row (job, job->codes + r * (job->cols / 2 + job->cols % 2), job->scales + r * blocks,
                job->dst + r * job->cols);
  return TRUE;
}

/* Decodes NVFP4. @divided: the tensor scale divides the block scales */
static gboolean
decode_nvfp4 (const Codebook *book, gboolean divided, const QconvArg *args, GError **error)
{
  float scale_values[256], tensor_scale;
  Job job = { .book = book, .scale_values = scale_values, .scale_dtype = QCONV_F8_E4M3, .block = 16 };

  if (!qconv_kernel_fits (&args[2], "tensor_scale", QCONV_MASK (QCONV_F32), 1, 1, error))
    return FALSE;
  tensor_scale = *(const float *) qconv_kernel_in (&args[2]);
  for (guint i = 0; i < G_N_ELEMENTS (scale_values); i++)
    {
      float scale = f32_of_e4m3 ((guint8) i);

      scale_values[i] = divided ? scale / tensor_scale : tensor_scale * scale;
    }
  return decode (&job, args, args + 3, error);
}

/* Minus zero counts as zero, as in ModelOpt (qtensor/nvfp4_tensor.py) and GGUF */
gboolean
QCONV_LEVEL_NAME (qconv_op_nvfp4_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  static const Codebook book
      = { { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, 0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f } };

  return decode_nvfp4 (&book, FALSE, args, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_nvfp4_decode_divided) (gpointer device, gpointer stream, const QconvArg *args,
                                                  GError **error)
{
  static const Codebook book
      = { { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f } };

  return decode_nvfp4 (&book, TRUE, args, error);
}

/* Decodes with half the scale and twice the code's value, as ggml does: the largest exponent, 2^128, is then still a
   number */
gboolean
QCONV_LEVEL_NAME (qconv_op_mxfp4_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  static const Codebook book = { { 0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 6.0f, 8.0f, 12.0f, -0.0f, -1.0f, -2.0f, -3.0f, -4.0f,
                                   -6.0f, -8.0f, -12.0f } };
  float scale_values[256];
  Job job = { .book = &book, .scale_values = scale_values, .scale_dtype = QCONV_F8_E8M0, .block = 32 };

  for (guint32 i = 0; i < G_N_ELEMENTS (scale_values); i++)
    scale_values[i] = f32_of_bits (i < 2 ? 0x00200000u << i : (i - 1) << 23);
  return decode (&job, args, args + 2, error);
}
