/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks whether the numbers of a stored tensor are valid. Readers call it for scales. */
#pragma once
#include "qconv-container.h"

typedef enum { QCONV_SIGN_ANY, QCONV_SIGN_NOT_NEGATIVE, QCONV_SIGN_POSITIVE } QconvSign;
/* Returns whether all items of @t, which must be floats, are finite and have @sign. Returns FALSE if reading fails. */
gboolean qconv_tensor_is_finite (const QconvTensor *t, QconvSign sign);
