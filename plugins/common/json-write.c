/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Escapes strings as serde_json does. */
#include "json-write.h"

#include <string.h>

void
qconv_json_append_string (GString *out, const char *text)
{
  static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

  g_string_append_c (out, '"');
  while (*text != '\0')
    {
      const char *run = text, *found;

      while ((guchar) *text >= 0x20 && *text != '"' && *text != '\\')
        text++;
      g_string_append_len (out, run, text - run);
      if (*text == '\0')
        break;
      found = strchr (special, *text);
      if (found != NULL)
        {
          g_string_append_c (out, '\\');
          g_string_append_c (out, letters[found - special]);
        }
      else
        g_string_append_printf (out, "\\u%04x", (guint) (guchar) *text);
      text++;
    }
  g_string_append_c (out, '"');
}
