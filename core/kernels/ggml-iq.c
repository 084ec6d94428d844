/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes ggml types whose vectors of codes stand in a grid, and IQ4_XS, which has single codes. ggml-table.c names the
   decoders. */
#include "kernels/ggml-grids.h"
#include "kernels/ggml-vector.h"

enum { BLOCK = 256 };

/* Writes eight grid values, negated if @signs is -1 and not if it is 0. Values are never 0, and ~x + 1 negates, so no
   byte carries into the next one and one addition does all eight */
static inline void
put_signed (gint8 *q, guint64 values, const gint8 *signs)
{
  guint64 negative = load_u64 (signs);

  store_u64 (q, (values ^ negative) + (negative & repeat_byte (1)));
}

/* Joins two grid rows of four values */
static inline guint64
join_rows (const gint8 *first, const gint8 *second)
{
  guint64 low = load_u32 ((const guint8 *) first), high = load_u32 ((const guint8 *) second);

  return GUINT64_TO_LE (low | high << 32);
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq2_xxs) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 66, dst += BLOCK)
    for (guint g = 0; g < 8; g++)
      {
        const guint8 *indices = src + 2 + 8 * g;
        guint32 word = load_u32 (indices + 4);
        gint8 q[32];

        for (guint l = 0; l < 4; l++)
          put_signed (q + 8 * l, load_u64 (grids->iq2_xxs[indices[l]]), grids->even[word >> (7 * l) & 127]);
        scale (dst + 32 * g, q, 32, load_half (src) * (float) (2 * (word >> 28) + 1) * 0.125f);
      }
}

/* Scales two runs of 16, each with a scale code in a nibble of @codes (IQ2_XS, IQ2_S) */
static inline void
scale_halves (float *restrict dst, const gint8 *restrict q, float d, guint8 codes)
{
  scale (dst, q, 16, d * (float) (2 * (codes & 15) + 1) * 0.125f);
  scale (dst + 16, q + 16, 16, d * (float) (2 * (codes >> 4) + 1) * 0.125f);
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq2_xs) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 74, dst += BLOCK)
    for (guint g = 0; g < 8; g++)
      {
        gint8 q[32];

        for (guint l = 0; l < 4; l++)
          {
            guint16 word = load_u16 (src + 2 + 8 * g + 2 * l);

            put_signed (q + 8 * l, load_u64 (grids->iq2_xs[word & 511]), grids->even[word >> 9]);
          }
        scale_halves (dst + 32 * g, q, load_half (src), src[66 + g]);
      }
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq2_s) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 82, dst += BLOCK)
    for (guint g = 0; g < 8; g++)
      {
        gint8 q[32];

        for (guint l = 0; l < 4; l++)
          {
            guint index = src[2 + 4 * g + l] | (src[66 + g] >> (2 * l) & 3) << 8;

            put_signed (q + 8 * l, load_u64 (grids->iq2_s[index]), grids->negative[src[34 + 4 * g + l]]);
          }
        scale_halves (dst + 32 * g, q, load_half (src), src[74 + g]);
      }
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq3_xxs) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 98, dst += BLOCK)
    for (guint g = 0; g < 8; g++)
      {
        const guint8 *indices = src + 2 + 8 * g;
        guint32 word = load_u32 (src + 66 + 4 * g);
        gint8 q[32];

        for (guint l = 0; l < 4; l++)
          put_signed (q + 8 * l, join_rows (grids->iq3_xxs[indices[2 * l]], grids->iq3_xxs[indices[2 * l + 1]]),
                      grids->even[word >> (7 * l) & 127]);
        scale (dst + 32 * g, q, 32, load_half (src) * (float) (2 * (word >> 28) + 1) * 0.25f);
      }
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq3_s) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 110, dst += BLOCK)
    for (guint g = 0; g < 8; g++)
      {
        const guint8 *indices = src + 2 + 8 * g;
        guint high = src[66 + g], code = src[106 + g / 2] >> (4 * (g % 2)) & 15;
        gint8 q[32];

        for (guint l = 0; l < 4; l++)
          {
            guint first = indices[2 * l] | (high >> (2 * l) & 1) << 8;
            guint second = indices[2 * l + 1] | (high >> (2 * l + 1) & 1) << 8;

            put_signed (q + 8 * l, join_rows (grids->iq3_s[first], grids->iq3_s[second]),
                        grids->negative[src[74 + 4 * g + l]]);
          }
        scale (dst + 32 * g, q, 32, load_half (src) * (float) (2 * code + 1));
      }
}

/* Writes eight times grid + delta: eight times the grid values -1, 0 and 1, plus or minus one. The top bits are added
   without carry, so that no byte reaches into the next one */
static inline void
put_shifted (gint8 *q, const gint8 *row, gboolean minus)
{
  guint64 values = load_u64 (row) << 3 & repeat_byte (0xf8), delta = minus ? repeat_byte (0xff) : repeat_byte (1);
  guint64 top = repeat_byte (0x80);

  store_u64 (q, ((values & ~top) + (delta & ~top)) ^ ((values ^ delta) & top));
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq1_s) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 50, dst += BLOCK)
    for (guint g = 0; g < 8; g++)
      {
        guint16 word = load_u16 (src + 34 + 2 * g);
        gint8 q[32];

        for (guint l = 0; l < 4; l++)
          put_shifted (q + 8 * l, grids->iq1[src[2 + 4 * g + l] | (word >> (3 * l) & 7) << 8], word >> 15);
        scale (dst + 32 * g, q, 32, load_half (src) * (float) (2 * (word >> 12 & 7) + 1) * 0.125f);
      }
}

/* Loads the scales: the scale of the block has its four nibbles at the top of four words, and each word has four codes
   of three bits below */
static inline void
load_iq1_m_scales (const guint8 *words, float *restrict scales)
{
  guint bits = 0;
  float d;

  for (guint k = 0; k < 4; k++)
    bits |= (guint) load_u16 (words + 2 * k) >> 12 << (4 * k);
  d = f32_of_f16 ((guint16) bits);
  for (guint t = 0; t < 16; t++)
    scales[t] = d * (float) (2 * (load_u16 (words + 2 * (t / 4)) >> (3 * (t % 4)) & 7) + 1) * 0.125f;
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq1_m) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 56, dst += BLOCK)
    {
      float scales[16];

      load_iq1_m_scales (src + 48, scales);
      for (guint t = 0; t < 16; t++)
        {
          guint low = src[32 + t] & 15, high = src[32 + t] >> 4;
          gint8 q[16];

          put_shifted (q, grids->iq1[src[2 * t] | (low & 7) << 8], low >> 3);
          put_shifted (q + 8, grids->iq1[src[2 * t + 1] | (high & 7) << 8], high >> 3);
          scale (dst + 16 * t, q, 16, scales[t]);
        }
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq4_xs) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 136, dst += BLOCK)
    {
      guint16 high = load_u16 (src + 2);
      float d = load_half (src);

      for (guint g = 0; g < 8; g++)
        {
          gint code = (src[4 + g / 2] >> (4 * (g % 2)) & 15) | (high >> (2 * g) & 3) << 4;
          gint8 q[32];

          look_up_nibbles (src + 8 + 16 * g, q, qconv_ggml_iq4_values);
          scale (dst + 32 * g, q, 32, d * (float) (code - 32));
        }
    }
}
