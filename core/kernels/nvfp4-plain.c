/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reference for encoding NVFP4 blocks, one block at a time; the level "scalar" runs it. */
#include <math.h>

#include "kernels/nvfp4.h"

static const float e2m1_values[8] = { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f };

/* Returns the squared error with the block scale @s. The order of the sums is fixed */
static float
error_of_block (const float w[QCONV_NVFP4_BLOCK], float s)
{
  float inverse = 1.0f / s, e[QCONV_NVFP4_BLOCK];

  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    {
      float q = fabsf (w[i]) * inverse, d = q - e2m1_values[e2m1_of_f32 (q < 6.0f ? q : 6.0f)];

      e[i] = d * d;
    }
  for (guint width = QCONV_NVFP4_BLOCK / 2; width > 0; width /= 2)
    for (guint i = 0; i < width; i++)
      e[i] += e[i + width];
  return e[0] * (s * s);
}

static guint8
search_scale (const float w[QCONV_NVFP4_BLOCK], guint8 start, float tensor_scale)
{
  static const gint offsets[QCONV_NVFP4_N_OFFSETS] = QCONV_NVFP4_OFFSETS;
  guint8 chosen = start;
  float least;

  if (start == 0)
    return 0;
  least = error_of_block (w, tensor_scale * f32_of_e4m3 (start));
  for (guint i = 1; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      guint8 code = (guint8) CLAMP (start + offsets[i], 1, 126);
      float e = error_of_block (w, tensor_scale * f32_of_e4m3 (code));

      if (e < least)
        {
          least = e;
          chosen = code;
        }
    }
  return chosen;
}

static guint8
encode_block (const float w[QCONV_NVFP4_BLOCK], guint8 *codes, float tensor_scale, gboolean search)
{
  float top = 0.0f, t, s;
  guint8 scale;

  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    top = fabsf (w[i]) > top ? fabsf (w[i]) : top;
  t = top / 6.0f / tensor_scale;
  scale = e4m3_of_f32 (t < 448.0f ? t : 448.0f);
  if (search)
    scale = search_scale (w, scale, tensor_scale);
  s = tensor_scale * f32_of_e4m3 (scale);
  memset (codes, 0, QCONV_NVFP4_BLOCK_BYTES);
  for (guint i = 0; i < QCONV_NVFP4_BLOCK && s != 0.0f; i++)
    {
      float y = w[i] / s;

      codes[i / 2] |= (guint8) ((e2m1_of_f32 (fabsf (y)) | (signbit (y) ? 8 : 0)) << (i % 2 * 4));
    }
  return scale;
}

void
QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (const QconvNvfp4Run *run)
{
  gsize bytes = QCONV_NVFP4_BLOCK * (qconv_dtype_bits (run->dtype) / 8);
  float w[QCONV_NVFP4_BLOCK];

  for (gsize b = 0; b < run->n_blocks; b++)
    {
      QCONV_LEVEL_NAME (qconv_widen) (run->dtype, (const guint8 *) run->src + b * bytes, w, QCONV_NVFP4_BLOCK);
      run->scales[b] = encode_block (w, run->codes + b * QCONV_NVFP4_BLOCK_BYTES, run->tensor_scale, run->search);
    }
}
