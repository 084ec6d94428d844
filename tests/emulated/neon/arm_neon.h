/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes the place of the compiler's header where sources of the level neon are compiled for processors without it.
   SIMDe emulates most of what such a processor does; the rest of what our kernels use is here. */
#pragma once
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <math.h>
#include <simde/arm/neon.h>
#include <string.h>

static inline simde_float16x4_t
emulated_reinterpret_f16_u8 (uint8x8_t a)
{
  simde_float16x4_t same;

  memcpy (&same, &a, sizeof same);
  return same;
}

static inline float32x4_t
emulated_sqrtq_f32 (float32x4_t a)
{
  for (int i = 0; i < 4; i++)
    a[i] = sqrtf (a[i]);
  return a;
}

#undef vreinterpret_f16_u8
#define vreinterpret_f16_u8 emulated_reinterpret_f16_u8
#undef vsqrtq_f32
#define vsqrtq_f32 emulated_sqrtq_f32
