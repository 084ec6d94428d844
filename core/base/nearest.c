/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qconv.h"

#include <string.h>

/* How many letters were put in, left out, changed or swapped with their neighbour; three rows of the table at a time */
static guint
edit_distance (const char *a, const char *b)
{
  gsize n = strlen (b), width = n + 1;
  g_autofree guint *rows = g_new0 (guint, 3 * width);
  const guint *last = rows;

  for (gsize j = 0; j <= n; j++)
    rows[j] = (guint) j;
  for (gsize i = 1; a[i - 1] != '\0'; i++)
    {
      guint *row = rows + i % 3 * width;
      const guint *above = rows + (i + 2) % 3 * width, *two_above = rows + (i + 1) % 3 * width;

      row[0] = (guint) i;
      for (gsize j = 1; j <= n; j++)
        {
          row[j] = MIN (MIN (above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
          if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            row[j] = MIN (row[j], two_above[j - 2] + 1);
        }
      last = row;
    }
  return last[n];
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
