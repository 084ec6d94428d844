/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes the block types of ggml, 8 items at a time. ggml_TYPE() writes items 8·@g … 8·@g + 7 of the block at @b,
   which need not be aligned, to @y. Runs of at least 8 items share a scale in every type. */
#pragma once
#include "kernels/items/ggml.h"
#include "kernels/items/weights.h"

#define EIGHT(name) QCONV_ITEM void ggml_##name (const guint8 *b, guint g, const QconvGgmlGrids *grids, float y[8])
#define EACH(k) \
  QCONV_UNROLL  \
  for (guint k = 0; k < 8; k++)

QCONV_ITEM float
half_at (const guint8 *p)
{
  return f32_of_f16 (load_u16 (p));
}

/* Returns bits @shift … of 8 bytes: codes of the width of @mask */
QCONV_ITEM void
take_codes (const guint8 *b, guint shift, guint mask, gint q[8])
{
  EACH (k)
  q[k] = (gint) (b[k] >> shift & mask);
}

/* Takes nibbles of 32 items: the low ones of 16 bytes come first */
QCONV_ITEM void
take_nibbles (const guint8 *b, guint g, gint q[8])
{
  take_codes (b + 8 * (g % 2), 4 * (g / 2), 15, q);
}

/* Writes d·(q - bias) */
QCONV_ITEM void
scale_less (const gint q[8], gint bias, float d, float y[8])
{
  EACH (k)
  y[k] = d * (float) (q[k] - bias);
}

/* Writes d·q + m */
QCONV_ITEM void
scale_plus (const gint q[8], float d, float m, float y[8])
{
  EACH (k)
  y[k] = d * (float) q[k] + m;
}

QCONV_ITEM void
scale_table (const gint8 *table, const gint q[8], float d, float y[8])
{
  EACH (k)
  y[k] = d * (float) table[q[k]];
}

QCONV_ITEM void
scale_bytes (const guint8 *b, float d, float y[8])
{
  EACH (k)
  y[k] = d * (float) (gint8) b[k];
}

/* Adds @value to codes whose bit is set; @bits: of 8 codes */
QCONV_ITEM void
add_bits (guint bits, gint value, gint q[8])
{
  EACH (k)
  q[k] += (gint) (bits >> k & 1) * value;
}

/* Adds @value to code k if byte k has bit @bit */
QCONV_ITEM void
add_bit_of_bytes (const guint8 *b, guint bit, gint value, gint q[8])
{
  EACH (k)
  q[k] += (b[k] >> bit & 1) * value;
}

/* ---- Up to 128 items a block ---- */

EIGHT (q4_0)
{
  gint q[8];

  take_nibbles (b + 2, g, q);
  scale_less (q, 8, half_at (b), y);
}

EIGHT (q4_1)
{
  gint q[8];

  take_nibbles (b + 4, g, q);
  scale_plus (q, half_at (b), half_at (b + 2), y);
}

EIGHT (q5_0)
{
  gint q[8];

  take_nibbles (b + 6, g, q);
  add_bits (b[2 + g], 16, q);
  scale_less (q, 16, half_at (b), y);
}

EIGHT (q5_1)
{
  gint q[8];

  take_nibbles (b + 8, g, q);
  add_bits (b[4 + g], 16, q);
  scale_plus (q, half_at (b), half_at (b + 2), y);
}

EIGHT (q8_0)
{
  scale_bytes (b + 2 + 8 * g, half_at (b), y);
}

EIGHT (q8_1)
{
  scale_bytes (b + 4 + 8 * g, half_at (b), y);
}

EIGHT (iq4_nl)
{
  gint q[8];

  take_nibbles (b + 2, g, q);
  scale_table (qconv_ggml_iq4_values, q, half_at (b), y);
}

EIGHT (mxfp4)
{
  gint q[8];

  take_nibbles (b + 1, g, q);
  scale_table (qconv_ggml_e2m1_doubled, q, half_of_e8m0 (b[0]), y);
}

/* Eight bytes hold 16 items under one scale, the low nibbles first */
EIGHT (nvfp4)
{
  gint q[8];

  take_codes (b + 4 + 8 * (g / 2), 4 * (g % 2), 15, q);
  scale_table (qconv_ggml_e2m1_doubled, q, half_of_ue4m3 (b[g / 2]), y);
}

EIGHT (q1_0)
{
  gint q[8] = { 0 };

  add_bits (b[2 + g], 2, q);
  scale_less (q, 1, half_at (b), y);
}

EIGHT (q2_0)
{
  guint word = load_u16 (b + 2 + 2 * g);
  gint q[8];

  EACH (k)
  q[k] = (gint) (word >> (2 * k) & 3);
  scale_less (q, 1, half_at (b), y);
}

/* ---- 256 items a block ---- */

/* Takes crumbs of 256 items: 32 bytes hold 128 items, crumb k of each the k-th run of 32 */
QCONV_ITEM void
take_crumbs (const guint8 *b, guint g, gint q[8])
{
  take_codes (b + 32 * (g / 16) + 8 * (g % 4), 2 * (g / 4 % 4), 3, q);
}

EIGHT (q2_k)
{
  guint8 codes = b[g / 2];
  gint q[8];

  take_crumbs (b + 16, g, q);
  scale_plus (q, half_at (b + 80) * (float) (codes & 15), -(half_at (b + 82) * (float) (codes >> 4)), y);
}

/* A scale has four low bits from eight bytes and two high ones from the next four */
EIGHT (q3_k)
{
  const guint8 *s = b + 96;
  guint run = g / 2, low = s[run % 8] >> (4 * (run / 8)) & 15, high = s[8 + run % 4] >> (2 * (run / 4)) & 3;
  float d = half_at (b + 108) * (float) ((gint) (low | high << 4) - 32);
  gint q[8];

  take_crumbs (b + 32, g, q);
  add_bit_of_bytes (b + 8 * (g % 4), g / 4, 4, q);
  scale_less (q, 4, d, y);
}

/* Scales codes of Q4_K and Q5_K. Scale and minimum of a run of 32 are codes of six bits in 12 bytes (ggml:
   get_scale_min_k4) */
QCONV_ITEM void
scale_k4 (const guint8 *b, guint run, const gint q[8], float y[8])
{
  const guint8 *s = b + 4 + run % 4;
  guint scale = run < 4 ? s[0] & 63u : (s[8] & 15u) | (guint) (s[0] >> 6) << 4;
  guint least = run < 4 ? s[4] & 63u : (guint) (s[8] >> 4) | (guint) (s[4] >> 6) << 4;

  scale_plus (q, half_at (b) * (float) (gint) scale, -(half_at (b + 2) * (float) (gint) least), y);
}

EIGHT (q4_k)
{
  guint run = g / 4;
  gint q[8];

  take_codes (b + 16 + 32 * (run / 2) + 8 * (g % 4), 4 * (run % 2), 15, q);
  scale_k4 (b, run, q, y);
}

EIGHT (q5_k)
{
  guint run = g / 4;
  gint q[8];

  take_codes (b + 48 + 32 * (run / 2) + 8 * (g % 4), 4 * (run % 2), 15, q);
  add_bit_of_bytes (b + 16 + 8 * (g % 4), run, 16, q);
  scale_k4 (b, run, q, y);
}

/* Half a block has 64 bytes of low nibbles, and 32 bytes with four high crumbs each */
EIGHT (q6_k)
{
  guint part = g / 4 % 4;
  const guint8 *low = b + 64 * (g / 16) + 32 * (part % 2) + 8 * (g % 4), *high = b + 128 + 32 * (g / 16) + 8 * (g % 4);
  gint q[8];

  EACH (k)
  q[k] = (low[k] >> (4 * (part / 2)) & 15) | (high[k] >> (2 * part) & 3) << 4;
  scale_less (q, 32, half_at (b + 208) * (float) (gint8) b[192 + g / 2], y);
}

EIGHT (q8_k)
{
  scale_bytes (b + 4 + 8 * g, f32_of_bits (load_u32 (b)), y);
}

/* Takes digit @place of a byte that holds five ternary ones as fractions of 256 */
QCONV_ITEM gint
take_trit (guint8 byte, guint place)
{
  guint power = place == 0 ? 1 : place == 1 ? 3 : place == 2 ? 9 : place == 3 ? 27 : 81;

  return (gint) ((byte * power & 255) * 3 >> 8);
}

/* 32 bytes hold 160 items, a digit of all after the other; then 16 bytes hold 80, and 4 bytes 16 */
EIGHT (tq1_0)
{
  gint q[8];

  EACH (k)
  {
    guint i = 8 * g + k, end = i - 240;

    q[k] = g < 20   ? take_trit (b[i % 32], i / 32)
           : g < 30 ? take_trit (b[32 + i % 16], (i - 160) / 16)
                    : take_trit (b[48 + end % 4], end / 4);
  }
  scale_less (q, 1, half_at (b + 52), y);
}

EIGHT (tq2_0)
{
  gint q[8];

  take_crumbs (b, g, q);
  scale_less (q, 1, half_at (b + 64), y);
}

/* ---- Grids ---- */

/* Writes d times grid values, negated if @signs is -1 and not if it is 0. @first, @second: four values each */
QCONV_ITEM void
scale_signed (const gint8 *first, const gint8 *second, const gint8 *signs, float d, float y[8])
{
  EACH (k)
  {
    gint v = k < 4 ? first[k] : second[k - 4];

    y[k] = d * (float) (signs[k] < 0 ? -v : v);
  }
}

EIGHT (iq2_xxs)
{
  const guint8 *indices = b + 2 + 8 * (g / 4);
  guint32 word = load_u32 (indices + 4);
  const gint8 *row = grids->iq2_xxs[indices[g % 4]];

  scale_signed (row, row + 4, grids->even[word >> (7 * (g % 4)) & 127],
                half_at (b) * (float) (2 * (word >> 28) + 1) * 0.125f, y);
}

/* Returns the scale of 16 items, whose code is in a nibble of @codes (IQ2_XS, IQ2_S) */
QCONV_ITEM float
scale_of_half (const guint8 *b, guint8 codes, guint g)
{
  return half_at (b) * (float) (2 * (codes >> (4 * (g / 2 % 2)) & 15) + 1) * 0.125f;
}

EIGHT (iq2_xs)
{
  guint word = load_u16 (b + 2 + 2 * g);
  const gint8 *row = grids->iq2_xs[word & 511];

  scale_signed (row, row + 4, grids->even[word >> 9], scale_of_half (b, b[66 + g / 4], g), y);
}

EIGHT (iq2_s)
{
  const gint8 *row = grids->iq2_s[b[2 + g] | (b[66 + g / 4] >> (2 * (g % 4)) & 3) << 8];

  scale_signed (row, row + 4, grids->negative[b[34 + g]], scale_of_half (b, b[74 + g / 4], g), y);
}

EIGHT (iq3_xxs)
{
  const guint8 *indices = b + 2 + 2 * g;
  guint32 word = load_u32 (b + 66 + 4 * (g / 4));

  scale_signed (grids->iq3_xxs[indices[0]], grids->iq3_xxs[indices[1]], grids->even[word >> (7 * (g % 4)) & 127],
                half_at (b) * (float) (2 * (word >> 28) + 1) * 0.25f, y);
}

EIGHT (iq3_s)
{
  guint group = g / 4, high = b[66 + group] >> (2 * (g % 4)), code = b[106 + group / 2] >> (4 * (group % 2)) & 15;
  const guint8 *indices = b + 2 + 2 * g;

  scale_signed (grids->iq3_s[indices[0] | (high & 1) << 8], grids->iq3_s[indices[1] | (high >> 1 & 1) << 8],
                grids->negative[b[74 + g]], half_at (b) * (float) (2 * code + 1), y);
}

/* Writes d times eight times grid + delta, which is an eighth, positive or negative */
QCONV_ITEM void
scale_shifted (const gint8 *row, guint minus, float d, float y[8])
{
  EACH (k)
  y[k] = d * (float) (8 * row[k] + (minus ? -1 : 1));
}

EIGHT (iq1_s)
{
  guint word = load_u16 (b + 34 + 2 * (g / 4));

  scale_shifted (grids->iq1[b[2 + g] | (word >> (3 * (g % 4)) & 7) << 8], word >> 15,
                 half_at (b) * (float) (2 * (word >> 12 & 7) + 1) * 0.125f, y);
}

/* The scale of the block has its four nibbles at the top of four words, and each word has four codes of three bits
   below */
EIGHT (iq1_m)
{
  const guint8 *words = b + 48;
  guint t = g / 2, nibble = b[32 + t] >> (4 * (g % 2)) & 15, bits = 0;

  QCONV_UNROLL
  for (guint k = 0; k < 4; k++)
    bits |= (guint) load_u16 (words + 2 * k) >> 12 << (4 * k);
  scale_shifted (grids->iq1[b[g] | (nibble & 7) << 8], nibble >> 3,
                 f32_of_f16 ((guint16) bits) * (float) (2 * (load_u16 (words + 2 * (t / 4)) >> (3 * (t % 4)) & 7) + 1)
                     * 0.125f,
                 y);
}

EIGHT (iq4_xs)
{
  guint group = g / 4, low = b[4 + group / 2] >> (4 * (group % 2)) & 15, high = load_u16 (b + 2) >> (2 * group) & 3;
  gint q[8];

  take_nibbles (b + 8 + 16 * group, g % 4, q);
  scale_table (qconv_ggml_iq4_values, q, half_at (b) * (float) ((gint) (low | high << 4) - 32), y);
}

/* ---- Units ---- */

/* Defines ggml_TYPE_unit(), which decodes 8 items. Units count through all blocks */
#define QCONV_GGML_UNIT(name, op, bytes, items)                                                                \
  QCONV_ITEM void ggml_##name##_unit (const QconvGgmlJob *job, gsize unit)                                     \
  {                                                                                                            \
    float y[8];                                                                                                \
                                                                                                               \
    ggml_##name (job->blocks + unit / ((items) / 8) * (bytes), (guint) (unit % ((items) / 8)), job->grids, y); \
    store_run (QCONV_F32, y, 8, 8, job->dst, 8 * unit);                                                        \
  }
QCONV_GGML_TYPES (QCONV_GGML_UNIT)

#undef EIGHT
#undef EACH
