/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes ggml types with 256 items a block: the K types and the ternary ones. ggml-table.c names the decoders. */
#include "kernels/ggml-vector.h"

enum { BLOCK = 256 };

/* Splits 32 bytes into their low nibbles, then their high ones */
static inline void
split_nibbles (const guint8 *restrict b, gint8 *restrict q)
{
  for (guint i = 0; i < 32; i++)
    {
      q[i] = (gint8) (b[i] & 15);
      q[i + 32] = (gint8) (b[i] >> 4);
    }
}

/* Splits 32 bytes into crumbs of two bits: crumb k of each byte goes to the k-th run of 32, less @bias */
static inline void
split_crumbs (const guint8 *restrict b, gint8 *restrict q, gint8 bias)
{
  for (guint i = 0; i < 32; i++)
    {
      q[i] = (gint8) ((b[i] & 3) - bias);
      q[i + 32] = (gint8) ((b[i] >> 2 & 3) - bias);
      q[i + 64] = (gint8) ((b[i] >> 4 & 3) - bias);
      q[i + 96] = (gint8) ((b[i] >> 6) - bias);
    }
}

/* Adds @value to item i of the k-th run of 32 if byte i has bit k */
static inline void
add_high_bits (const guint8 *restrict b, gint8 *restrict q, gint8 value)
{
#if QCONV_VECTOR >= 256
  __m256i bytes = _mm256_loadu_si256 ((const __m256i *) b);

  for (guint k = 0; k < 8; k++)
    {
      __m256i *run = (__m256i *) (q + 32 * k), mask = _mm256_set1_epi8 ((char) (1u << k));
      __m256i set = _mm256_cmpeq_epi8 (_mm256_and_si256 (bytes, mask), mask);

      set = _mm256_and_si256 (set, _mm256_set1_epi8 (value));
      _mm256_storeu_si256 (run, _mm256_add_epi8 (_mm256_loadu_si256 (run), set));
    }
#else
  for (guint k = 0; k < 8; k++)
    for (guint i = 0; i < 32; i++)
      q[32 * k + i] = (gint8) (q[32 * k + i] + (b[i] >> k & 1) * value);
#endif
}

void
QCONV_LEVEL_NAME (qconv_ggml_q2_k) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 84, dst += BLOCK)
    {
      float d = load_half (src + 80), dmin = load_half (src + 82), scales[16], mins[16];
      gint8 q[BLOCK];

      split_crumbs (src + 16, q, 0);
      split_crumbs (src + 48, q + 128, 0);
      for (guint k = 0; k < 16; k++)
        {
          scales[k] = d * (float) (src[k] & 15);
          mins[k] = -(dmin * (float) (src[k] >> 4));
        }
      for (guint k = 0; k < 16; k++)
        scale_add (dst + 16 * k, q + 16 * k, 16, scales[k], mins[k]);
    }
}

/* Sets the scales of 16 runs to d·(scale - 32); a scale has four low bits from eight bytes and two high ones from the
   next four */
static inline void
load_q3_scales (const guint8 *s, float d, float *restrict scales)
{
  guint8 codes[16];

  for (guint k = 0; k < 8; k++)
    {
      codes[k] = s[k] & 15;
      codes[k + 8] = s[k] >> 4;
    }
  for (guint k = 0; k < 16; k++)
    codes[k] |= (guint8) ((s[8 + k % 4] >> (2 * (k / 4)) & 3) << 4);
  for (guint k = 0; k < 16; k++)
    scales[k] = d * (float) (codes[k] - 32);
}

void
QCONV_LEVEL_NAME (qconv_ggml_q3_k) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 110, dst += BLOCK)
    {
      float scales[16];
      gint8 q[BLOCK];

      split_crumbs (src + 32, q, 4);
      split_crumbs (src + 64, q + 128, 4);
      add_high_bits (src, q, 4);
      load_q3_scales (src + 96, load_half (src + 108), scales);
      for (guint k = 0; k < 16; k++)
        scale (dst + 16 * k, q + 16 * k, 16, scales[k]);
    }
}

/* Sets the scales of eight runs to d·sc and their minima to -(dmin·mn); both are codes of six bits in 12 bytes (ggml:
   get_scale_min_k4) */
static inline void
load_q4_scales (const guint8 *block, float *restrict scales, float *restrict mins)
{
  guint32 a = load_u32 (block + 4), b = load_u32 (block + 8), c = load_u32 (block + 12);
  guint32 words[4] = { a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030), b & 0x3f3f3f3f,
                       (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030) };
  float d = load_half (block), dmin = load_half (block + 2);

  for (guint k = 0; k < 8; k++)
    {
      scales[k] = d * (float) (gint32) (words[k / 4] >> (8 * (k % 4)) & 63);
      mins[k] = -(dmin * (float) (gint32) (words[2 + k / 4] >> (8 * (k % 4)) & 63));
    }
}

/* Scales runs of 32 codes, each by its own scale and minimum */
static inline void
scale_runs (float *restrict dst, const gint8 *restrict q, const float *scales, const float *mins)
{
  for (guint k = 0; k < 8; k++)
    scale_add (dst + 32 * k, q + 32 * k, 32, scales[k], mins[k]);
}

void
QCONV_LEVEL_NAME (qconv_ggml_q4_k) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 144, dst += BLOCK)
    {
      float scales[8], mins[8];
      gint8 q[BLOCK];

      load_q4_scales (src, scales, mins);
      for (guint k = 0; k < 4; k++)
        split_nibbles (src + 16 + 32 * k, q + 64 * k);
      scale_runs (dst, q, scales, mins);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_q5_k) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 176, dst += BLOCK)
    {
      float scales[8], mins[8];
      gint8 q[BLOCK];

      load_q4_scales (src, scales, mins);
      for (guint k = 0; k < 4; k++)
        split_nibbles (src + 48 + 32 * k, q + 64 * k);
      add_high_bits (src + 16, q, 16);
      scale_runs (dst, q, scales, mins);
    }
}

/* Unpacks one half of a Q6_K block: 64 bytes of low nibbles, and 32 bytes with four high crumbs each */
static inline void
unpack_q6_half (const guint8 *restrict low, const guint8 *restrict high, gint8 *restrict q)
{
  for (guint i = 0; i < 32; i++)
    {
      q[i] = (gint8) (((low[i] & 15) | (high[i] & 3) << 4) - 32);
      q[i + 32] = (gint8) (((low[i + 32] & 15) | (high[i] >> 2 & 3) << 4) - 32);
      q[i + 64] = (gint8) ((low[i] >> 4 | (high[i] >> 4 & 3) << 4) - 32);
      q[i + 96] = (gint8) ((low[i + 32] >> 4 | high[i] >> 6 << 4) - 32);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_q6_k) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 210, dst += BLOCK)
    {
      float scales[16];
      gint8 q[BLOCK];

      unpack_q6_half (src, src + 128, q);
      unpack_q6_half (src + 64, src + 160, q + 128);
      scale (scales, (const gint8 *) src + 192, 16, load_half (src + 208));
      for (guint k = 0; k < 16; k++)
        scale (dst + 16 * k, q + 16 * k, 16, scales[k]);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_q8_k) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 292, dst += BLOCK)
    scale (dst, (const gint8 *) src + 4, BLOCK, f32_of_bits (load_u32 (src)));
}

/* Takes one ternary digit out of each of @n bytes, which hold five as fractions of 256. @powers: 3 to the number of the
   digit */
static inline void
take_trits (const guint8 *restrict b, const guint8 *restrict powers, gint8 *restrict q, guint n)
{
  for (guint i = 0; i < n; i++)
    q[i] = (gint8) (((guint8) (b[i] * powers[i]) * 3 >> 8) - 1);
}

void
QCONV_LEVEL_NAME (qconv_ggml_tq1_0) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  static const guint8 ends[16] = { 1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27 };
  guint8 powers[5][32];

  for (guint k = 0, power = 1; k < 5; k++, power *= 3)
    memset (powers[k], (int) power, 32);
  for (; n > 0; n--, src += 54, dst += BLOCK)
    {
      guint64 end = load_u32 (src + 48);
      guint8 fourfold[16];
      gint8 q[BLOCK];

      for (guint k = 0; k < 5; k++)
        take_trits (src, powers[k], q + 32 * k, 32);
      for (guint k = 0; k < 5; k++)
        take_trits (src + 32, powers[k], q + 160 + 16 * k, 16);
      store_u64 (fourfold, end | end << 32);
      store_u64 (fourfold + 8, end | end << 32);
      take_trits (fourfold, ends, q + 240, 16);
      scale (dst, q, BLOCK, load_half (src + 52));
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_tq2_0) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 66, dst += BLOCK)
    {
      gint8 q[BLOCK];

      split_crumbs (src, q, 1);
      split_crumbs (src + 32, q + 128, 1);
      scale (dst, q, BLOCK, load_half (src + 64));
    }
}
