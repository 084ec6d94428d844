/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include <glib.h>

/* Appends UTF-8 @text as a JSON string with its quotes. Escaped are the quote, the backslash and control characters
   below 0x20 (short forms where there are some, else \u00xx in lower case): the bytes that serde_json writes */
void qconv_json_append_string (GString *out, const char *text);
