/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vectors with one block to a lane, for the searches of the ggml encoders. A lane does exactly what the scalar formula
   says, in its order, so the bytes do not depend on the number of lanes. */
#pragma once
#include <math.h>

#include "kernels/ggml-encode.h"

#if QCONV_VECTOR > 0
#include "kernels/vector.h"
#else
#define LANES QCONV_GGML_LANES
typedef float VecF __attribute__ ((vector_size (4 * LANES)));
typedef gint32 VecI __attribute__ ((vector_size (4 * LANES)));

static inline VecF
vec_set (float x)
{
  return (VecF) { x, x, x, x };
}

static inline VecF
vec_abs (VecF a)
{
  return (VecF) ((VecI) a & 0x7fffffff);
}

static inline void
vec_store_bytes (guint8 *dst, VecI a)
{
  for (guint i = 0; i < LANES; i++)
    dst[i] = (guint8) a[i];
}
#endif

#define ALWAYS_INLINE inline __attribute__ ((always_inline))

/* Returns @yes where @mask is set, else @no */
static ALWAYS_INLINE VecF
lanes_choose (VecI mask, VecF yes, VecF no)
{
#if QCONV_VECTOR == 256
  return _mm256_blendv_ps (no, yes, (__m256) mask);
#elif QCONV_VECTOR == 512
  return _mm512_mask_blend_ps (_mm512_movepi32_mask ((__m512i) mask), no, yes);
#else
  return (VecF) ((mask & (VecI) yes) | (~mask & (VecI) no));
#endif
}

/* Returns @a if it is the smaller (larger) one, else @b */
static ALWAYS_INLINE VecF
lanes_min (VecF a, VecF b)
{
#if QCONV_VECTOR > 0
  return vec_min (a, b);
#else
  return lanes_choose (a < b, a, b);
#endif
}

static ALWAYS_INLINE VecF
lanes_max (VecF a, VecF b)
{
#if QCONV_VECTOR > 0
  return vec_max (a, b);
#else
  return lanes_choose (a > b, a, b);
#endif
}

static ALWAYS_INLINE VecF
lanes_clamp (VecF v, float low, float high)
{
  return lanes_min (lanes_max (v, vec_set (low)), vec_set (high));
}

/* Rounds to the nearest integer, ties to even; numbers must be below 2^22 */
static ALWAYS_INLINE VecF
lanes_round (VecF v)
{
  return (v + 0x1.8p23f) - 0x1.8p23f;
}

static ALWAYS_INLINE VecF
lanes_sqrt (VecF v)
{
#if QCONV_VECTOR == 128
  return vsqrtq_f32 (v);
#elif QCONV_VECTOR >= 256
  return VEC (sqrt_ps) (v);
#else
  for (guint i = 0; i < LANES; i++)
    v[i] = sqrtf (v[i]);
  return v;
#endif
}

/* Returns the largest of all lanes */
static ALWAYS_INLINE float
lanes_highest (VecF v)
{
#if QCONV_VECTOR >= 256
#if QCONV_VECTOR == 512
  __m256 eight = _mm256_max_ps (_mm512_castps512_ps256 (v), _mm512_extractf32x8_ps (v, 1));
#else
  __m256 eight = v;
#endif
  __m128 four = _mm_max_ps (_mm256_castps256_ps128 (eight), _mm256_extractf128_ps (eight, 1));
  __m128 two = _mm_max_ps (four, _mm_movehl_ps (four, four));

  return _mm_cvtss_f32 (_mm_max_ss (two, _mm_movehdup_ps (two)));
#else
  float top = v[0];

  for (guint i = 1; i < LANES; i++)
    top = v[i] > top ? v[i] : top;
  return top;
#endif
}

/* Cuts off what is behind the point; numbers must fit */
static ALWAYS_INLINE VecI
lanes_cut (VecF v)
{
  return __builtin_convertvector(v, VecI);
}

/* Returns a bit for each lane, set if it is negative */
static ALWAYS_INLINE guint32
lanes_signs (VecI v)
{
#if QCONV_VECTOR == 512
  return _mm512_movepi32_mask ((__m512i) v);
#elif QCONV_VECTOR == 256
  return (guint32) _mm256_movemask_ps ((__m256) v);
#else
  guint32 bits = 0;

  for (guint i = 0; i < LANES; i++)
    bits |= (guint32) (v[i] < 0) << i;
  return bits;
#endif
}

static ALWAYS_INLINE VecF
lanes_at (const float *x)
{
  VecF v;

  memcpy (&v, x, sizeof v);
  return v;
}

/* Rounds to F16; Inf becomes the largest finite number */
static inline VecF
lanes_half (VecF v)
{
  for (guint i = 0; i < LANES; i++)
    v[i] = f32_of_f16 (finite_half (v[i]));
  return v;
}

/* Sets v[i] to item i of every block of @items; they must be a multiple of 8 */
static inline void
lanes_load (const float *x, guint items, VecF *v)
{
  for (guint i = 0; i < items; i += 8)
    {
#if QCONV_VECTOR > 0
      VecI columns[8];

      vec_load_columns (columns, (const guint8 *) (x + i), items * sizeof *x, FALSE);
      for (guint k = 0; k < 8; k++)
        v[i + k] = (VecF) columns[k];
#else
      for (guint k = 0; k < 8; k++)
        for (guint lane = 0; lane < LANES; lane++)
          v[i + k][lane] = x[lane * items + i + k];
#endif
    }
}

/* Returns the largest magnitude; @n must be a multiple of 16 */
static ALWAYS_INLINE float
largest_magnitude (const float *x, guint n)
{
  VecF top = vec_abs (lanes_at (x));

  for (guint i = LANES; i < n; i += LANES)
    top = lanes_max (vec_abs (lanes_at (x + i)), top);
  return lanes_highest (top);
}
