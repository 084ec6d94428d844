/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts that decoders of the ggml block types share. Each type unpacks its codes into bytes and then scales runs of
   them. The order of float operations is ggml's, so that zeros have its sign and infinite scales its results. */
#pragma once
#include <string.h>

#include "kernels/level.h"
#include "kernels/numbers.h"

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

static inline guint64
load_u64 (gconstpointer p)
{
  guint64 v;

  memcpy (&v, p, sizeof v);
  return v;
}

static inline void
store_u64 (gpointer p, guint64 v)
{
  memcpy (p, &v, sizeof v);
}

/* Returns the byte eight times, for arithmetic on eight codes at once */
static inline guint64
repeat_byte (guint8 byte)
{
  return byte * G_GUINT64_CONSTANT (0x0101010101010101);
}

static inline float
load_half (const guint8 *p)
{
#if QCONV_VECTOR >= 256
  return _cvtsh_ss (load_u16 (p));
#else
  return f32_of_f16 (load_u16 (p));
#endif
}

/* Loads eight codes at a time even if vectors are wider: a load that spans several stores to @q would wait for all of
   them */
#if QCONV_VECTOR >= 256
/* Repeats the codes, which costs the same as zeros above them: Valgrind 3.19 cannot decode the move that makes zeros */
static inline __m256
load_codes (const gint8 *q)
{
  return _mm256_cvtepi32_ps (_mm256_cvtepi8_epi32 (_mm_set1_epi64x ((gint64) load_u64 (q))));
}
#elif QCONV_VECTOR == 128
static inline float32x4x2_t
load_codes (const gint8 *q)
{
  int16x8_t wide = vmovl_s8 (vld1_s8 (q));

  return (float32x4x2_t) { { vcvtq_f32_s32 (vmovl_s16 (vget_low_s16 (wide))),
                             vcvtq_f32_s32 (vmovl_s16 (vget_high_s16 (wide))) } };
}
#endif

/* Writes d·q; @n must be a multiple of 8 */
static inline void
scale (float *restrict y, const gint8 *restrict q, gsize n, float d)
{
#if QCONV_VECTOR >= 256
  for (gsize i = 0; i < n; i += 8)
    _mm256_storeu_ps (y + i, _mm256_mul_ps (_mm256_set1_ps (d), load_codes (q + i)));
#elif QCONV_VECTOR == 128
  for (gsize i = 0; i < n; i += 8)
    {
      float32x4x2_t codes = load_codes (q + i);

      vst1q_f32 (y + i, vmulq_n_f32 (codes.val[0], d));
      vst1q_f32 (y + i + 4, vmulq_n_f32 (codes.val[1], d));
    }
#else
  for (gsize i = 0; i < n; i++)
    y[i] = d * (float) q[i];
#endif
}

/* Writes d·q + m; @n must be a multiple of 8 */
static inline void
scale_add (float *restrict y, const gint8 *restrict q, gsize n, float d, float m)
{
#if QCONV_VECTOR >= 256
  for (gsize i = 0; i < n; i += 8)
    _mm256_storeu_ps (y + i,
                      _mm256_add_ps (_mm256_mul_ps (_mm256_set1_ps (d), load_codes (q + i)), _mm256_set1_ps (m)));
#elif QCONV_VECTOR == 128
  for (gsize i = 0; i < n; i += 8)
    {
      float32x4x2_t codes = load_codes (q + i);

      vst1q_f32 (y + i, vaddq_f32 (vmulq_n_f32 (codes.val[0], d), vdupq_n_f32 (m)));
      vst1q_f32 (y + i + 4, vaddq_f32 (vmulq_n_f32 (codes.val[1], d), vdupq_n_f32 (m)));
    }
#else
  for (gsize i = 0; i < n; i++)
    y[i] = d * (float) q[i] + m;
#endif
}

/* Looks 16 bytes of nibbles up in a table of 16; the low nibbles come first */
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

/* Returns 2^(e-128), half the value of an E8M0 byte. ggml's decoder does not treat 255 as NaN */
static inline float
half_of_e8m0 (guint8 e)
{
  return f32_of_bits (e < 2 ? 0x200000u << e : (guint32) (e - 1) << 23);
}

/* Returns half the value of an E4M3 byte without its sign; 0x7f is 0 and 0xff is 240 (ggml: ggml_ue4m3_to_fp32) */
static inline float
half_of_ue4m3 (guint8 v)
{
  guint32 exponent = v >> 3 & 15, mantissa = v & 7;

  if (v == 0x7f)
    return 0.0f;
  if (exponent == 0)
    return (float) mantissa * 0x1p-10f;
  return f32_of_bits ((exponent + 119) << 23 | mantissa << 20);
}
