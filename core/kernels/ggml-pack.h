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
