/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes numbers, texts and metadata values of GGUF (ggml: docs/gguf.md), little-endian. */
#pragma once
#include "qconv-types.h"

void qconv_gguf_append_u32 (GByteArray *out, guint32 value);
void qconv_gguf_append_u64 (GByteArray *out, guint64 value);
/* Appends a length and @n bytes of text. */
void qconv_gguf_append_text (GByteArray *out, const char *text, gsize n);
/* Appends the type and the value of what qconv_gguf_take_value() returns: with the same type, but 16 bits for i8. A "d"
   is an f32 if that holds it. Fails with QCONV_ERROR_UNSUPPORTED if GGUF has no such type. */
gboolean qconv_gguf_append_value (GByteArray *out, GVariant *value, GError **error);
