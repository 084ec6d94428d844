/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metadata values; the header reads them, shapes and splits look into them. */
#pragma once
#include "cursor.h"

/* Oddities of a value, for a warning. */
typedef enum {
  GGUF_VALUE_ODD_BOOL = 1, /* a byte that is neither 0 nor 1 was taken as true */
  GGUF_VALUE_NOT_UTF8 = 2, /* text is kept as bytes */
} GgufValueOdd;

/* Reads a type and a value of this type. Returns: (transfer full): a number has its own type, but i8 becomes "n" and
   f32 becomes "d". Text is "s", or "(ay)" with a NUL behind the bytes if it is not UTF-8 or has a NUL inside. An array
   of texts is "as", or "aay" if one of the texts is not UTF-8. @odd: GgufValueOdd flags are added */
GVariant *qconv_gguf_take_value (GgufCursor *c, guint *odd, GError **error);
/* Sets @integer and returns TRUE if @value is one integer, of any type, that fits. */
gboolean qconv_gguf_value_integer (GVariant *value, gint64 *integer);
