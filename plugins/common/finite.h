/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers that lie in a file. */
#pragma once
#include "qconv-container.h"

typedef enum { QCONV_SIGN_ANY, QCONV_SIGN_NOT_NEGATIVE, QCONV_SIGN_POSITIVE } QconvSign;
/* Whether all items of @t, a float type, are finite and of this sign. FALSE, too, where they cannot be read */
gboolean qconv_tensor_is_finite (const QconvTensor *t, QconvSign sign);
