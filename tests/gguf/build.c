/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds GGUF files in memory. */
#include "build.h"

#include <stdarg.h>
#include <string.h>

Build *
build_new (gboolean big)
{
  Build *b = g_new0 (Build, 1);

  b->big = big;
  b->version = 3;
  b->alignment = 32;
  b->keys = g_byte_array_new ();
  b->infos = g_byte_array_new ();
  b->data = g_byte_array_new ();
  return b;
}

void
build_free (Build *b)
{
  g_byte_array_unref (b->keys);
  g_byte_array_unref (b->infos);
  g_byte_array_unref (b->data);
  g_free (b);
}

static void
put_number (const Build *b, GByteArray *to, guint64 value, guint width)
{
  for (guint i = 0; i < width; i++)
    {
      guint8 byte = (guint8) (value >> 8 * (b->big ? width - 1 - i : i));

      g_byte_array_append (to, &byte, 1);
    }
}

static void
put_text (const Build *b, GByteArray *to, const char *text)
{
  put_number (b, to, strlen (text), b->version == 1 ? 4 : 8);
  g_byte_array_append (to, (const guint8 *) text, (guint) strlen (text));
}

static void
put_key (Build *b, const char *key, guint32 kind)
{
  b->n_keys++;
  put_text (b, b->keys, key);
  put_number (b, b->keys, kind, 4);
}

static guint
width_of (guint32 kind)
{
  static const guint widths[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

  return widths[kind];
}

void
build_integer (Build *b, const char *key, guint32 kind, gint64 value)
{
  put_key (b, key, kind);
  put_number (b, b->keys, (guint64) value, width_of (kind));
}

void
build_text (Build *b, const char *key, const char *value)
{
  put_key (b, key, KV_STRING);
  put_text (b, b->keys, value);
}

void
build_integers (Build *b, const char *key, guint32 kind, const gint64 *values, guint n)
{
  put_key (b, key, KV_ARRAY);
  put_number (b, b->keys, kind, 4);
  put_number (b, b->keys, n, b->version == 1 ? 4 : 8);
  for (guint i = 0; i < n; i++)
    put_number (b, b->keys, (guint64) values[i], width_of (kind));
}

void
build_raw (Build *b, const char *key, guint32 kind, gconstpointer value, guint n)
{
  put_key (b, key, kind);
  g_byte_array_append (b->keys, value, n);
}

static void
pad (const Build *b, GByteArray *to)
{
  static const guint8 zeros[4096];

  if (to->len % b->alignment != 0)
    g_byte_array_append (to, zeros, b->alignment - to->len % b->alignment);
}

void
build_tensor (Build *b, const char *name, guint32 type, gconstpointer data, guint n, ...)
{
  gint64 dims[16];
  guint rank = 0;
  va_list args;

  va_start (args, n);
  while ((dims[rank] = va_arg (args, int)) >= 0)
    rank++;
  va_end (args);
  b->n_tensors++;
  put_text (b, b->infos, name);
  put_number (b, b->infos, rank, 4);
  for (guint i = 0; i < rank; i++)
    put_number (b, b->infos, (guint64) dims[i], b->version == 1 ? 4 : 8);
  put_number (b, b->infos, type, 4);
  put_number (b, b->infos, b->data->len, 8);
  g_byte_array_append (b->data, data, n);
  pad (b, b->data);
}

GByteArray *
build_file (const Build *b)
{
  GByteArray *file = g_byte_array_new ();
  guint width = b->version == 1 ? 4 : 8;

  g_byte_array_append (file, (const guint8 *) "GGUF", 4);
  put_number (b, file, b->version, 4);
  put_number (b, file, b->n_tensors, width);
  put_number (b, file, b->n_keys, width);
  g_byte_array_append (file, b->keys->data, b->keys->len);
  g_byte_array_append (file, b->infos->data, b->infos->len);
  pad (b, file);
  g_byte_array_append (file, b->data->data, b->data->len);
  return file;
}
