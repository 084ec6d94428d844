/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes NVFP4 blocks with 256 bits, in which a block is one vector of BF16: the weights need not be transposed but
   for the search. */
#include "kernels/nvfp4-search.h"
#include "kernels/pairs.h"

#define STRETCH 64 /* blocks whose scales are known before their codes: divisions for one block wait for no other */

/* Writes the codes of the scales of eight blocks to @codes, and what they decode to to @scales. */
static inline void
find_scales (QconvDType dtype, const guint8 *src, guint8 *codes, float *scales, float tensor_scale, gboolean search)
{
  VecF top = pairs_largest (dtype, src, QCONV_NVFP4_BLOCK), s;
  VecI code = e4m3_of_vec (vec_min (top / 6.0f / tensor_scale, vec_set (448.0f)));

  if (search)
    {
      VecF w[QCONV_NVFP4_BLOCK];

      load_group (dtype, src, w);
      code = search_scales (w, top, code, tensor_scale, dtype, src);
    }
  s = vec_of_e4m3 (code) * tensor_scale;
  memcpy (scales, &s, sizeof s);
  vec_store_bytes (codes, code);
}

/* Returns the codes of @w/@s in the lowest three bits of every word; the bits above them are arbitrary */
static inline VecI
codes_of_magnitudes (VecF w, VecF s)
{
  VecF q = vec_min (w / s, vec_set (6.0f));
  /* the code is the number of steps plus twice the exponent, 2*(22+127) for steps of 1/2, which 6 makes 0 modulo 8 */
  VecI steps = (VecI) (q + (VecF) ((VecI) e2m1_rounder (q) + 6));

  return steps + vec_shift_right (steps, 22);
}

/* Returns a byte of two codes in every word. @scale: must not be zero, or the codes are arbitrary */
static inline VecRaw
codes_of_block (QconvDType dtype, const guint8 *src, float scale)
{
  Pairs w = pairs_load (dtype, src);
  VecF s = vec_set (scale);
  VecRaw codes = pairs_join (dtype, codes_of_magnitudes (vec_abs (w.a), s), codes_of_magnitudes (vec_abs (w.b), s), 7);

  return _mm256_madd_epi16 (_mm256_or_si256 (codes, pairs_signs (w, 12, 8)), _mm256_set1_epi32 (1 | 16 << 16));
}

static inline void
encode_four (QconvDType dtype, const guint8 *src, guint8 *codes, const float *scales)
{
  VecRaw v[4];

  for (guint b = 0; b < 4; b++)
    v[b] = codes_of_block (dtype, src + b * QCONV_NVFP4_BLOCK * (dtype == QCONV_F32 ? 4 : 2), scales[b]);
  pairs_store_bytes (codes, v);
}

/* Clears the codes of blocks whose scale is zero. @n: a multiple of the lanes */
static inline void
clear_zeros (const float *scales, gsize n, guint8 *codes)
{
  VecI some = { 0 };

  for (gsize b = 0; b < n; b += LANES)
    some |= VEC (loadu_ps) (scales + b) == 0.0f;
  if (!vec_any (some))
    return;
  for (gsize b = 0; b < n; b++)
    if (scales[b] == 0.0f)
      memset (codes + b * QCONV_NVFP4_BLOCK_BYTES, 0, QCONV_NVFP4_BLOCK_BYTES);
}

/* Encodes @n_blocks blocks, a multiple of the lanes. Callers give a constant as dtype, so that the compiler makes code
   for each. */
static inline void
encode_whole (QconvDType dtype, const guint8 *src, gsize n_blocks, guint8 *codes, guint8 *scale_codes,
              float tensor_scale, gboolean search)
{
  gsize bytes = QCONV_NVFP4_BLOCK * (dtype == QCONV_F32 ? 4 : 2);
  float scales[STRETCH];

  for (gsize at = 0; at < n_blocks; at += STRETCH)
    {
      gsize n = MIN (n_blocks - at, STRETCH);

      for (gsize b = 0; b < n; b += LANES)
        find_scales (dtype, src + (at + b) * bytes, scale_codes + at + b, scales + b, tensor_scale, search);
      for (gsize b = 0; b < n; b += 4)
        encode_four (dtype, src + (at + b) * bytes, codes + (at + b) * QCONV_NVFP4_BLOCK_BYTES, scales + b);
      clear_zeros (scales, n, codes + at * QCONV_NVFP4_BLOCK_BYTES);
    }
}

static inline void
encode_all (const QconvNvfp4Run *run, QconvDType dtype)
{
  gsize bytes = QCONV_NVFP4_BLOCK * (dtype == QCONV_F32 ? 4 : 2), rest = run->n_blocks % LANES;
  gsize whole = run->n_blocks - rest;
  guint8 padded[LANES * QCONV_NVFP4_BLOCK * sizeof (float)], packed[LANES * QCONV_NVFP4_BLOCK_BYTES], scales[LANES];

  encode_whole (dtype, run->src, whole, run->codes, run->scales, run->tensor_scale, run->search);
  if (rest == 0)
    return;
  memset (padded, 0, sizeof padded);
  memcpy (padded, (const guint8 *) run->src + whole * bytes, rest * bytes);
  encode_whole (dtype, padded, LANES, packed, scales, run->tensor_scale, run->search);
  memcpy (run->codes + whole * QCONV_NVFP4_BLOCK_BYTES, packed, rest * QCONV_NVFP4_BLOCK_BYTES);
  memcpy (run->scales + whole, scales, rest);
}

void
QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (const QconvNvfp4Run *run)
{
  if (run->dtype == QCONV_F32)
    encode_all (run, QCONV_F32);
  else if (run->dtype == QCONV_F16)
    encode_all (run, QCONV_F16);
  else
    encode_all (run, QCONV_BF16);
}
