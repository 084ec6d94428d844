/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts codes where the decoders of the ggml types find them. The encoders call it. */
#pragma once
#include "kernels/ggml-encode.h"

/* Packs @n codes of four bits in halves: the first half in the low nibbles */
static inline void
pack_nibbles (const guint8 *restrict q, guint8 *restrict dst, guint n)
{
  for (guint i = 0; i < n / 2; i++)
    dst[i] = (guint8) (q[i] | q[i + n / 2] << 4);
}

/* Stores the fifth bits of 32 codes, then their nibbles */
static inline void
store_five_bits (guint8 *codes, guint8 *dst)
{
  guint32 high = 0;

  for (guint i = 0; i < 32; i++)
    {
      high |= (guint32) (codes[i] >> 4) << i;
      codes[i] &= 15;
    }
  store_u32 (dst, high);
  pack_nibbles (codes, dst + 4, 32);
}

/* Stores a block of Q4_0, Q4_1, Q5_0 or Q5_1: the scale, the minimum @m if it is not NULL, and 32 codes of 4 bits or,
   with @five, of 5. Changes @codes. Returns what is behind the block */
static inline guint8 *
store_codes32 (guint8 *codes, float d, const float *m, gboolean five, guint8 *dst)
{
  store_half (dst, d);
  dst += 2;
  if (m != NULL)
    {
      store_half (dst, *m);
      dst += 2;
    }
  if (five)
    store_five_bits (codes, dst);
  else
    pack_nibbles (codes, dst, 32);
  return dst + (five ? 20 : 16);
}

/* Packs 128 codes of two bits: byte i holds codes i, i + 32, i + 64 and i + 96 */
static inline void
pack_crumbs (const guint8 *restrict q, guint8 *restrict dst)
{
  for (guint i = 0; i < 32; i++)
    dst[i] = (guint8) (q[i] | q[i + 32] << 2 | q[i + 64] << 4 | q[i + 96] << 6);
}

/* Packs five ternary digits into each of @n bytes: a fraction of 256, rounded up. The digits of a byte are @n codes
   apart; only the first @digits are there */
static inline void
pack_trits (const guint8 *codes, guint8 *dst, guint n, guint digits)
{
  for (guint i = 0; i < n; i++)
    {
      guint v = 0;

      for (guint k = 0; k < 5; k++)
        v = 3 * v + (k < digits ? codes[k * n + i] : 0);
      dst[i] = (guint8) ((256 * v + 242) / 243);
    }
}

/* Stores ternary codes: 0 for -d, 1 for 0, 2 for d */
static inline void
store_tq1_0 (const guint8 codes[QCONV_GGML_SUPER], float d, guint8 *dst)
{
  pack_trits (codes, dst, 32, 5);
  pack_trits (codes + 160, dst + 32, 16, 5);
  pack_trits (codes + 240, dst + 48, 4, 4);
  store_half (dst + 52, d);
}

static inline void
store_tq2_0 (const guint8 codes[QCONV_GGML_SUPER], float d, guint8 *dst)
{
  pack_crumbs (codes, dst);
  pack_crumbs (codes + 128, dst + 32);
  store_half (dst + 64, d);
}

/* Packs bit @shift of 256 codes: bit k of byte i is that of code 32k + i */
static inline void
pack_high_bits (const guint8 *restrict q, guint shift, guint8 *restrict dst)
{
  memset (dst, 0, 32);
  for (guint k = 0; k < 8; k++)
    for (guint i = 0; i < 32; i++)
      dst[i] = (guint8) (dst[i] | (q[32 * k + i] >> shift & 1) << k);
}

/* Packs 128 codes of two bits of which bits above the second are ignored */
static inline void
pack_low_crumbs (const guint8 *restrict q, guint8 *restrict dst)
{
  guint8 low[128];

  for (guint i = 0; i < 128; i++)
    low[i] = q[i] & 3;
  pack_crumbs (low, dst);
}

/* Packs eight scales and eight minima of six bits into 12 bytes (ggml: get_scale_min_k4) */
static inline void
pack_q4_scales (const guint8 *scales, const guint8 *mins, guint8 *dst)
{
  for (guint k = 0; k < 4; k++)
    {
      dst[k] = (guint8) (scales[k] | scales[k + 4] >> 4 << 6);
      dst[k + 4] = (guint8) (mins[k] | mins[k + 4] >> 4 << 6);
      dst[k + 8] = (guint8) ((scales[k + 4] & 15) | (mins[k + 4] & 15) << 4);
    }
}

/* The blocks of the K types from the two F16 scales, the codes of the sub-blocks and 256 codes */
typedef struct {
  float d, dmin;
  guint8 scales[16], mins[16], codes[QCONV_GGML_SUPER];
} QconvGgmlAffine;

static inline void
store_q2_k (const QconvGgmlAffine *b, guint8 *dst)
{
  for (guint k = 0; k < 16; k++)
    dst[k] = (guint8) (b->scales[k] | b->mins[k] << 4);
  pack_crumbs (b->codes, dst + 16);
  pack_crumbs (b->codes + 128, dst + 48);
  store_half (dst + 80, b->d);
  store_half (dst + 82, b->dmin);
}

static inline void
store_q4_k (const QconvGgmlAffine *b, guint8 *dst)
{
  store_half (dst, b->d);
  store_half (dst + 2, b->dmin);
  pack_q4_scales (b->scales, b->mins, dst + 4);
  for (guint k = 0; k < 4; k++)
    pack_nibbles (b->codes + 64 * k, dst + 16 + 32 * k, 64);
}

static inline void
store_q5_k (const QconvGgmlAffine *b, guint8 *dst)
{
  guint8 low[QCONV_GGML_SUPER];

  for (guint i = 0; i < QCONV_GGML_SUPER; i++)
    low[i] = b->codes[i] & 15;
  store_half (dst, b->d);
  store_half (dst + 2, b->dmin);
  pack_q4_scales (b->scales, b->mins, dst + 4);
  pack_high_bits (b->codes, 4, dst + 16);
  for (guint k = 0; k < 4; k++)
    pack_nibbles (low + 64 * k, dst + 48 + 32 * k, 64);
}

/* @scales: with 32 added; @codes: with 4 added */
static inline void
store_q3_k (float d, const guint8 scales[16], const guint8 codes[QCONV_GGML_SUPER], guint8 *dst)
{
  pack_high_bits (codes, 2, dst);
  pack_low_crumbs (codes, dst + 32);
  pack_low_crumbs (codes + 128, dst + 64);
  memset (dst + 96, 0, 12);
  for (guint k = 0; k < 16; k++)
    {
      dst[96 + k % 8] |= (guint8) ((scales[k] & 15) << (4 * (k / 8)));
      dst[104 + k % 4] |= (guint8) (scales[k] >> 4 << (2 * (k / 4)));
    }
  store_half (dst + 108, d);
}

/* @codes: with 32 added */
static inline void
store_q6_k (float d, const gint8 scales[16], const guint8 codes[QCONV_GGML_SUPER], guint8 *dst)
{
  for (guint half = 0; half < 2; half++)
    for (guint i = 0; i < 32; i++)
      {
        const guint8 *q = codes + 128 * half + i;
        guint8 *low = dst + 64 * half + i, *high = dst + 128 + 32 * half + i;

        low[0] = (guint8) ((q[0] & 15) | (q[64] & 15) << 4);
        low[32] = (guint8) ((q[32] & 15) | (q[96] & 15) << 4);
        *high = (guint8) (q[0] >> 4 | q[32] >> 4 << 2 | q[64] >> 4 << 4 | q[96] >> 4 << 6);
      }
  memcpy (dst + 192, scales, 16);
  store_half (dst + 208, d);
}

/* Packs eight scales of six bits: the two high bits of each, then the low ones */
static inline void
pack_iq4_scales (const guint8 scales[8], guint8 *dst)
{
  guint16 high = 0;

  for (guint g = 0; g < 8; g++)
    high |= (guint16) (scales[g] >> 4 << (2 * g));
  store_u16 (dst, high);
  for (guint g = 0; g < 4; g++)
    dst[2 + g] = (guint8) ((scales[2 * g] & 15) | (scales[2 * g + 1] & 15) << 4);
}
