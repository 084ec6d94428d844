/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/nearest-names.h"

#include <string.h>

enum { MOST_NAMES = 3, MOST_LETTERS = 256 };

/* The letters that a regular expression looks for, roughly */
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

/* Fewest letters to change, add or leave out so that @letters stand somewhere in @name (Sellers' algorithm) */
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
