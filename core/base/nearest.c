/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the option, target, layer … whose name is nearest to a mistyped one. Error messages suggest it. */
#include "base/nearest.h"

#include <string.h>

#include "qconv.h"

/* Returns how many letters must be inserted, deleted, changed or swapped with their neighbour to turn @a into @b.
   Three rows of the table are kept at a time */
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

char *
qconv_did_you_mean (const char *word, const char *const *names)
{
  const char *near = qconv_nearest (word, names);

  return near != NULL ? g_strdup_printf ("; did you mean %s?", near) : g_strdup ("");
}

/* ---- Names for a regular expression ---- */

enum { MOST_NAMES = 3, MOST_LETTERS = 256 };

/* Returns: (transfer full): roughly the letters that a regular expression looks for */
static char *
letters_of (const char *pattern)
{
  GString *letters = g_string_new (NULL);

  for (const char *p = pattern; *p != '\0'; p++)
    if (*p == '\\' && p[1] == 'd')
      {
        g_string_append_c (letters, '0');
        p++;
      }
    else if (strchr ("\\^$*+?()[]{}|", *p) == NULL)
      g_string_append_c (letters, *p);
  g_string_truncate (letters, MIN (letters->len, MOST_LETTERS));
  return g_string_free (letters, FALSE);
}

/* Returns the fewest changes that turn @letters into a piece of @name (Sellers' algorithm) */
static guint
distance_in (const char *letters, const char *name)
{
  gsize n = strlen (letters);
  guint column[MOST_LETTERS + 1], least;

  for (gsize i = 0; i <= n; i++)
    column[i] = (guint) i;
  least = column[n];
  for (const char *p = name; *p != '\0'; p++)
    {
      guint diagonal = column[0];

      for (gsize i = 1; i <= n; i++)
        {
          guint above = column[i];

          column[i] = MIN (MIN (column[i], column[i - 1]) + 1, diagonal + (letters[i - 1] != *p));
          diagonal = above;
        }
      least = MIN (least, column[n]);
    }
  return least;
}

char *
qconv_nearest_names (const char *pattern, const GPtrArray *names)
{
  g_autofree char *letters = letters_of (pattern);
  g_autofree guint *distances = g_new (guint, names->len + 1);
  GString *text = g_string_new (NULL);
  guint least = G_MAXUINT, n = 0;

  for (guint i = 0; i < names->len; i++)
    {
      distances[i] = distance_in (letters, g_ptr_array_index (names, i));
      least = MIN (least, distances[i]);
    }
  if (least > strlen (letters) / 3)
    least = G_MAXUINT;
  for (guint i = 0; i < names->len && n < (least == G_MAXUINT ? 1 : MOST_NAMES); i++)
    if (least == G_MAXUINT || distances[i] == least)
      g_string_append_printf (text, "%s\"%s\"", n++ > 0 ? ", " : "", (const char *) g_ptr_array_index (names, i));
  return g_string_free (text, FALSE);
}
