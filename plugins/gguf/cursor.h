/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a header from its first byte to its last, whatever its lengths claim. */
#pragma once
#include "qconv-plugin.h"

#define GGUF_MAX_HEADER (128u << 20) /* of hostile text at most; tokenizers with their merges take some 20 MiB */
#define GGUF_MAX_STRING (64u << 20)

/**
 * GgufCursor:
 *
 * @big: numbers are big-endian
 * @count_bytes: of lengths, counts and dimensions: 4 in version 1, 8 since
 * @chunk: what was read ahead, @chunk_n bytes from @chunk_at
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

/* Whether @n things of at least @least bytes can follow; to be asked before anything is allocated for them */
gboolean qconv_gguf_cursor_has (const GgufCursor *c, guint64 n, guint least, GError **error);
gboolean qconv_gguf_cursor_take (GgufCursor *c, gsize n, void *dst, GError **error);
gboolean qconv_gguf_cursor_take_u32 (GgufCursor *c, guint32 *value, GError **error);
gboolean qconv_gguf_cursor_take_u64 (GgufCursor *c, guint64 *value, GError **error);
/* A length, count or dimension */
gboolean qconv_gguf_cursor_take_count (GgufCursor *c, guint64 *value, GError **error);
/* Returns: (transfer full): @n bytes, with a NUL behind them */
char *qconv_gguf_cursor_take_string (GgufCursor *c, gsize *n, GError **error);
