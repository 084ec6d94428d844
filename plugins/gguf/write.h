/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hook of the container that lays a GGUF file out. */
#pragma once
#include "qconv-container.h"

gboolean qconv_gguf_lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
                             GByteArray *header, guint64 *file_size, GError **error);
