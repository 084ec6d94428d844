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
