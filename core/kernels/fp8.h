/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes FP8 without branches, so that compilers make vectors of loops over it. The FP8 and MXFP8 kernels call it. */
#pragma once
#include "kernels/ops.h"

/* The finite numbers of a format. @mantissa: bits of it; @normal: the F32 exponent field of its smallest normal
   number */
typedef struct {
  guint32 mantissa, normal;
  float largest;
} Fp8;

#define FP8_E4M3 ((Fp8) { 3, 127 - 6, 448.0f })
#define FP8_E5M2 ((Fp8) { 2, 127 - 14, 57344.0f })

/* Returns the F32 whose last place is the step of the format at magnitude @t: adding it rounds @t to nearest, ties to
   even */
static inline guint32
fp8_rounder (float t, Fp8 f)
{
  float smallest = f32_of_bits (f.normal << 23);

  return (bits_of_f32 (t > smallest ? t : smallest) & 0x7f800000) + ((23 - f.mantissa) << 23);
}

/* Returns the code nearest to @y, saturated: never Inf or NaN */
static inline guint8
fp8_of_f32 (float y, Fp8 f)
{
  guint32 u = bits_of_f32 (y), shift = 23 - f.mantissa, rounder;
  float magnitude = f32_of_bits (u & 0x7fffffff), t = magnitude < f.largest ? magnitude : f.largest;

  rounder = fp8_rounder (t, f);
  return (guint8) (bits_of_f32 (t + f32_of_bits (rounder)) - rounder
                   + (((rounder - (shift << 23)) >> shift) - (f.normal << f.mantissa)) + (u >> 24 & 0x80));
}
