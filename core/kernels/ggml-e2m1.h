/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds E2M1 codes, for the encoder and the search of MXFP4 and NVFP4 blocks. */
#pragma once
#include "kernels/ggml-encode.h"

/* Halfway between the doubled values of E2M1. A number on such a point gets the smaller code (ggml:
   best_index_mxfp4) */
static const float middles[7] = { 0.5f, 1.5f, 2.5f, 3.5f, 5.0f, 7.0f, 10.0f };

/* Sets @codes to the nearest values; @unit: half the scale. Products with @unit are exact. No code is minus zero */
static inline void
nearest_e2m1 (const float *restrict x, gsize n, float unit, guint8 *restrict codes)
{
  float steps[7];

  for (guint k = 0; k < 7; k++)
    steps[k] = unit > 0.0f ? middles[k] * unit : G_MAXFLOAT;
  for (gsize i = 0; i < n; i++)
    {
      guint32 bits = bits_of_f32 (x[i]), code = 0;

      for (guint k = 0; k < 7; k++)
        code += f32_of_bits (bits & 0x7fffffff) > steps[k];
      codes[i] = (guint8) (code | (code > 0 ? bits >> 28 & 8 : 0));
    }
}
