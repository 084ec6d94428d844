/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the rows of a mapped layer that a LoRA changes. lora-merge.c calls it for each layer that contains rows of a
   name. */
#include "lora/lora-runs.h"

/* Returns whether @r has row @row; sets @at to its place in @r */
static gboolean
find_row (const NamedRows *r, guint64 row, guint64 *at)
{
  guint64 behind = row - r->first;

  *at = behind / r->stride;
  return row >= r->first && behind % r->stride == 0 && *at < r->n;
}

/* Appends the rows that two stretches of equal stride share: one run */
static void
add_shared (GArray *runs, const NamedRows *to, const NamedRows *from, DeltaRun run)
{
  guint64 at = 0, skip = 0;

  if (to->first <= from->first ? !find_row (to, from->first, &at) : !find_row (from, to->first, &skip))
    return;
  run.to += at;
  run.from += skip;
  run.n = MIN (to->n - at, from->n - skip);
  g_array_append_val (runs, run);
}

/* Appends the rows that two stretches share, one by one */
static void
add_each (GArray *runs, const NamedRows *to, const NamedRows *from, DeltaRun run)
{
  gboolean shorter = to->n < from->n;
  const NamedRows *list = shorter ? to : from, *other = shorter ? from : to;
  guint64 at;

  for (guint64 i = 0; i < list->n; i++)
    if (find_row (other, list->first + i * list->stride, &at))
      {
        DeltaRun one = { run.to + (shorter ? i : at), run.from + (shorter ? at : i), 1 };

        g_array_append_val (runs, one);
      }
}

/* Appends the rows of the layer's stretch @to that the stretches of @n change. @start: the first row of @to in the
   layer */
static void
add_stretch (GArray *runs, const LoraName *n, const NamedRows *to, guint64 start)
{
  DeltaRun run = { .to = start };

  for (guint i = 0; i < n->rows->len; i++)
    {
      const NamedRows *from = &g_array_index (n->rows, NamedRows, i);

      if (from->source == to->source && from->n > 0 && to->n > 0)
        (from->stride == to->stride ? add_shared : add_each) (runs, to, from, run);
      run.from += from->n;
    }
}

static gint
compare_runs (gconstpointer a, gconstpointer b)
{
  const DeltaRun *x = a, *y = b;

  return (x->to > y->to) - (x->to < y->to);
}

/* Sorts @runs and joins those that continue each other */
static void
join_runs (GArray *runs)
{
  guint last = 0;

  g_array_sort (runs, compare_runs);
  for (guint i = 1; i < runs->len; i++)
    {
      DeltaRun *before = &g_array_index (runs, DeltaRun, last), run = g_array_index (runs, DeltaRun, i);

      if (before->to + before->n == run.to && before->from + before->n == run.from)
        before->n += run.n;
      else
        g_array_index (runs, DeltaRun, ++last) = run;
    }
  if (runs->len > 0)
    g_array_set_size (runs, last + 1);
}

gboolean
qconv_lora_runs (const LoraName *n, const SourceLayer *of, const SourceLayer *layer, GArray *runs)
{
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (NamedRows));
  guint64 start = 0;

  if (!qconv_lora_rows (layer, rows))
    return FALSE;
  /* Rows without columns take no bytes of the file, which may state any number of them */
  for (guint i = 0; layer->layer->pub.cols > 0 && i < rows->len; i++)
    {
      const NamedRows *r = &g_array_index (rows, NamedRows, i);

      if (r->source == of)
        add_stretch (runs, n, r, start);
      start += r->n;
    }
  join_runs (runs);
  return TRUE;
}
