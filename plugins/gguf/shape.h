/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shapes that tensors had before they were stored in other ones. The reader asks for each tensor. */
#pragma once
#include "qconv-plugin.h"

/* Sets @shape to the shape that the model knows, and @known to whether the file stores another one. Fails with
   QCONV_ERROR_INPUT if the file gives a shape that does not suit @t. */
gboolean qconv_gguf_true_shape (const QconvDirectory *d, const QconvTensor *t, QconvShape *shape, gboolean *known,
                                GError **error);
/* Warns of shapes of tensors that do not exist. */
void qconv_gguf_check_shape_keys (const QconvDirectory *d, QconvClaims *claims);
