/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Item types: the functions that only core calls; qconv-types.h declares the others. */
#pragma once
#include "qconv-types.h"

/* Returns whether F32 can hold the items of @dtype without a scale: floats of 16 bits or more, and FP8 */
gboolean qconv_dtype_is_number (QconvDType dtype);
/* Reverses the bytes of each item of @dtype in @n bytes at @data; of a C64 the bytes of each half */
void qconv_swap_items (guint8 *data, gsize n, QconvDType dtype);
