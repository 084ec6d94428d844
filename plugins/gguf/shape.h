/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shapes that a tensor had before it was stored in another one. */
#pragma once
#include "qconv-plugin.h"

/* Finds the shape of @t as its model has it. @known: FALSE where that is the stored one */
gboolean qconv_gguf_true_shape (const QconvDirectory *d, const QconvTensor *t, QconvShape *shape, gboolean *known,
                                GError **error);
/* Warns of shapes for tensors that are not there */
void qconv_gguf_check_shape_keys (const QconvDirectory *d, QconvClaims *claims);
