/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints the report of a check: problems, and errors by scheme and by layer. */
#include <glib/gi18n.h>
#include <math.h>

#include "cli/json.h"
#include "cli/scheme-sums.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

void
cli_report_problems_json (JsonBuilder *b, const QconvReport *report)
{
  json_builder_set_member_name (b, "problems");
  json_builder_begin_array (b);
  for (guint i = 0; report != NULL && i < report->problems->len; i++)
    {
      const QconvProblem *p = report->problems->pdata[i];

      json_builder_begin_object (b);
      cli_json_string (b, "layer", p->layer);
      cli_json_string (b, "code", p->code);
      cli_json_string (b, "message", p->message);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
  cli_json_texts (b, "notes", report != NULL ? report->notes : NULL);
}

void
cli_report_warnings (const QconvReport *report, const char *path, GPtrArray *warnings)
{
  g_autofree char *name = g_path_get_basename (path); /* as in core's warnings */

  for (guint i = 0; i < report->warnings->len; i++)
    {
      g_autofree char *line = g_strdup_printf ("%s: %s", name, (const char *) report->warnings->pdata[i]);

      cli_warn (line, warnings);
    }
}

void
cli_report_error_json (JsonBuilder *b, const QconvLayerError *l)
{
  gboolean known = l != NULL && l->relmse >= 0;

  cli_json_double (b, "relmse", known ? l->relmse : NAN);
  cli_json_double (b, "sqnr_db", known ? l->sqnr_db : NAN);
}

void
cli_report_json (const QconvReport *report)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_object (b);
  cli_json_boolean (b, "ok", report->ok);
  cli_report_problems_json (b, report);
  cli_json_texts (b, "warnings", report->warnings);
  json_builder_set_member_name (b, "layers");
  json_builder_begin_array (b);
  for (guint i = 0; i < report->layers->len; i++)
    {
      const QconvLayerError *l = report->layers->pdata[i];

      json_builder_begin_object (b);
      cli_json_string (b, "name", l->name);
      cli_json_string (b, "scheme", l->scheme);
      cli_report_error_json (b, l);
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
add_scheme_row (CliTable *table, const CliSchemeSum *sum)
{
  gboolean known = sum->n_compared > 0;
  double mean_db = sum->n_finite > 0 ? sum->sum_db / sum->n_finite : sum->worst_db;
  g_autofree char *layers = g_strdup_printf ("%u", sum->n_layers);
  g_autofree char *size = sum->bytes > 0 ? cli_size_text (sum->bytes) : g_strdup ("-");
  g_autofree char *mean = error_text (known, known ? sum->sum / sum->n_compared : 0);
  g_autofree char *worst = error_text (known, sum->worst);
  g_autofree char *mean_sqnr = db_text (known, mean_db);
  g_autofree char *worst_sqnr = db_text (known, sum->worst_db);

  cli_table_row (table, sum->scheme, layers, size, mean, worst, mean_sqnr, worst_sqnr);
}

void
cli_report_schemes (const QconvReport *report, const GArray *weights)
{
  g_autoptr (GPtrArray) sums = cli_scheme_sums (weights, report);
  g_autoptr (CliTable) table = cli_table_new ("lrrrrrr");

  cli_table_row (table, _ ("scheme"), _ ("layers"), _ ("size"), _ ("mean relMSE"), _ ("worst relMSE"),
                 _ ("mean SQNR dB"), _ ("worst SQNR dB"));
  for (guint i = 0; i < sums->len; i++)
    add_scheme_row (table, sums->pdata[i]);
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
