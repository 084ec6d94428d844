/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes E2M1 codes with a scale for every block: NVFP4 and MXFP4. */
#pragma once
#include "kernels/items/weights.h"

#define QCONV_DECODE4_RUN 8 /* columns of a unit */

typedef enum { QCONV_NVFP4, QCONV_NVFP4_DIVIDED, QCONV_MXFP4, QCONV_N_DECODE4 } QconvDecode4;

/* The values by code.
   NVFP4: minus zero counts as zero, as in ModelOpt (qtensor/nvfp4_tensor.py) and GGUF.
   MXFP4: twice the values, with half the scale, as ggml does: the largest exponent, 2^128, is then still a number */
QCONV_TABLE float decode4_values[QCONV_N_DECODE4][16] = {
  { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, 0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f },
  { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f },
  { 0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 6.0f, 8.0f, 12.0f, -0.0f, -1.0f, -2.0f, -3.0f, -4.0f, -6.0f, -8.0f, -12.0f },
};

/* @tensor_scale: (nullable): one number; NULL for MXFP4
   @block: columns that share a scale; @blocks, @runs: of a row; a unit is a run */
typedef struct {
  QconvDecode4 how;
  const guint8 *codes, *scales;
  const float *tensor_scale;
  float *dst;
  gsize rows, cols, block, blocks, runs;
} QconvDecode4Job;

/* Returns what the values of a block are multiplied with. @scale: the byte of the block */
QCONV_ITEM float
decode4_scale (QconvDecode4 how, guint8 scale, float tensor_scale)
{
  if (how == QCONV_MXFP4)
    return f32_of_bits (scale < 2 ? 0x00200000u << scale : (guint32) (scale - 1) << 23);
  return how == QCONV_NVFP4_DIVIDED ? f32_of_e4m3 (scale) / tensor_scale : tensor_scale * f32_of_e4m3 (scale);
}

QCONV_ITEM void
decode4_unit (const QconvDecode4Job *job, gsize unit)
{
  gsize row = unit / job->runs, col = unit % job->runs * QCONV_DECODE4_RUN, n = job->cols - col;
  guint32 codes = load_eight_codes (job->codes + row * (job->cols / 2 + job->cols % 2) + col / 2, n);
  guint8 byte = job->scales[row * job->blocks + col / job->block];
  float scale = decode4_scale (job->how, byte, job->tensor_scale != NULL ? *job->tensor_scale : 0.0f);
  float y[QCONV_DECODE4_RUN];

  QCONV_UNROLL
  for (guint i = 0; i < QCONV_DECODE4_RUN; i++)
    y[i] = decode4_values[job->how][codes >> (4 * i) & 15] * scale;
  store_run (QCONV_F32, y, n, QCONV_DECODE4_RUN, job->dst, row * job->cols + col);
}
