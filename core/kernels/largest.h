/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The largest magnitude of a run of weights, for the kernels that derive a scale from it. */
#pragma once
#include "kernels/numbers.h"
#include "qconv-types.h"

/* Returns the bits of the largest magnitude. Magnitudes are in the order of their bits, and compilers find the largest
   of integers at full width */
static inline guint32
largest_bits (const float *x, gsize n)
{
  gint32 top = 0;

  for (gsize i = 0; i < n; i++)
    {
      gint32 magnitude = (gint32) (bits_of_f32 (x[i]) & 0x7fffffff);

      top = magnitude > top ? magnitude : top;
    }
  return (guint32) top;
}

static inline float
largest_of (const float *x, gsize n)
{
  return f32_of_bits (largest_bits (x, n));
}

/* The same of F16 or BF16 */
static inline guint16
largest_bits_of_16 (const guint16 *x, gsize n)
{
  gint16 top = 0;

  for (gsize i = 0; i < n; i++)
    {
      gint16 magnitude = (gint16) (x[i] & 0x7fff);

      top = magnitude > top ? magnitude : top;
    }
  return (guint16) top;
}

/* The same of weights: F32, F16 or BF16 */
static inline float
largest_weight (QconvDType dtype, const void *src, gsize n)
{
  if (dtype == QCONV_F32)
    return largest_of (src, n);
  return dtype == QCONV_BF16 ? f32_of_bf16 (largest_bits_of_16 (src, n)) : f32_of_f16 (largest_bits_of_16 (src, n));
}
