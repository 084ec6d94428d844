/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Converts single numbers between formats. Kernels, those of devices too, call it item by item; it is the reference
   that vector code must equal. */
#pragma once
#include "kernels/items/item.h"

QCONV_ITEM guint32
bits_of_f32 (float x)
{
  guint32 u;

  memcpy (&u, &x, sizeof u);
  return u;
}

QCONV_ITEM float
f32_of_bits (guint32 u)
{
  float x;

  memcpy (&x, &u, sizeof x);
  return x;
}

QCONV_ITEM float
magnitude_of (float x)
{
  return f32_of_bits (bits_of_f32 (x) & 0x7fffffff);
}

QCONV_ITEM float
f32_of_bf16 (guint16 h)
{
  return f32_of_bits ((guint32) h << 16);
}

QCONV_ITEM guint16
bf16_of_f32 (float x)
{
  guint32 u = bits_of_f32 (x);

  if ((u & 0x7fffffff) > 0x7f800000)
    return (guint16) (u >> 16 | 0x40);
  return (guint16) ((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Converts with a single rounding. The detour through FP64 keeps 53 bits; if any lost bit was set, the lowest kept
   one is set too. A plain cast is rounded twice by some emulators. */
QCONV_ITEM float
f32_of_u64 (guint64 x)
{
  if (x >> 53 == 0)
    return (float) (double) x;
  return (float) ((double) (x >> 11 | ((x & 0x7ff) != 0)) * 0x1p11);
}

QCONV_ITEM float
f32_of_i64 (gint64 x)
{
  return x < 0 ? -f32_of_u64 (0 - (guint64) x) : f32_of_u64 ((guint64) x);
}

/* Widens an F16. A NaN keeps its payload and becomes quiet, as in the processors' own conversions. */
QCONV_ITEM float
f32_of_f16 (guint16 h)
{
  guint32 sign = (guint32) (h & 0x8000) << 16, magnitude = h & 0x7fff;
  guint32 normal = (magnitude << 13) + (112u << 23);
  guint32 subnormal = bits_of_f32 ((float) magnitude * 0x1p-24f);
  guint32 u = magnitude < 0x0400 ? subnormal : normal;

  if (magnitude >= 0x7c00)
    u = magnitude << 13 | 0x7f800000 | (magnitude > 0x7c00 ? 0x400000 : 0);
  return f32_of_bits (u | sign);
}

QCONV_ITEM guint16
f16_of_f32 (float x)
{
  guint32 u = bits_of_f32 (x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff, h;

  if (magnitude > 0x7f800000)
    h = 0x7e00 | (magnitude >> 13 & 0x3ff);
  else if (magnitude >= 0x47800000) /* 2^16; numbers that round up to it follow from the carry below */
    h = 0x7c00;
  else if (magnitude < 0x38800000) /* 2^-14: the sum's lowest bits are steps of 2^-24 */
    h = bits_of_f32 (f32_of_bits (magnitude) + 0.5f) - bits_of_f32 (0.5f);
  else
    h = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  return (guint16) (h | sign);
}

QCONV_ITEM float
f32_of_e4m3 (guint8 e)
{
  guint32 sign = (guint32) (e & 0x80) << 24, magnitude = e & 0x7f;
  guint32 normal = (magnitude << 20) + (120u << 23);
  guint32 subnormal = bits_of_f32 ((float) magnitude * 0x1p-9f);
  guint32 u = magnitude < 8 ? subnormal : normal;

  return f32_of_bits ((magnitude == 0x7f ? 0x7fc00000 : u) | sign);
}

/* Returns the E4M3 code of @t, which must be from 0 to 448 */
QCONV_ITEM guint8
e4m3_of_f32 (float t)
{
  guint32 u = bits_of_f32 (t);

  if (u < 0x3c800000) /* 2^-6: the sum's lowest bits are steps of 2^-9 */
    return (guint8) (bits_of_f32 (t + 0x1p14f) - bits_of_f32 (0x1p14f));
  return (guint8) ((u - (120u << 23) + 0x7ffff + (u >> 20 & 1)) >> 20);
}

QCONV_ITEM float
f32_of_e5m2 (guint8 e)
{
  return f32_of_f16 ((guint16) (e << 8));
}

QCONV_ITEM float
f32_of_e8m0 (guint8 e)
{
  return f32_of_bits (e == 255 ? 0x7fc00000 : e == 0 ? 0x00400000 : (guint32) e << 23);
}

/* Returns the E2M1 code of a magnitude: nearest, ties to even, saturating */
QCONV_ITEM guint8
e2m1_of_f32 (float y)
{
  return (guint8) ((y > 0.25f) + (y >= 0.75f) + (y > 1.25f) + (y >= 1.75f) + (y > 2.5f) + (y >= 3.5f) + (y > 5.0f));
}
