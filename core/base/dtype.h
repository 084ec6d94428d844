/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What core knows of item types beyond the plugin API. */
#pragma once
#include "qconv-types.h"

/* Returns: whether items of @dtype are numbers that F32 can hold without a scale: floats of 16 bits or more, and FP8 */
gboolean qconv_dtype_is_number (QconvDType dtype);
/* Reverses the bytes of each item of @dtype in @n bytes at @data; both halves of a C64 by themselves */
void qconv_swap_items (guint8 *data, gsize n, QconvDType dtype);
