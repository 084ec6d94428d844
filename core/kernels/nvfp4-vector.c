/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes as many NVFP4 blocks at once as a vector has lanes, for the levels neon and avx512. */
#include "kernels/nvfp4-search.h"

static inline VecI
codes_of_eight (const VecF w[8], VecF s)
{
  VecI word = { 0 };

  for (guint i = 0; i < 8; i++)
    {
      VecF y = w[i] / s, q = vec_min (vec_abs (y), vec_set (6.0f)), rounder = e2m1_rounder (q);
      VecI code = (VecI) (q + rounder) + ((VecI) rounder >> 22) - 2 * (127 + 22);

      word |= ((code & 7) | (vec_shift_right ((VecI) y, 28) & 8)) << (gint32) (4 * i);
    }
  return word;
}

static inline void
encode_group (QconvDType dtype, const guint8 *src, guint8 *codes, guint8 *scales, float tensor_scale, gboolean search)
{
  VecF w[QCONV_NVFP4_BLOCK], top = vec_set (0.0f), t, s;
  VecI scale, some;

  load_group (dtype, src, w);
  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    top = vec_max (top, vec_abs (w[i]));
  t = top / 6.0f / tensor_scale;
  scale = e4m3_of_vec (vec_min (t, vec_set (448.0f)));
  if (search)
    scale = search_scales (w, top, scale, tensor_scale, dtype, src);
  s = vec_of_e4m3 (scale) * tensor_scale;
  some = s != 0.0f;
  vec_store_interleaved (codes, codes_of_eight (w, s) & some, codes_of_eight (w + 8, s) & some);
  vec_store_bytes (scales, scale);
}

/* Encodes @run. Its dtype and search are arguments too: callers give constants, for each of which the compiler makes
   code. */
static inline void
encode_groups (const QconvNvfp4Run *run, QconvDType dtype, gboolean search)
{
  gsize bytes = QCONV_NVFP4_BLOCK * (dtype == QCONV_F32 ? 4 : 2), n_blocks = run->n_blocks, b = 0;
  guint8 padded[LANES * QCONV_NVFP4_BLOCK * sizeof (float)], packed[LANES * QCONV_NVFP4_BLOCK_BYTES], scale[LANES];
  const guint8 *src = run->src;
  guint8 *codes = run->codes, *scales = run->scales;
  float tensor_scale = run->tensor_scale;

  for (; b + LANES <= n_blocks; b += LANES)
    encode_group (dtype, src + b * bytes, codes + b * QCONV_NVFP4_BLOCK_BYTES, scales + b, tensor_scale, search);
  if (b == n_blocks)
    return;
  memset (padded, 0, sizeof padded);
  memcpy (padded, src + b * bytes, (n_blocks - b) * bytes);
  encode_group (dtype, padded, packed, scale, tensor_scale, search);
  memcpy (codes + b * QCONV_NVFP4_BLOCK_BYTES, packed, (n_blocks - b) * QCONV_NVFP4_BLOCK_BYTES);
  memcpy (scales + b, scale, n_blocks - b);
}

#define DEFINE_ENCODE(lower, upper)                     \
  static void encode_##lower (const QconvNvfp4Run *run) \
  {                                                     \
    if (run->search)                                    \
      encode_groups (run, QCONV_##upper, TRUE);         \
    else                                                \
      encode_groups (run, QCONV_##upper, FALSE);        \
  }
DEFINE_ENCODE (f32, F32)
DEFINE_ENCODE (f16, F16)
DEFINE_ENCODE (bf16, BF16)

void
QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (const QconvNvfp4Run *run)
{
  if (run->dtype == QCONV_F32)
    encode_f32 (run);
  else if (run->dtype == QCONV_F16)
    encode_f16 (run);
  else
    encode_bf16 (run);
}
