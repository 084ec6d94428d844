/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes blocks of NVFP4, by round-to-nearest and by a search. */
#pragma once
#include "kernels/items/weights.h"

#define QCONV_NVFP4_BLOCK 16      /* weights that share a scale */
#define QCONV_NVFP4_BLOCK_BYTES 8 /* of codes */

/* Offsets of the scale codes that the search tries from the code of round-to-nearest, in this order */
/* clang-format off */
#define QCONV_NVFP4_OFFSETS { 0, -1, 5, 4, 1, 6, 3, -2, 2, -3 }
/* clang-format on */
#define QCONV_NVFP4_N_OFFSETS 10

/* @tensor_scale: one number; if it is not positive, all bytes become zero
   @blocks: of a row; a unit is one of them */
typedef struct {
  QconvDType dtype;
  const void *src;
  guint8 *codes, *scales;
  const float *tensor_scale;
  gsize rows, cols, blocks;
  gboolean search;
} QconvNvfp4Job;

/* Returns the value of E2M1 nearest to @q, which must be from 0 to 6: adding a number whose last place is the step of
   the code at @q rounds it, ties to even */
QCONV_ITEM float
e2m1_near (float q)
{
  float rounder = f32_of_bits ((bits_of_f32 (q > 1.0f ? q : 1.0f) & 0x7f800000) + (22u << 23));

  return (q + rounder) - rounder;
}

/* Adds the second @n numbers to the first */
QCONV_ITEM void
add_halves (float *e, guint n)
{
  QCONV_UNROLL
  for (guint i = 0; i < n; i++)
    e[i] += e[i + n];
}

/* Returns the squared error with the block scale @s. The order of the sums is fixed */
QCONV_ITEM float
nvfp4_error (const float w[QCONV_NVFP4_BLOCK], float s)
{
  float inverse = 1.0f / s, e[QCONV_NVFP4_BLOCK];

  QCONV_UNROLL
  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    {
      float q = magnitude_of (w[i]) * inverse, d = q - e2m1_near (q < 6.0f ? q : 6.0f);

      e[i] = d * d;
    }
  add_halves (e, 8);
  add_halves (e, 4);
  add_halves (e, 2);
  add_halves (e, 1);
  return e[0] * (s * s);
}

QCONV_ITEM guint8
nvfp4_search (const float w[QCONV_NVFP4_BLOCK], guint8 start, float tensor_scale)
{
  static const gint8 offsets[QCONV_NVFP4_N_OFFSETS] = QCONV_NVFP4_OFFSETS;
  guint8 chosen = start;
  float least;

  if (start == 0)
    return 0;
  least = nvfp4_error (w, tensor_scale * f32_of_e4m3 (start));
  for (guint i = 1; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      guint8 code = (guint8) CLAMP (start + offsets[i], 1, 126);
      float e = nvfp4_error (w, tensor_scale * f32_of_e4m3 (code));

      if (e < least)
        {
          least = e;
          chosen = code;
        }
    }
  return chosen;
}

/* Encodes one block to @codes and returns its scale. @tensor_scale: positive */
QCONV_ITEM guint8
nvfp4_encode_block (const float w[QCONV_NVFP4_BLOCK], guint32 codes[2], float tensor_scale, gboolean search)
{
  float top = 0.0f, t, s;
  guint8 scale;

  QCONV_UNROLL
  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    top = magnitude_of (w[i]) > top ? magnitude_of (w[i]) : top;
  t = top / 6.0f / tensor_scale;
  scale = e4m3_of_f32 (t < 448.0f ? t : 448.0f);
  if (search)
    scale = nvfp4_search (w, scale, tensor_scale);
  s = tensor_scale * f32_of_e4m3 (scale);
  codes[0] = codes[1] = 0;
  if (s == 0.0f)
    return scale;
  QCONV_UNROLL
  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    {
      guint32 y = bits_of_f32 (w[i] / s);

      codes[i / 8] |= (e2m1_of_f32 (f32_of_bits (y & 0x7fffffff)) | (y >> 28 & 8)) << (i % 8 * 4);
    }
  return scale;
}

/* Encodes one block of a row, whose last one may have fewer columns. @dtype: as in @job, but a constant */
QCONV_ITEM void
nvfp4_encode_unit (const QconvNvfp4Job *job, gsize unit, QconvDType dtype)
{
  gsize row = unit / job->blocks, col = unit % job->blocks * QCONV_NVFP4_BLOCK, n = job->cols - col;
  guint8 *dst = job->codes + row * (job->cols / 2 + job->cols % 2) + col / 2;
  float w[QCONV_NVFP4_BLOCK], tensor_scale = *job->tensor_scale;
  guint32 codes[2] = { 0, 0 };
  guint8 scale = 0;

  load_run (dtype, job->src, row * job->cols + col, n, w, QCONV_NVFP4_BLOCK);
  if (tensor_scale > 0.0f)
    scale = nvfp4_encode_block (w, codes, tensor_scale, job->search);
  job->scales[unit] = scale;
  store_eight_bytes (codes, (n + 1) / 2, dst);
}
