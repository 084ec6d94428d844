/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints the report of a check: problems, and errors by scheme and by layer. */
#include <glib/gi18n.h>
#include <math.h>

#include "cli/json.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

static void
add_problems_json (JsonBuilder *b, const QconvReport *report)
{
  json_builder_set_member_name (b, "problems");
  json_builder_begin_array (b);
  for (guint i = 0; i < report->problems->len; i++)
    {
      const QconvProblem *p = report->problems->pdata[i];

      json_builder_begin_object (b);
      cli_json_string (b, "layer", p->layer);
      cli_json_string (b, "code", p->code);
      cli_json_string (b, "message", p->message);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

void
cli_report_json (const QconvReport *report)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_object (b);
  json_builder_set_member_name (b, "ok");
  json_builder_add_boolean_value (b, report->ok);
  add_problems_json (b, report);
  json_builder_set_member_name (b, "layers");
  json_builder_begin_array (b);
  for (guint i = 0; i < report->layers->len; i++)
    {
      const QconvLayerError *l = report->layers->pdata[i];

      json_builder_begin_object (b);
      cli_json_string (b, "name", l->name);
      cli_json_string (b, "scheme", l->scheme);
      cli_json_double (b, "relmse", l->relmse >= 0 ? l->relmse : NAN);
      cli_json_double (b, "sqnr_db", l->relmse >= 0 ? l->sqnr_db : NAN);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
  json_builder_end_object (b);
  cli_json_print (b);
}

void
cli_report_problems (const QconvReport *report)
{
  g_autoptr (CliTable) table = cli_table_new ("lll");

  for (guint i = 0; i < report->problems->len; i++)
    {
      const QconvProblem *p = report->problems->pdata[i];

      cli_table_row (table, p->layer != NULL ? p->layer : _ ("(file)"), p->code, p->message);
    }
  cli_table_print (table, "  ");
}

/* Sums over the layers of one scheme. @n_compared have a reference, @n_finite of them a finite SQNR */
typedef struct {
  guint n_layers, n_compared, n_finite;
  guint64 bytes;
  double sum, worst, sum_db, worst_db;
} SchemeSum;

static SchemeSum *
sum_of_scheme (GHashTable *sums, GPtrArray *order, const char *scheme)
{
  SchemeSum *sum = g_hash_table_lookup (sums, scheme);

  if (sum != NULL)
    return sum;
  sum = g_new0 (SchemeSum, 1);
  sum->worst_db = INFINITY;
  g_hash_table_insert (sums, (gpointer) scheme, sum);
  g_ptr_array_add (order, (gpointer) scheme);
  return sum;
}

static void
add_errors (GHashTable *sums, GPtrArray *order, const QconvReport *report, gboolean count)
{
  for (guint i = 0; i < report->layers->len; i++)
    {
      const QconvLayerError *l = report->layers->pdata[i];
      SchemeSum *sum = sum_of_scheme (sums, order, l->scheme);

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

static char *
error_text (gboolean known, double relmse)
{
  return known ? g_strdup_printf ("%.3g", relmse) : g_strdup ("-");
}

static char *
db_text (gboolean known, double db)
{
  return !known ? g_strdup ("-") : isfinite (db) ? g_strdup_printf ("%.1f", db) : g_strdup (db > 0 ? _ ("exact") : "-");
}

static void
add_scheme_row (CliTable *table, const char *scheme, const SchemeSum *sum)
{
  gboolean known = sum->n_compared > 0;
  double mean_db = sum->n_finite > 0 ? sum->sum_db / sum->n_finite : sum->worst_db;
  g_autofree char *layers = g_strdup_printf ("%u", sum->n_layers);
  g_autofree char *size = sum->bytes > 0 ? cli_size_text (sum->bytes) : g_strdup ("-");
  g_autofree char *mean = error_text (known, known ? sum->sum / sum->n_compared : 0);
  g_autofree char *worst = error_text (known, sum->worst);
  g_autofree char *mean_sqnr = db_text (known, mean_db);
  g_autofree char *worst_sqnr = db_text (known, sum->worst_db);

  cli_table_row (table, scheme, layers, size, mean, worst, mean_sqnr, worst_sqnr);
}

void
cli_report_schemes (const QconvReport *report, const GArray *weights)
{
  g_autoptr (GHashTable) sums = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  g_autoptr (CliTable) table = cli_table_new ("lrrrrrr");

  for (guint i = 0; weights != NULL && i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);
      SchemeSum *sum = sum_of_scheme (sums, order, w->scheme);

      sum->n_layers++;
      sum->bytes += w->bytes;
    }
  if (report != NULL)
    add_errors (sums, order, report, weights == NULL);
  cli_table_row (table, _ ("scheme"), _ ("layers"), _ ("size"), _ ("mean relMSE"), _ ("worst relMSE"),
                 _ ("mean SQNR dB"), _ ("worst SQNR dB"));
  for (guint i = 0; i < order->len; i++)
    add_scheme_row (table, order->pdata[i], g_hash_table_lookup (sums, order->pdata[i]));
  cli_table_print (table, "  ");
}

static int
compare_errors (gconstpointer a, gconstpointer b)
{
  const QconvLayerError *x = *(const QconvLayerError *const *) a, *y = *(const QconvLayerError *const *) b;

  return x->relmse > y->relmse ? -1 : x->relmse < y->relmse ? 1 : g_strcmp0 (x->name, y->name);
}

void
cli_report_layers (const QconvReport *report, guint most)
{
  g_autoptr (GPtrArray) layers = g_ptr_array_new ();
  g_autoptr (CliTable) table = cli_table_new ("llrr");

  /* A list of the worst layers leaves out those without any error */
  for (guint i = 0; i < report->layers->len; i++)
    if (most == 0 || ((const QconvLayerError *) report->layers->pdata[i])->relmse > 0)
      g_ptr_array_add (layers, report->layers->pdata[i]);
  if (layers->len == 0)
    return;
  if (most > 0)
    g_ptr_array_sort (layers, compare_errors);
  cli_print ("\n");
  cli_table_row (table, most > 0 ? _ ("worst layers") : _ ("layer"), _ ("scheme"), _ ("relMSE"), _ ("SQNR dB"));
  for (guint i = 0; i < layers->len && (most == 0 || i < most); i++)
    {
      const QconvLayerError *l = layers->pdata[i];
      g_autofree char *relmse = error_text (l->relmse >= 0, l->relmse);
      g_autofree char *db = db_text (l->relmse >= 0, l->sqnr_db);

      cli_table_row (table, l->name, l->scheme, relmse, db);
    }
  cli_table_print (table, "  ");
}
