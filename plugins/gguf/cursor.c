/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a file from its first byte on, in chunks of 64 KiB. */
#include "cursor.h"

#include <string.h>

#define CHUNK (64u << 10)

void
qconv_gguf_cursor_init (GgufCursor *c, QconvSource *source)
{
  *c = (GgufCursor) { .source = source, .count_bytes = 8, .chunk = g_malloc (CHUNK) };
}

void
qconv_gguf_cursor_clear (GgufCursor *c)
{
  g_clear_pointer (&c->chunk, g_free);
}

gboolean
qconv_gguf_cursor_has (const GgufCursor *c, guint64 n, guint least, GError **error)
{
  guint64 left = qconv_source_size (c->source) - c->at;

  if (n > left / least)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "the file is truncated: at byte %" G_GUINT64_FORMAT " it claims %" G_GUINT64_FORMAT
                       " items of at least %u bytes, but only %" G_GUINT64_FORMAT " bytes follow",
                       c->at, n, least, left);
  if (n * least > GGUF_MAX_HEADER - c->at)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "the header is larger than %u MiB", GGUF_MAX_HEADER >> 20);
  return TRUE;
}

static gboolean
read_ahead (GgufCursor *c, GError **error)
{
  guint64 left = qconv_source_size (c->source) - c->at;

  c->chunk_n = (gsize) MIN (left, CHUNK);
  c->chunk_at = c->at;
  return qconv_source_read (c->source, c->at, c->chunk_n, c->chunk, error);
}

gboolean
qconv_gguf_cursor_take (GgufCursor *c, gsize n, void *dst, GError **error)
{
  if (!qconv_gguf_cursor_has (c, n, 1, error))
    return FALSE;
  if (n > CHUNK)
    {
      if (!qconv_source_read (c->source, c->at, n, dst, error))
        return FALSE;
    }
  else if (n > 0)
    {
      /* The cursor is never before the chunk, because it only moves forwards */
      if (c->at + n > c->chunk_at + c->chunk_n && !read_ahead (c, error))
        return FALSE;
      memcpy (dst, c->chunk + (c->at - c->chunk_at), n);
    }
  c->at += n;
  return TRUE;
}

gboolean
qconv_gguf_cursor_take_u32 (GgufCursor *c, guint32 *value, GError **error)
{
  guint32 raw;

  if (!qconv_gguf_cursor_take (c, sizeof raw, &raw, error))
    return FALSE;
  *value = c->big ? GUINT32_FROM_BE (raw) : GUINT32_FROM_LE (raw);
  return TRUE;
}

gboolean
qconv_gguf_cursor_take_u64 (GgufCursor *c, guint64 *value, GError **error)
{
  guint64 raw;

  if (!qconv_gguf_cursor_take (c, sizeof raw, &raw, error))
    return FALSE;
  *value = c->big ? GUINT64_FROM_BE (raw) : GUINT64_FROM_LE (raw);
  return TRUE;
}

gboolean
qconv_gguf_cursor_take_count (GgufCursor *c, guint64 *value, GError **error)
{
  guint32 narrow;

  if (c->count_bytes == 8)
    return qconv_gguf_cursor_take_u64 (c, value, error);
  if (!qconv_gguf_cursor_take_u32 (c, &narrow, error))
    return FALSE;
  *value = narrow;
  return TRUE;
}

char *
qconv_gguf_cursor_take_string (GgufCursor *c, gsize *n, GError **error)
{
  g_autofree char *text = NULL;
  guint64 length;

  if (!qconv_gguf_cursor_take_count (c, &length, error) || !qconv_gguf_cursor_has (c, length, 1, error))
    return NULL;
  if (length > GGUF_MAX_STRING)
    {
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "a text of %" G_GUINT64_FORMAT " bytes is longer than %u MiB", length,
                  GGUF_MAX_STRING >> 20);
      return NULL;
    }
  text = g_malloc ((gsize) length + 1);
  if (!qconv_gguf_cursor_take (c, (gsize) length, text, error))
    return NULL;
  text[length] = '\0';
  *n = (gsize) length;
  return g_steal_pointer (&text);
}
