/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes the block types of ggml, 8 items at a time. The order of float operations is ggml's, so that zeros have its
   sign and infinite scales its results. */
#pragma once
#include "kernels/numbers.h"

/* X (function, operation, bytes of a block, items of a block) */
#define QCONV_GGML_TYPES(X)         \
  X (q4_0, "q4_0", 18, 32)          \
  X (q4_1, "q4_1", 20, 32)          \
  X (q5_0, "q5_0", 22, 32)          \
  X (q5_1, "q5_1", 24, 32)          \
  X (q8_0, "q8_0", 34, 32)          \
  X (q8_1, "q8_1", 36, 32)          \
  X (q2_k, "q2_k", 84, 256)         \
  X (q3_k, "q3_k", 110, 256)        \
  X (q4_k, "q4_k", 144, 256)        \
  X (q5_k, "q5_k", 176, 256)        \
  X (q6_k, "q6_k", 210, 256)        \
  X (q8_k, "q8_k", 292, 256)        \
  X (iq1_s, "iq1_s", 50, 256)       \
  X (iq1_m, "iq1_m", 56, 256)       \
  X (iq2_xxs, "iq2_xxs", 66, 256)   \
  X (iq2_xs, "iq2_xs", 74, 256)     \
  X (iq2_s, "iq2_s", 82, 256)       \
  X (iq3_xxs, "iq3_xxs", 98, 256)   \
  X (iq3_s, "iq3_s", 110, 256)      \
  X (iq4_nl, "iq4_nl", 18, 32)      \
  X (iq4_xs, "iq4_xs", 136, 256)    \
  X (tq1_0, "tq1_0", 54, 256)       \
  X (tq2_0, "tq2_0", 66, 256)       \
  X (q1_0, "q1_0", 18, 128)         \
  X (q2_0, "q2_0", 18, 64)          \
  X (mxfp4, "mxfp4_blocks", 17, 32) \
  X (nvfp4, "nvfp4_blocks", 36, 64)

/**
 * QconvGgmlGrids: vectors of small integers, row = index.
 *
 * @iq1: IQ1_S and IQ1_M share it
 * @negative: for each byte of signs: -1 where the bit of an element is set, else 0
 * @even: the same for seven bits of signs; the eighth is their parity, so that an even number is negative
 */
typedef struct {
  gint8 iq2_xxs[256][8];
  gint8 iq2_xs[512][8];
  gint8 iq2_s[1024][8];
  gint8 iq3_xxs[256][4];
  gint8 iq3_s[512][4];
  gint8 iq1[2048][8];
  gint8 negative[256][8];
  gint8 even[128][8];
} QconvGgmlGrids;

/* @grids: for types that need no grids it may be NULL */
typedef struct {
  const guint8 *blocks;
  float *dst;
  gsize n;
  const QconvGgmlGrids *grids;
} QconvGgmlJob;

/* ggml: kvalues_iq4nl */
QCONV_TABLE gint8 qconv_ggml_iq4_values[16]
    = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
/* Twice the values of E2M1 (ggml: kvalues_mxfp4); code 8 is +0 */
QCONV_TABLE gint8 qconv_ggml_e2m1_doubled[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

QCONV_ITEM guint16
load_u16 (const guint8 *p)
{
  guint16 v;

  memcpy (&v, p, sizeof v);
  return v;
}

QCONV_ITEM guint32
load_u32 (const guint8 *p)
{
  guint32 v;

  memcpy (&v, p, sizeof v);
  return v;
}

/* Returns 2^(e-128), half the value of an E8M0 byte. ggml's decoder does not treat 255 as NaN */
QCONV_ITEM float
half_of_e8m0 (guint8 e)
{
  return f32_of_bits (e < 2 ? 0x200000u << e : (guint32) (e - 1) << 23);
}

/* Returns half the value of an E4M3 byte without its sign; 0x7f is 0 and 0xff is 240 (ggml: ggml_ue4m3_to_fp32) */
QCONV_ITEM float
half_of_ue4m3 (guint8 v)
{
  guint32 exponent = v >> 3 & 15, mantissa = v & 7;

  if (v == 0x7f)
    return 0.0f;
  if (exponent == 0)
    return (float) mantissa * 0x1p-10f;
  return f32_of_bits ((exponent + 119) << 23 | mantissa << 20);
}
