/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As many blocks at once as a vector has lanes: lane b holds block b, w[i] the i-th weight of every block. */
#include <float.h>

#include "nvfp4.h"
#include "vector.h"

#define EXPONENT 0x7f800000

static inline VecRaw
load_eight (QconvDType dtype, const guint8 *src, gsize step)
{
#if QCONV_VECTOR == 512
#define EIGHT(load, type) vec_join (load (type (src)), load (type (src + 8 * step)))
#else
#define EIGHT(load, type) load (type (src))
#endif
#define ADDRESS_256(p) ((const __m256i *) (p))
#define LOADED_128(p) _mm_loadu_si128 ((const __m128i *) (p))
#define WIDEN_F16(x) _mm256_castps_si256 (_mm256_cvtph_ps (x))
  if (dtype == QCONV_F16)
    return EIGHT (WIDEN_F16, LOADED_128);
  return EIGHT (_mm256_loadu_si256, ADDRESS_256);
}

static inline void
load_group (QconvDType dtype, const guint8 *src, VecF w[QCONV_NVFP4_BLOCK])
{
  gsize item = dtype == QCONV_F32 ? 4 : 2, step = QCONV_NVFP4_BLOCK * item;
  VecRaw v[8];

  for (guint half = 0; half < (dtype == QCONV_BF16 ? 1 : 2); half++)
    {
      for (guint b = 0; b < 8; b++)
        v[b] = load_eight (dtype, src + b * step + half * 8 * item, step);
      vec_transpose (v);
      for (guint i = 0; i < 8; i++)
        if (dtype == QCONV_BF16)
          {
            w[2 * i] = (VecF) ((VecI) v[i] << 16);
            w[2 * i + 1] = (VecF) ((VecI) v[i] & (gint32) 0xffff0000);
          }
        else
          w[half * 8 + i] = (VecF) v[i];
    }
}

/* A number this large has the E2M1 steps of @q (at most 6) as its own last place, so adding it rounds @q */
static inline VecF
e2m1_rounder (VecF q)
{
  return (VecF) (((VecI) vec_max (q, vec_set (1.0f)) & EXPONENT) + (22 << 23));
}

/* @t: 0 to 448. The same for E4M3 */
static inline VecI
e4m3_of_vec (VecF t)
{
  VecI exponent = (VecI) vec_max (t, vec_set (0x1p-6f)) & EXPONENT;
  VecI rounder = exponent + (20 << 23);

  return (VecI) (t + (VecF) rounder) - rounder + (exponent >> 20) - (121 << 3);
}

static inline VecF
vec_of_e4m3 (VecI code)
{
  VecF normal = (VecF) ((code << 20) + (120 << 23));

  return vec_select_less (vec_of_int (code), vec_set (8.0f), vec_of_int (code) * 0x1p-9f, normal);
}

static inline VecF
squared_error (VecF magnitude, VecF inverse)
{
  VecF q = magnitude * inverse, clamped = vec_min (q, vec_set (6.0f)), rounder = e2m1_rounder (clamped);
  VecF d = q - ((clamped + rounder) - rounder);

  return d * d;
}

/* Sums of the shape that the reference has */
static inline VecF
error_of_group (const VecF m[QCONV_NVFP4_BLOCK], VecF inverse)
{
#define TWO(i) (squared_error (m[i], inverse) + squared_error (m[(i) + 8], inverse))
#define FOUR(i) (TWO (i) + TWO ((i) + 4))
  return (FOUR (0) + FOUR (2)) + (FOUR (1) + FOUR (3));
}

/* One scale of the search in every lane */
typedef struct {
  VecI code;
  VecF scale, inverse;
} Candidate;

static inline Candidate
candidate (VecI start, gint offset, float tensor_scale)
{
  Candidate c;

  c.code = vec_min_int (vec_max_int (start + offset, (VecI) { 0 } + 1), (VecI) { 0 } + 126);
  c.scale = vec_of_e4m3 (c.code) * tensor_scale;
  c.inverse = 1.0f / c.scale;
  return c;
}

static const gint offsets[QCONV_NVFP4_N_OFFSETS] = QCONV_NVFP4_OFFSETS;

/* For numbers so small or large that squares leave the range of FP32 */
static VecI
search_every_scale (const VecF m[QCONV_NVFP4_BLOCK], VecI start, float tensor_scale)
{
  VecI chosen = start;
  VecF least = vec_set (0.0f);

  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      Candidate c = candidate (start, offsets[i], tensor_scale);
      VecF e = error_of_group (m, c.inverse) * (c.scale * c.scale);

      if (i > 0)
        chosen = (VecI) vec_select_less (e, least, (VecF) c.code, (VecF) chosen);
      least = i > 0 ? vec_select_less (e, least, e, least) : e;
    }
  return chosen & (start != 0);
}

/* Estimates count in these parts of a step of q = |w|/scale. A 16-bit product holds q below LARGEST_Q in them */
#define PARTS 4096
#define LARGEST_Q 7.99f
/* By how much an estimate of sqrt (sum of d*d) can be wrong, in PARTS. Each d is wrong by less than 1.76: up to 0.255
   from the 16 bits of |w|, 0.5 from those of the factor, 1 from cutting the product; FP32 errors of the exact sum are
   below 0.01. The norm of 16 such errors is below 4 * 1.77 */
#define UNSURE 8.0f

/* |w| as 16-bit shares of the block's largest, two to a lane */
static inline void
shares_of_top (const VecF m[QCONV_NVFP4_BLOCK], VecF top, VecRaw shares[QCONV_NVFP4_BLOCK / 2])
{
  VecF factor = 65535.0f / vec_max (top, vec_set (0x1p-100f));

  for (guint i = 0; i < QCONV_NVFP4_BLOCK / 2; i++)
    shares[i] = (VecRaw) (vec_round_to_int (m[2 * i] * factor) | vec_round_to_int (m[2 * i + 1] * factor) << 16);
}

/* Estimates sqrt (sum of d*d) in PARTS; @top_q: |w|/scale of the largest weight, below LARGEST_Q */
static inline VecF
estimate_norm (const VecRaw shares[QCONV_NVFP4_BLOCK / 2], VecF top_q)
{
  VecI factor = vec_round_to_int (top_q * (PARTS * 65536.0f / 65535.0f)), sum = { 0 };

  factor |= factor << 16;
  for (guint i = 0; i < QCONV_NVFP4_BLOCK / 2; i++)
    {
      VecRaw q = VEC (mulhi_epu16) (shares[i], (VecRaw) factor), d = VEC (sub_epi16) (q, vec_nearest_e2m1 (q));

      sum += (VecI) VEC (madd_epi16) (d, d);
    }
  return VEC (sqrt_ps) (vec_of_int (sum));
}

/* Of the candidates that may have the least error, in order, the first that has it */
static inline VecI
choose_exactly (const VecF m[QCONV_NVFP4_BLOCK], const Candidate c[QCONV_NVFP4_N_OFFSETS],
                const VecI may_win[QCONV_NVFP4_N_OFFSETS], VecI open, VecI chosen)
{
  VecF least = vec_set (FLT_MAX);

  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    if (vec_any (may_win[i] & open))
      {
        VecF e = error_of_group (m, c[i].inverse) * (c[i].scale * c[i].scale);
        VecI better = (e < least) & may_win[i] & open;

        chosen = (better & c[i].code) | (~better & chosen);
        least = (VecF) ((better & (VecI) e) | (~better & (VecI) least));
      }
  return chosen;
}

/* The same choice as search_every_scale(). Estimated errors exclude all scales that cannot have the least one; where
   that leaves several, their exact errors decide */
static inline VecI
search_scales (const VecF w[QCONV_NVFP4_BLOCK], VecF top, VecI start, float tensor_scale)
{
  Candidate c[QCONV_NVFP4_N_OFFSETS];
  VecF m[QCONV_NVFP4_BLOCK], lower[QCONV_NVFP4_N_OFFSETS], bound = vec_set (FLT_MAX);
  VecI may_win[QCONV_NVFP4_N_OFFSETS], once = { 0 }, twice = { 0 }, chosen = { 0 };
  VecRaw shares[QCONV_NVFP4_BLOCK / 2];
  const VecF limit = vec_set (LARGEST_Q);

  for (guint i = 0; i < QCONV_NVFP4_BLOCK; i++)
    m[i] = vec_abs (w[i]);
  if (!(tensor_scale >= 0x1p-40f && tensor_scale <= 0x1p40f)
      || vec_any (~(top * candidate (start, 0, tensor_scale).inverse < limit)))
    return search_every_scale (m, start, tensor_scale);
  shares_of_top (m, top, shares);
  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      VecF top_q, norm, unit;

      c[i] = candidate (start, offsets[i], tensor_scale);
      unit = vec_of_e4m3 (c[i].code);
      top_q = top * c[i].inverse;
      norm = estimate_norm (shares, vec_min (top_q, limit));
      /* beyond the limit the largest weight alone counts */
      lower[i] = unit * (vec_select_less (top_q, limit, norm, (top_q - 6.0f) * PARTS) - UNSURE);
      bound = vec_min (bound, vec_select_less (top_q, limit, unit * (norm + UNSURE), bound));
    }
  for (guint i = 0; i < QCONV_NVFP4_N_OFFSETS; i++)
    {
      may_win[i] = (VecI) (lower[i] <= bound);
      chosen = (may_win[i] & c[i].code) | (~may_win[i] & chosen);
      twice |= once & may_win[i];
      once |= may_win[i];
    }
  twice &= start != 0;
  if (vec_any (twice))
    chosen = choose_exactly (m, c, may_win, twice, chosen);
  return chosen & (start != 0);
}

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
    scale = search_scales (w, top, scale, tensor_scale);
  s = vec_of_e4m3 (scale) * tensor_scale;
  some = s != 0.0f;
  vec_store_interleaved (codes, codes_of_eight (w, s) & some, codes_of_eight (w + 8, s) & some);
  vec_store_bytes (scales, scale);
}

static inline void
encode_groups (QconvDType dtype, const guint8 *src, gsize n_blocks, guint8 *codes, guint8 *scales, float tensor_scale,
               gboolean search)
{
  gsize bytes = QCONV_NVFP4_BLOCK * (dtype == QCONV_F32 ? 4 : 2), b = 0;
  guint8 padded[LANES * QCONV_NVFP4_BLOCK * sizeof (float)], packed[LANES * QCONV_NVFP4_BLOCK_BYTES], scale[LANES];

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

#define DEFINE_ENCODE(lower, upper)                                                                                   \
  static void encode_##lower (const void *src, gsize n_blocks, guint8 *codes, guint8 *scales, float tensor_scale,     \
                              gboolean search)                                                                        \
  {                                                                                                                   \
    if (search)                                                                                                       \
      encode_groups (QCONV_##upper, src, n_blocks, codes, scales, tensor_scale, TRUE);                                \
    else                                                                                                              \
      encode_groups (QCONV_##upper, src, n_blocks, codes, scales, tensor_scale, FALSE);                               \
  }
DEFINE_ENCODE (f32, F32)
DEFINE_ENCODE (f16, F16)
DEFINE_ENCODE (bf16, BF16)

void
QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (QconvDType dtype, const void *src, gsize n_blocks, guint8 *codes,
                                              guint8 *scales, float tensor_scale, gboolean search)
{
  if (dtype == QCONV_F32)
    encode_f32 (src, n_blocks, codes, scales, tensor_scale, search);
  else if (dtype == QCONV_F16)
    encode_f16 (src, n_blocks, codes, scales, tensor_scale, search);
  else
    encode_bf16 (src, n_blocks, codes, scales, tensor_scale, search);
}
