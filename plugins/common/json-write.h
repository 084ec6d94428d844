/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes JSON strings. The header of safetensors and markers are written with it. */
#pragma once
#include <glib.h>

/* Appends UTF-8 @text as a JSON string with its quotes. Escapes the quote, the backslash and control characters below
   0x20 (short forms if there are any, else \u00xx in lower case), as serde_json does. */
void qconv_json_append_string (GString *out, const char *text);
