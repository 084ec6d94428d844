/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts that the vector decoders of the ggml block types share. Each type unpacks its codes into bytes and then
   scales runs of them. */
#pragma once
#include "kernels/ggml.h"

#if QCONV_VECTOR >= 256
#include <immintrin.h>
#elif QCONV_VECTOR == 128
#include <arm_neon.h>
#endif

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
#endif
}
