/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Converts arrays of numbers to F32 and back, for plugins that compute on the CPU. They are the same kernels that core
   uses, so that the bytes are equal on every processor. */
#pragma once
#include "qconv-types.h"
G_BEGIN_DECLS

/* Converts the @n numbers at @src, which have the type @dtype, to F32. Both arrays must be aligned to their items and
   may not overlap; numbers are little-endian.
   @dtype: F64, F32, F16, BF16, F8_E4M3, F8_E5M2, F8_E8M0, BOOL, or an integer of 8 to 64 bits

   Numbers that F32 lacks (of F64 and of integers) are rounded to the nearest, ties to even; an F64 beyond F32 becomes
   Inf. NaN stays NaN and becomes quiet. F8_E8M0 255 is NaN; BOOL is 0 or 1.
   Returns FALSE, and writes nothing, if @dtype is another type. */
QCONV_API gboolean qconv_floats_from (QconvDType dtype, gconstpointer src, gsize n, float *dst);

/* Converts the @n F32 numbers at @src to the type @dtype. Both arrays must be aligned to their items and may not
   overlap.
   @dtype: F64, F32, F16, BF16, F8_E4M3 or F8_E5M2

   Numbers are rounded to the nearest, ties to even.
   F16 and BF16: a number that rounds beyond the largest finite one becomes Inf; NaN stays NaN and becomes quiet.
   F8_E4M3 and F8_E5M2: numbers beyond the largest finite one (448, 57344), Inf and NaN become the largest finite one
   with their sign, as the operation "fp8-encode" with the scale 1 does. The result is never Inf or NaN, so a caller
   that may have NaN must look for it before.
   Returns FALSE, and writes nothing, if @dtype is another type. F8_E8M0 is refused, because each scheme rounds to a
   power of two in its own way. */
QCONV_API gboolean qconv_floats_to (QconvDType dtype, const float *src, gsize n, gpointer dst);
G_END_DECLS
