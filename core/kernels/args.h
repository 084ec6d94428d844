/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the arguments of operations. Every operation calls it before it touches memory. */
#pragma once
#include "qconv-backend.h"

#define QCONV_MASK(dtype) (1u << (dtype))
#define QCONV_MASK_WEIGHTS (QCONV_MASK (QCONV_F32) | QCONV_MASK (QCONV_F16) | QCONV_MASK (QCONV_BF16))

/* Stores an integer argument in @value. Fails with QCONV_ERROR_BUG if it is negative or too large. */
gboolean qconv_kernel_count (const QconvArg *arg, const char *what, gsize *value, GError **error);

/* Fails with QCONV_ERROR_BUG if the dtype is not in @dtypes or the buffer is too small for @rows times @per_row
   items. Every row of QCONV_U4 items starts a byte. */
gboolean qconv_kernel_fits (const QconvArg *arg, const char *what, guint32 dtypes, gsize rows, gsize per_row,
                            GError **error);

/* Returns how many whole items the buffer holds. */
gsize qconv_kernel_items (const QconvArg *arg);

/* Return the address of the first byte of a buffer, which only the buffer's device may read and write */
static inline const void *
qconv_kernel_in (const QconvArg *arg)
{
  return qconv_buffer_address (arg->buffer);
}

static inline void *
qconv_kernel_out (const QconvArg *arg)
{
  return qconv_buffer_address (arg->buffer);
}
