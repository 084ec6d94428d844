/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of the files of a set. Containers call it. */
#include "part-name.h"

#include <string.h>

char *
qconv_part_name (const char *name, const char *suffix, guint no, guint n)
{
  gsize length = strlen (name) - (g_str_has_suffix (name, suffix) ? strlen (suffix) : 0);

  return g_strdup_printf ("%.*s-%05u-of-%05u%s", (int) length, name, no + 1, n, suffix);
}
