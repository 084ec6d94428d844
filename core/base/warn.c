/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Formats a warning for its listener. Opening, planning and merging LoRAs call it. */
#include "base/warn.h"

void
qconv_warn (const Warn *w, const char *format, ...)
{
  g_autofree char *line = NULL;
  va_list args;

  if (w->func == NULL)
    return;
  va_start (args, format);
  line = g_strdup_vprintf (format, args);
  va_end (args);
  w->func (line, w->data);
}
