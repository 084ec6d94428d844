/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the values of an option that a plugin must take, and values that core must refuse. Rows of quantizers, writers
   and files call it. */
#include "plugin-check/option-values.h"

#include <string.h>

static void
add_number (GPtrArray *list, const QconvOption *o, double x)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  if (o->type == QCONV_INT)
    g_ptr_array_add (list, g_strdup_printf ("%.0f", x));
  else
    g_ptr_array_add (list, g_strdup (g_ascii_dtostr (text, sizeof text, x)));
}

static void
list_values (const QconvOption *o, GPtrArray *good, GPtrArray *bad)
{
  if (o->value != NULL)
    g_ptr_array_add (good, g_strdup (o->value));
  if (o->type == QCONV_BOOLEAN)
    {
      g_ptr_array_add (good, g_strdup ("on"));
      g_ptr_array_add (good, g_strdup ("off"));
    }
  for (guint i = 0; o->type == QCONV_CHOICE && o->choices[i] != NULL; i++)
    g_ptr_array_add (good, g_strdup (o->choices[i]));
  if ((o->type == QCONV_INT || o->type == QCONV_DOUBLE) && (o->min != 0 || o->max != 0))
    {
      add_number (good, o, o->min);
      add_number (good, o, o->max);
      add_number (bad, o, o->min - MAX (1, ABS (o->min)));
      add_number (bad, o, o->max + MAX (1, ABS (o->max)));
    }
  if (o->type != QCONV_STRING && o->type != QCONV_FILE)
    g_ptr_array_add (bad, g_strdup ("?!"));
}

static gboolean
test_values (Check *c, const CheckRow *row, const char *id, const QconvOption *o, GPtrArray *values,
             CheckOptionFunc test, gboolean good, GError **error)
{
  for (guint i = 0; i < values->len; i++)
    {
      g_autofree char *text = g_strdup_printf ("%s.%s=%s", id, o->name, (const char *) values->pdata[i]);

      if (!test (c, row, text, good, error))
        {
          g_prefix_error (error, "%s: ", text);
          return FALSE;
        }
    }
  return TRUE;
}

gboolean
check_each_option (Check *c, const CheckRow *row, const char *id, const QconvOption *table, CheckOptionFunc test,
                   GError **error)
{
  for (const QconvOption *o = table; o != NULL && o->name != NULL; o++)
    {
      g_autoptr (GPtrArray) good = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (GPtrArray) bad = g_ptr_array_new_with_free_func (g_free);

      list_values (o, good, bad);
      if (!test_values (c, row, id, o, good, test, TRUE, error)
          || !test_values (c, row, id, o, bad, test, FALSE, error))
        return FALSE;
    }
  return TRUE;
}
