/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the rows of a mapped layer that a LoRA changes. lora.c calls it for each layer that contains rows of a name. */
#include "lora/lora-runs.h"

/* Returns: (transfer full): an array by row of @of: the number of the delta's row for this row, counted from 1; 0
   if the delta has none */
static guint64 *
rows_of_delta (const LoraName *n, const SourceLayer *of)
{
  guint64 rows = of->layer->pub.rows, at = 1;
  guint64 *from = g_new0 (guint64, rows + 1);

  for (guint i = 0; i < n->rows->len; i++)
    {
      const NamedRows *r = &g_array_index (n->rows, NamedRows, i);

      for (guint64 j = 0; r->source == of && j < r->n && r->first + j * r->stride < rows; j++)
        from[r->first + j * r->stride] = at + j;
      at += r->n;
    }
  return from;
}

static void
add_row (GArray *runs, guint64 to, guint64 from)
{
  DeltaRun one = { to, from, 1 };
  DeltaRun *last = runs->len > 0 ? &g_array_index (runs, DeltaRun, runs->len - 1) : NULL;

  if (last != NULL && last->to + last->n == to && last->from + last->n == from)
    last->n++;
  else
    g_array_append_val (runs, one);
}

gboolean
qconv_lora_runs (const LoraName *n, const SourceLayer *of, const SourceLayer *layer, GArray *runs)
{
  g_autofree guint64 *from = rows_of_delta (n, of);
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (NamedRows));
  guint64 to = 0;

  if (!qconv_lora_rows (layer, rows))
    return FALSE;
  for (guint i = 0; i < rows->len; i++)
    {
      const NamedRows *r = &g_array_index (rows, NamedRows, i);

      for (guint64 j = 0; j < r->n; j++, to++)
        if (r->source == of && from[r->first + j * r->stride] > 0)
          add_row (runs, to, from[r->first + j * r->stride] - 1);
    }
  return TRUE;
}
