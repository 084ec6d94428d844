/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes lists of names and shows maps as text, for the tests of keymaps. */
#include "map-fixture.h"

#include <stdarg.h>

/* Parts as text: "name 0+1*4" is rows 0, 1, 2, 3; "[2+3]" columns 2, 3, 4 of these. " | " is before a part that lies
   beside the one before it */
static char *
parts_text (const NameMap *map)
{
  g_autoptr (GString) text = g_string_new (map->transposed ? "columns of " : NULL);

  for (guint i = 0; i < map->parts->len; i++)
    {
      const NamePart *p = &g_array_index (map->parts, NamePart, i);

      g_string_append_printf (text, "%s%s %" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT "*%" G_GUINT64_FORMAT,
                              i == 0          ? ""
                              : p->column > 0 ? " | "
                                              : ", ",
                              p->name, p->first, p->stride, p->n);
      if (p->width > 0)
        g_string_append_printf (text, " [%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT "]", p->skip, p->width);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

void
assert_map (GPtrArray *maps, const char *name, const char *parts)
{
  for (guint i = 0; i < maps->len; i++)
    {
      const NameMap *map = g_ptr_array_index (maps, i);

      if (g_str_equal (map->name, name))
        {
          g_autofree char *text = parts_text (map);

          g_assert_cmpstr (text, ==, parts);
          return;
        }
    }
  g_error ("%s was not made", name);
}

Names *
names_of (const char *name, ...)
{
  Names *names = qconv_names_new ();
  va_list rest;

  va_start (rest, name);
  for (; name != NULL; name = va_arg (rest, const char *))
    {
      guint rows = va_arg (rest, guint), columns = va_arg (rest, guint);
      QconvShape shape = columns > 0 ? QCONV_SHAPE2 (rows, columns) : QCONV_SHAPE1 (rows);

      qconv_names_add (names, name, &shape);
    }
  va_end (rest);
  return names;
}
