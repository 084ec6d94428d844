/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cursor that reads a hostile header from its first byte to its last. Header and values are parsed with it. */
#pragma once
#include "qconv-plugin.h"

/* Most bytes of a header and of one text in it. Tokenizers with their merges take about 20 MiB. */
#define GGUF_MAX_HEADER (128u << 20)
#define GGUF_MAX_STRING (64u << 20)

/**
 * GgufCursor: where the next byte is read. It only moves forwards.
 *
 * @at: bytes from the start of the file
 * @big: numbers are big-endian
 * @count_bytes: bytes of a length, count or dimension: 4 in version 1, 8 in later versions
 * @chunk: @chunk_n bytes that were read ahead, from @chunk_at on
 */
typedef struct {
  QconvSource *source;
  guint64 at;
  gboolean big;
  guint count_bytes;
  guint8 *chunk;
  guint64 chunk_at;
  gsize chunk_n;
} GgufCursor;

void qconv_gguf_cursor_init (GgufCursor *c, QconvSource *source);
void qconv_gguf_cursor_clear (GgufCursor *c);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GgufCursor, qconv_gguf_cursor_clear)

/* Fails unless the file has room for @n things of at least @least bytes. Callers must ask before they allocate anything
   for them. */
gboolean qconv_gguf_cursor_has (const GgufCursor *c, guint64 n, guint least, GError **error);
/* Read the next @n bytes, or the next number in the byte order of the file. */
gboolean qconv_gguf_cursor_take (GgufCursor *c, gsize n, void *dst, GError **error);
gboolean qconv_gguf_cursor_take_u32 (GgufCursor *c, guint32 *value, GError **error);
gboolean qconv_gguf_cursor_take_u64 (GgufCursor *c, guint64 *value, GError **error);
/* Reads a length, count or dimension. */
gboolean qconv_gguf_cursor_take_count (GgufCursor *c, guint64 *value, GError **error);
/* Returns: (transfer full): a text of @n bytes with a NUL behind it; the text may hold NUL, too. */
char *qconv_gguf_cursor_take_string (GgufCursor *c, gsize *n, GError **error);
