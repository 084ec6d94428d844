/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qconv.h"

#include <string.h>

/* Levenshtein's distance, one row at a time */
static guint
edit_distance (const char *a, const char *b)
{
  gsize n = strlen (b);
  g_autofree guint *row = g_new (guint, n + 1);

  for (gsize j = 0; j <= n; j++)
    row[j] = (guint) j;
  for (gsize i = 1; a[i - 1] != '\0'; i++)
    {
      guint diagonal = row[0];

      row[0] = (guint) i;
      for (gsize j = 1; j <= n; j++)
        {
          guint above = row[j];
          guint changed = diagonal + (a[i - 1] != b[j - 1]);

          row[j] = MIN (MIN (above, row[j - 1]) + 1, changed);
          diagonal = above;
        }
    }
  return row[n];
}

const char *
qconv_nearest (const char *word, const char *const *names)
{
  const char *best = NULL;
  guint least = G_MAXUINT;

  if (strlen (word) > 256)
    return NULL;
  for (guint i = 0; names[i] != NULL; i++)
    {
      guint d = edit_distance (word, names[i]);

      if (d < least)
        {
          least = d;
          best = names[i];
        }
    }
  return least <= MAX (2, strlen (word) / 3) ? best : NULL;
}
