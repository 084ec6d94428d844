/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes ggml types with up to 128 items a block. ggml-table.c names the decoders. */
#include "kernels/ggml-grids.h"
#include "kernels/ggml-vector.h"

enum { BLOCK = 32 };

/* Tables of the nibbles as they are, and less 8 */
static const gint8 unsigned_values[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const gint8 signed_values[16] = { -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7 };

void
QCONV_LEVEL_NAME (qconv_ggml_q4_0) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 18, dst += BLOCK)
    {
      gint8 q[BLOCK];

      look_up_nibbles (src + 2, q, signed_values);
      scale (dst, q, BLOCK, load_half (src));
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_q4_1) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 20, dst += BLOCK)
    {
      gint8 q[BLOCK];

      look_up_nibbles (src + 4, q, unsigned_values);
      scale_add (dst, q, BLOCK, load_half (src), load_half (src + 2));
    }
}

/* Unpacks codes of five bits: bit i of @high is the top bit of code i */
static inline void
unpack_q5_1 (const guint8 *nibbles, const guint8 *high, gint8 *q, const QconvGgmlGrids *grids)
{
  look_up_nibbles (nibbles, q, unsigned_values);
  for (guint i = 0; i < 4; i++)
    store_u64 (q + 8 * i, load_u64 (q + 8 * i) | (load_u64 (grids->negative[high[i]]) & repeat_byte (16)));
}

/* Unpacks the same codes less 16: if bit i is not set, the code is negative and its sign is extended */
static inline void
unpack_q5_0 (const guint8 *nibbles, const guint8 *high, gint8 *q, const QconvGgmlGrids *grids)
{
  look_up_nibbles (nibbles, q, unsigned_values);
  for (guint i = 0; i < 4; i++)
    store_u64 (q + 8 * i, load_u64 (q + 8 * i) | (~load_u64 (grids->negative[high[i]]) & repeat_byte (0xf0)));
}

void
QCONV_LEVEL_NAME (qconv_ggml_q5_0) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 22, dst += BLOCK)
    {
      gint8 q[BLOCK];

      unpack_q5_0 (src + 6, src + 2, q, grids);
      scale (dst, q, BLOCK, load_half (src));
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_q5_1) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 24, dst += BLOCK)
    {
      gint8 q[BLOCK];

      unpack_q5_1 (src + 8, src + 4, q, grids);
      scale_add (dst, q, BLOCK, load_half (src), load_half (src + 2));
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_q8_0) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 34, dst += BLOCK)
    scale (dst, (const gint8 *) src + 2, BLOCK, load_half (src));
}

void
QCONV_LEVEL_NAME (qconv_ggml_q8_1) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 36, dst += BLOCK)
    scale (dst, (const gint8 *) src + 4, BLOCK, load_half (src));
}

void
QCONV_LEVEL_NAME (qconv_ggml_iq4_nl) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 18, dst += BLOCK)
    {
      gint8 q[BLOCK];

      look_up_nibbles (src + 2, q, qconv_ggml_iq4_values);
      scale (dst, q, BLOCK, load_half (src));
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_mxfp4) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 17, dst += BLOCK)
    {
      gint8 q[BLOCK];

      look_up_nibbles (src + 1, q, qconv_ggml_e2m1_doubled);
      scale (dst, q, BLOCK, half_of_e8m0 (src[0]));
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_nvfp4) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 36, dst += 64)
    for (guint pair = 0; pair < 2; pair++)
      {
        gint8 q[32], ordered[32];

        look_up_nibbles (src + 4 + 16 * pair, q, qconv_ggml_e2m1_doubled);
        memcpy (ordered, q, 8);
        memcpy (ordered + 8, q + 16, 8);
        memcpy (ordered + 16, q + 8, 8);
        memcpy (ordered + 24, q + 24, 8);
        scale (dst + 32 * pair, ordered, 16, half_of_ue4m3 (src[2 * pair]));
        scale (dst + 32 * pair + 16, ordered + 16, 16, half_of_ue4m3 (src[2 * pair + 1]));
      }
}

void
QCONV_LEVEL_NAME (qconv_ggml_q1_0) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  const QconvGgmlGrids *grids = qconv_ggml_grids ();

  for (; n > 0; n--, src += 18, dst += 128)
    {
      gint8 q[128];

      for (guint i = 0; i < 16; i++)
        store_u64 (q + 8 * i, ~load_u64 (grids->negative[src[2 + i]]) | repeat_byte (1));
      scale (dst, q, 128, load_half (src));
    }
}

/* Spreads the eight crumbs of two bytes over eight bytes, less 1 */
static inline guint64
spread_crumbs (const guint8 *b)
{
  guint64 x = b[0] | (guint64) b[1] << 32;

  x = (x | x << 12) & G_GUINT64_CONSTANT (0x000f000f000f000f);
  x = (x | x << 6) & repeat_byte (3);
  return GUINT64_TO_LE ((x + repeat_byte (0x7f)) ^ repeat_byte (0x80));
}

void
QCONV_LEVEL_NAME (qconv_ggml_q2_0) (const guint8 *restrict src, float *restrict dst, gsize n)
{
  for (; n > 0; n--, src += 18, dst += 64)
    {
      gint8 q[64];

      for (guint i = 0; i < 8; i++)
        store_u64 (q + 8 * i, spread_crumbs (src + 2 + 2 * i));
      scale (dst, q, 64, load_half (src));
    }
}
