/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the decoders of the ggml block types share. Each type unpacks its codes into bytes and then scales runs of them.
   The order of float operations is ggml's, so that zeros have its sign and infinite scales its results. */
#pragma once
#include <string.h>

#include "level.h"

#if QCONV_VECTOR >= 256
#include <immintrin.h>
#elif QCONV_VECTOR == 128
#include <arm_neon.h>
#endif

/* Decodes @n blocks at @src, which need not be aligned */
typedef void QconvGgmlDecode (const guint8 *restrict src, float *restrict dst, gsize n);

extern QconvGgmlDecode QCONV_LEVEL_NAME (qconv_ggml_q4_0), QCONV_LEVEL_NAME (qconv_ggml_q4_1),
    QCONV_LEVEL_NAME (qconv_ggml_q5_0), QCONV_LEVEL_NAME (qconv_ggml_q5_1), QCONV_LEVEL_NAME (qconv_ggml_q8_0),
    QCONV_LEVEL_NAME (qconv_ggml_q8_1), QCONV_LEVEL_NAME (qconv_ggml_iq4_nl), QCONV_LEVEL_NAME (qconv_ggml_mxfp4),
    QCONV_LEVEL_NAME (qconv_ggml_nvfp4), QCONV_LEVEL_NAME (qconv_ggml_q1_0), QCONV_LEVEL_NAME (qconv_ggml_q2_0);
extern QconvGgmlDecode QCONV_LEVEL_NAME (qconv_ggml_q2_k), QCONV_LEVEL_NAME (qconv_ggml_q3_k),
    QCONV_LEVEL_NAME (qconv_ggml_q4_k), QCONV_LEVEL_NAME (qconv_ggml_q5_k), QCONV_LEVEL_NAME (qconv_ggml_q6_k),
    QCONV_LEVEL_NAME (qconv_ggml_q8_k), QCONV_LEVEL_NAME (qconv_ggml_tq1_0), QCONV_LEVEL_NAME (qconv_ggml_tq2_0);
extern QconvGgmlDecode QCONV_LEVEL_NAME (qconv_ggml_iq1_s), QCONV_LEVEL_NAME (qconv_ggml_iq1_m),
    QCONV_LEVEL_NAME (qconv_ggml_iq2_xxs), QCONV_LEVEL_NAME (qconv_ggml_iq2_xs), QCONV_LEVEL_NAME (qconv_ggml_iq2_s),
    QCONV_LEVEL_NAME (qconv_ggml_iq3_xxs), QCONV_LEVEL_NAME (qconv_ggml_iq3_s), QCONV_LEVEL_NAME (qconv_ggml_iq4_xs);

static inline guint16
load_u16 (const guint8 *p)
{
  guint16 v;

  memcpy (&v, p, sizeof v);
  return GUINT16_FROM_LE (v);
}

static inline guint32
load_u32 (const guint8 *p)
{
  guint32 v;

  memcpy (&v, p, sizeof v);
  return GUINT32_FROM_LE (v);
}

static inline float
float_of_bits (guint32 bits)
{
  float f;

  memcpy (&f, &bits, sizeof f);
  return f;
}

/* Exact; a NaN is made quiet, as the processors' own conversion does */
static inline float
float_of_half (guint16 half)
{
#if QCONV_VECTOR >= 256
  return _cvtsh_ss (half);
#else
  guint32 sign = (guint32) (half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;

  if (exponent == 31)
    return float_of_bits (sign | 0x7f800000 | (mantissa == 0 ? 0 : mantissa << 13 | 0x400000));
  if (exponent == 0)
    return sign ? -(float) mantissa * 0x1p-24f : (float) mantissa * 0x1p-24f;
  return float_of_bits (sign | (exponent + 112) << 23 | mantissa << 13);
#endif
}

static inline float
load_half (const guint8 *p)
{
  return float_of_half (load_u16 (p));
}

/* d·q */
static inline void
scale (float *restrict y, const gint8 *restrict q, gsize n, float d)
{
  for (gsize i = 0; i < n; i++)
    y[i] = d * (float) q[i];
}

/* d·q + m */
static inline void
scale_add (float *restrict y, const gint8 *restrict q, gsize n, float d, float m)
{
  for (gsize i = 0; i < n; i++)
    y[i] = d * (float) q[i] + m;
}

/* The low nibbles of @n bytes go to @low, the high ones to @high, both less @bias */
static inline void
split_nibbles (const guint8 *restrict b, gint8 *restrict low, gint8 *restrict high, gsize n, gint8 bias)
{
  for (gsize i = 0; i < n; i++)
    {
      low[i] = (gint8) ((b[i] & 15) - bias);
      high[i] = (gint8) ((b[i] >> 4) - bias);
    }
}

/* 16 bytes of nibbles through a table of 16: the low ones first */
static inline void
look_up_nibbles (const guint8 *b, gint8 *q, const gint8 *table)
{
#if QCONV_VECTOR >= 256
  __m128i t = _mm_loadu_si128 ((const __m128i *) table), x = _mm_loadu_si128 ((const __m128i *) b);
  __m128i nibble = _mm_set1_epi8 (15);

  _mm_storeu_si128 ((__m128i *) q, _mm_shuffle_epi8 (t, _mm_and_si128 (x, nibble)));
  _mm_storeu_si128 ((__m128i *) (q + 16), _mm_shuffle_epi8 (t, _mm_and_si128 (_mm_srli_epi16 (x, 4), nibble)));
#elif QCONV_VECTOR == 128
  int8x16_t t = vld1q_s8 (table);
  uint8x16_t x = vld1q_u8 (b);

  vst1q_s8 (q, vqtbl1q_s8 (t, vandq_u8 (x, vdupq_n_u8 (15))));
  vst1q_s8 (q + 16, vqtbl1q_s8 (t, vshrq_n_u8 (x, 4)));
#else
  for (guint i = 0; i < 16; i++)
    {
      q[i] = table[b[i] & 15];
      q[i + 16] = table[b[i] >> 4];
    }
#endif
}

/* ggml: kvalues_iq4nl */
static const gint8 qconv_ggml_iq4_values[16]
    = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
