/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What operations ask of their arguments before they touch memory. */
#pragma once
#include "qconv-backend.h"

#define QCONV_MASK(dtype) (1u << (dtype))
#define QCONV_MASK_WEIGHTS (QCONV_MASK (QCONV_F32) | QCONV_MASK (QCONV_F16) | QCONV_MASK (QCONV_BF16))

/* @value: not negative. Returns: FALSE with QCONV_ERROR_BUG otherwise */
gboolean qconv_kernel_count (const QconvArg *arg, const char *what, gsize *value, GError **error);

/* Returns: FALSE with QCONV_ERROR_BUG where the dtype is not in @dtypes or @rows times @per_row items do not fit the
   buffer. @per_row items of QCONV_U4 start a byte in every row */
gboolean qconv_kernel_fits (const QconvArg *arg, const char *what, guint32 dtypes, gsize rows, gsize per_row,
                            GError **error);

/* Returns: whole items in the buffer */
gsize qconv_kernel_items (const QconvArg *arg);

static inline const void *
qconv_kernel_in (const QconvArg *arg)
{
  return qconv_buffer_data (arg->buffer);
}

static inline void *
qconv_kernel_out (const QconvArg *arg)
{
  return qconv_buffer_data (arg->buffer);
}
