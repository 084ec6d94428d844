/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metadata values. */
#pragma once
#include "cursor.h"

/* What is odd about a value, for a warning */
typedef enum {
  GGUF_VALUE_ODD_BOOL = 1, /* a byte that is neither 0 nor 1 was taken as true */
  GGUF_VALUE_NOT_UTF8 = 2, /* text is kept as bytes */
} GgufValueOdd;

/* Takes a type and a value of it. Numbers keep their types, but i8 is widened to "n" and f32 to "d"; text that is not
   UTF-8 or has a NUL inside is a byte string "ay" with a NUL behind it; an array of texts "as", or "aay" where one of
   them is such. Returns: (transfer full) */
GVariant *qconv_gguf_take_value (GgufCursor *c, guint *odd, GError **error);
/* Whether @value is one integer of any type that fits */
gboolean qconv_gguf_value_integer (GVariant *value, gint64 *integer);
