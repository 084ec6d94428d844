/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "amax", "nonfinite", "magnitudes" and "squared-error" for single items. */
#pragma once
#include "kernels/items/weights.h"

/* The result of "magnitudes" begins with the largest magnitude (F32) and these flags; the counts follow. All are 32-bit
   words */
enum { QCONV_WORD_AMAX, QCONV_WORD_FLAGS, QCONV_WORD_COUNTS };
enum { QCONV_FLAG_F16 = 1, QCONV_FLAG_ROUNDED = 2 };
#define QCONV_MAGNITUDES 32768

#define QCONV_ERROR_LANES 16 /* of "squared-error": item i of a row is added in lane i mod 16 */

/* @dst: F32 of "amax", U64 of "nonfinite", words of "magnitudes" */
typedef struct {
  QconvDType dtype;
  const void *src;
  void *dst;
  gsize n;
} QconvMeasureJob;

/* @ref: of @dtype; @out: two sums */
typedef struct {
  QconvDType dtype;
  const void *ref;
  const float *got;
  double *out;
  gsize rows, cols;
} QconvErrorJob;

/* An item is Inf or NaN if its bits within @mask are @least or more */
typedef struct {
  guint64 mask, least;
} QconvNonFinite;

QCONV_ITEM QconvNonFinite
nonfinite_bits (QconvDType dtype)
{
  QconvNonFinite e4m3 = { 0x7f, 0x7f }, e5m2 = { 0x7f, 0x7c }, f16 = { 0x7fff, 0x7c00 }, bf16 = { 0x7fff, 0x7f80 };
  QconvNonFinite f32 = { 0x7fffffff, 0x7f800000 }, f64 = { 0x7fffffffffffffff, 0x7ff0000000000000 };

  return dtype == QCONV_F64       ? f64
         : dtype == QCONV_F32     ? f32
         : dtype == QCONV_F16     ? f16
         : dtype == QCONV_BF16    ? bf16
         : dtype == QCONV_F8_E4M3 ? e4m3
                                  : e5m2;
}

/* Rounds the magnitude of an F32 to the nearest BF16, ties to even. NaN counts as the last counter at most */
QCONV_ITEM guint32
bf16_magnitude (guint32 bits)
{
  guint32 u = bits & 0x7fffffff, rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;

  return rounded < QCONV_MAGNITUDES ? rounded : QCONV_MAGNITUDES - 1;
}

/* Returns item @i of the reference as FP64 */
QCONV_ITEM double
reference_item (QconvDType dtype, const void *ref, gsize i)
{
  return dtype == QCONV_F64 ? ((const double *) ref)[i] : (double) widen_item (dtype, ref, i);
}
