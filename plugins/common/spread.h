/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Spreads codes of a few bits, which lie one behind the other, to a byte or half a byte each. The readers of packed
   words call it. */
#pragma once
#include <glib.h>
#include <string.h>

/* Bytes that are read at once, of which codes may fill fewer */
#define QCONV_SPREAD 8

/* In each lane of 2 * @to bits, leaves the lowest @from bits and moves the next @from to bit @to. @lanes: bit 0 of each
   lane */
static inline guint64
qconv_spread_lanes (guint64 x, guint from, guint to, guint64 lanes)
{
  guint64 low = (((guint64) 1 << from) - 1) * lanes;

  return (x & low) | (x >> from & low) << to;
}

/* Writes the first 8 codes of @bits bits, 8 at most, to 8 bytes. @src: QCONV_SPREAD readable bytes */
static inline void
qconv_spread_bytes (const guint8 *src, guint bits, guint8 *dst)
{
  guint64 x;

  memcpy (&x, src, QCONV_SPREAD);
  x = qconv_spread_lanes (GUINT64_FROM_LE (x), 4 * bits, 32, 1);
  x = qconv_spread_lanes (x, 2 * bits, 16, G_GUINT64_CONSTANT (0x0000000100000001));
  x = qconv_spread_lanes (x, bits, 8, G_GUINT64_CONSTANT (0x0001000100010001));
  x = GUINT64_TO_LE (x);
  memcpy (dst, &x, sizeof x);
}

/* Writes the first 16 codes of @bits bits, 4 at most, to 8 bytes, the first of two in the lower half. @src:
   QCONV_SPREAD readable bytes */
static inline void
qconv_spread_nibbles (const guint8 *src, guint bits, guint8 *dst)
{
  guint64 x;

  memcpy (&x, src, QCONV_SPREAD);
  x = qconv_spread_lanes (GUINT64_FROM_LE (x), 8 * bits, 32, 1);
  x = qconv_spread_lanes (x, 4 * bits, 16, G_GUINT64_CONSTANT (0x0000000100000001));
  x = qconv_spread_lanes (x, 2 * bits, 8, G_GUINT64_CONSTANT (0x0001000100010001));
  x = qconv_spread_lanes (x, bits, 4, G_GUINT64_CONSTANT (0x0101010101010101));
  x = GUINT64_TO_LE (x);
  memcpy (dst, &x, sizeof x);
}
