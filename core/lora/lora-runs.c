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
        DeltaRun one = run;

        one.to += shorter ? i : at;
        one.from += shorter ? at : i;
        one.n = 1;
        g_array_append_val (runs, one);
      }
}

/* Sets the columns of @run to those that two stretches of one source share. Returns FALSE if they share none */
static gboolean
share_columns (const NamedRows *to, const NamedRows *from, DeltaRun *run)
{
  guint64 low = MAX (to->skip, from->skip);
  guint64 high = MIN (to->skip + qconv_lora_rows_width (to), from->skip + qconv_lora_rows_width (from));

  run->to_col = to->column + (low - to->skip);
  run->from_col = from->column + (low - from->skip);
  run->n_cols = high - low;
  return low < high;
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

      if (from->source == to->source && from->n > 0 && to->n > 0 && share_columns (to, from, &run))
        (from->stride == to->stride ? add_shared : add_each) (runs, to, from, run);
      run.from += qconv_lora_rows_step (n->rows, i);
    }
}

static gint
compare_runs (gconstpointer a, gconstpointer b)
{
  const DeltaRun *x = a, *y = b;

  return x->to != y->to ? (x->to > y->to) - (x->to < y->to) : (x->to_col > y->to_col) - (x->to_col < y->to_col);
}

/* Joins @run to the end of @before if it lies beside. Returns whether it did */
static gboolean
join_columns (DeltaRun *before, const DeltaRun *run)
{
  if (before->to != run->to || before->from != run->from || before->n != run->n
      || before->to_col + before->n_cols != run->to_col || before->from_col + before->n_cols != run->from_col)
    return FALSE;
  before->n_cols += run->n_cols;
  return TRUE;
}

/* Joins @run to the end of @before if its rows are the next. Returns whether it did */
static gboolean
join_rows (DeltaRun *before, const DeltaRun *run)
{
  if (before->to + before->n != run->to || before->from + before->n != run->from || before->to_col != run->to_col
      || before->from_col != run->from_col || before->n_cols != run->n_cols)
    return FALSE;
  before->n += run->n;
  return TRUE;
}

/* Joins sorted @runs that continue each other */
static void
join_runs (GArray *runs, gboolean (*join) (DeltaRun *before, const DeltaRun *run))
{
  guint last = 0;

  for (guint i = 1; i < runs->len; i++)
    {
      DeltaRun run = g_array_index (runs, DeltaRun, i);

      if (!join (&g_array_index (runs, DeltaRun, last), &run))
        g_array_index (runs, DeltaRun, ++last) = run;
    }
  if (runs->len > 0)
    g_array_set_size (runs, last + 1);
}

gboolean
qconv_lora_runs (const LoraName *n, const SourceLayer *layer, GArray *runs)
{
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (NamedRows));
  guint64 start = 0;

  if (!qconv_lora_rows (layer, rows))
    return FALSE;
  /* Rows without columns take no bytes of the file, which may state any number of them */
  for (guint i = 0; layer->layer->pub.cols > 0 && i < rows->len; i++)
    {
      add_stretch (runs, n, &g_array_index (rows, NamedRows, i), start);
      start += qconv_lora_rows_step (rows, i);
    }
  g_array_sort (runs, compare_runs);
  join_runs (runs, join_columns);
  join_runs (runs, join_rows);
  return TRUE;
}
