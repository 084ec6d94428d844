/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sums up layers by their scheme. task.c, task-json.c and show-report.c call it. */
#include "cli/scheme-sums.h"

#include <math.h>

static void
free_sum (gpointer data)
{
  CliSchemeSum *s = data;

  g_array_unref (s->ways);
  g_free (s);
}

static CliSchemeSum *
sum_of (GPtrArray *sums, const char *scheme)
{
  CliSchemeSum *sum;

  for (guint i = 0; i < sums->len; i++)
    if (g_str_equal (((const CliSchemeSum *) sums->pdata[i])->scheme, scheme))
      return sums->pdata[i];
  sum = g_new0 (CliSchemeSum, 1);
  sum->scheme = scheme;
  sum->worst_db = INFINITY;
  sum->ways = g_array_new (FALSE, FALSE, sizeof (CliWay));
  g_ptr_array_add (sums, sum);
  return sum;
}

static void
count_way (CliSchemeSum *sum, const char *how)
{
  for (guint i = 0; i < sum->ways->len; i++)
    {
      CliWay *way = &g_array_index (sum->ways, CliWay, i);

      if (g_str_equal (way->how, how))
        {
          way->n++;
          return;
        }
    }
  g_array_append_vals (sum->ways, &(CliWay) { how, 1 }, 1);
}

static void
add_errors (GPtrArray *sums, const QconvReport *report, gboolean count)
{
  for (guint i = 0; i < report->layers->len; i++)
    {
      const QconvLayerError *l = report->layers->pdata[i];
      CliSchemeSum *sum = sum_of (sums, l->scheme);

      sum->n_layers += count;
      if (l->relmse < 0)
        continue;
      sum->n_compared++;
      sum->sum += l->relmse;
      sum->worst = MAX (sum->worst, l->relmse);
      sum->worst_db = MIN (sum->worst_db, l->sqnr_db);
      sum->n_finite += isfinite (l->sqnr_db) != 0;
      sum->sum_db += isfinite (l->sqnr_db) ? l->sqnr_db : 0;
    }
}

GPtrArray *
cli_scheme_sums (const GArray *weights, const QconvReport *report)
{
  GPtrArray *sums = g_ptr_array_new_with_free_func (free_sum);

  for (guint i = 0; weights != NULL && i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);
      CliSchemeSum *sum = sum_of (sums, w->scheme);

      sum->n_layers++;
      sum->bytes += w->bytes;
      sum->input_bytes += w->input_bytes;
      count_way (sum, w->how);
    }
  if (report != NULL)
    add_errors (sums, report, weights == NULL);
  return sums;
}
