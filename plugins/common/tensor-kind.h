/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a stored tensor is by its type and shape. Readers ask before they claim it. */
#pragma once
#include "qconv-container.h"

/* Returns whether the items are FP8 codes. */
gboolean qconv_tensor_is_fp8 (const QconvTensor *t);
/* Returns whether the items are floats that could multiply weights: F32, F16 or BF16. */
gboolean qconv_tensor_is_factors (const QconvTensor *t);
gboolean qconv_tensor_is_matrix (const QconvTensor *t, guint64 rows, guint64 cols);
/* Returns the number of items, or 0 if it does not fit 64 bits. */
guint64 qconv_tensor_items (const QconvTensor *t);
/* Returns @n / @by, rounded up, for any @n. @by: not 0 */
guint64 qconv_divide_up (guint64 n, guint64 by);
