/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Describes what a plan does with every layer, one line each. The program prints the lines with --verbose. */
#include <string.h>

#include "plan/encoder.h"
#include "plan/plan.h"

/* Adds the claimed layers that @s is made of to @used. Returns: (transfer full): their names, if they are not just the
   name of @s; else NULL */
static char *
describe_sources (const SourceLayer *s, GHashTable *used)
{
  g_autoptr (GString) names = g_string_new (NULL);

  if (s->sources == NULL)
    {
      g_hash_table_add (used, (gpointer) s);
      return NULL;
    }
  for (guint i = 0; i < s->sources->len; i++)
    {
      const SourceLayer *source = g_ptr_array_index (s->sources, i);

      g_hash_table_add (used, (gpointer) source);
      g_string_append_printf (names, "%s%s", i > 0 ? " + " : "", source->name);
    }
  return strcmp (names->str, s->name) == 0 ? NULL : g_string_free (g_steal_pointer (&names), FALSE);
}

GPtrArray *
qconv_plan_decisions (const QconvPlan *p)
{
  GPtrArray *lines = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) used = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);
      g_autofree char *sources = describe_sources (l->source, used);

      g_ptr_array_add (lines,
                       g_strdup_printf ("%s: %s, %s (%s)%s%s", l->source->name, l->layer->scheme, qconv_how_name (l),
                                        l->rule, sources != NULL ? ", made of " : "", sources != NULL ? sources : ""));
    }
  for (guint i = 0; p->verbatim == NULL && i < p->model->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (p->model->layers, i);

      if (!g_hash_table_contains (used, s))
        g_ptr_array_add (lines, g_strdup_printf ("%s: left out", s->name));
    }
  return lines;
}
