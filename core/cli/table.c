/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables for people: cells are collected first, because a column is as wide as its widest cell. */
#include "cli/table.h"

#include <string.h>

#include "cli/term.h"

struct _CliTable {
  const char *align;
  GPtrArray *cells; /* row by row */
};

CliTable *
cli_table_new (const char *align)
{
  CliTable *t = g_new0 (CliTable, 1);

  t->align = align;
  t->cells = g_ptr_array_new_with_free_func (g_free);
  return t;
}

void
cli_table_free (CliTable *t)
{
  g_ptr_array_unref (t->cells);
  g_free (t);
}

void
cli_table_row (CliTable *t, ...)
{
  va_list args;

  va_start (args, t);
  for (gsize i = 0; t->align[i] != '\0'; i++)
    g_ptr_array_add (t->cells, cli_text_clean (va_arg (args, const char *)));
  va_end (args);
}

guint
cli_text_columns (const char *text)
{
  guint n = 0;

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      n += g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
    }
  return n;
}

void
cli_table_print (const CliTable *t, const char *indent)
{
  gsize n = strlen (t->align);
  g_autofree guint *widths = g_new0 (guint, n);
  g_autoptr (GString) out = g_string_new (NULL);

  for (guint i = 0; i < t->cells->len; i++)
    widths[i % n] = MAX (widths[i % n], cli_text_columns (t->cells->pdata[i]));
  for (guint i = 0; i < t->cells->len; i++)
    {
      const char *cell = t->cells->pdata[i];
      gboolean last = i % n == n - 1;
      int fill = (int) (widths[i % n] - cli_text_columns (cell));

      if (t->align[i % n] == 'r')
        g_string_append_printf (out, "%s%*s%s", i % n == 0 ? indent : "  ", fill, "", cell);
      else
        g_string_append_printf (out, "%s%s%*s", i % n == 0 ? indent : "  ", cell, last ? 0 : fill, "");
      if (last)
        {
          while (out->len > 0 && out->str[out->len - 1] == ' ')
            g_string_truncate (out, out->len - 1);
          g_string_append_c (out, '\n');
        }
    }
  g_print ("%s", out->str);
}
