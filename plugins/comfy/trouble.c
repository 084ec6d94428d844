/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of troubles. */
#include "trouble.h"

static void
trouble_free (gpointer data)
{
  ComfyTrouble *t = data;

  g_free (t->layer);
  g_free (t->message);
  g_free (t);
}

GPtrArray *
comfy_troubles_new (void)
{
  return g_ptr_array_new_with_free_func (trouble_free);
}

void
comfy_trouble (GPtrArray *troubles, ComfyWeight weight, const char *layer, const char *code, const char *format, ...)
{
  ComfyTrouble *t = g_new0 (ComfyTrouble, 1);
  va_list args;

  t->weight = weight;
  t->layer = g_strdup (layer);
  t->code = code;
  va_start (args, format);
  t->message = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (troubles, t);
}

const ComfyTrouble *
comfy_first_fatal (const GPtrArray *troubles)
{
  for (guint i = 0; i < troubles->len; i++)
    {
      const ComfyTrouble *t = g_ptr_array_index (troubles, i);

      if (t->weight == COMFY_FATAL)
        return t;
    }
  return NULL;
}
