/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shows a plan, or runs it and shows the result. */
#include <glib/gi18n.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/settings.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

static void
print_plan_json (const QconvModel *model, const QconvPlan *plan, const GArray *weights)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_object (b);
  cli_json_string (b, "target", qconv_plan_target (plan));
  cli_json_string (b, "family", qconv_model_family (model));
  cli_json_string (b, "variant", qconv_model_variant (model));
  cli_json_string (b, "output", qconv_plan_output (plan));
  cli_json_int (b, "output_bytes", qconv_plan_output_bytes (plan));
  cli_json_int (b, "peak_memory", qconv_plan_peak_memory (plan));
  json_builder_set_member_name (b, "layers");
  json_builder_begin_array (b);
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);

      json_builder_begin_object (b);
      cli_json_string (b, "name", w->name);
      cli_json_string (b, "scheme", w->scheme);
      cli_json_string (b, "rule", w->rule);
      cli_json_string (b, "how", w->how);
      cli_json_shape (b, "shape", &w->shape);
      cli_json_int (b, "bytes", w->bytes);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
  json_builder_end_object (b);
  cli_json_print (b);
}

static void
print_plan (const QconvPlan *plan, const GArray *weights)
{
  g_autofree char *total = cli_size_text (qconv_plan_output_bytes (plan));
  g_autofree char *exact = g_strdup_printf ("%" G_GUINT64_FORMAT, qconv_plan_output_bytes (plan));
  g_autofree char *memory = cli_size_text (qconv_plan_peak_memory (plan));
  g_autoptr (CliTable) table = cli_table_new ("llllrr");

  cli_table_row (table, _ ("layer"), _ ("scheme"), _ ("rule"), _ ("how"), _ ("shape"), _ ("size"));
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);
      g_autofree char *shape = qconv_shape_to_string (&w->shape);
      g_autofree char *size = cli_size_text (w->bytes);

      cli_table_row (table, w->name, w->scheme, w->rule, w->how, shape, size);
    }
  cli_table_print (table, "");
  cli_print (_ ("%s: %s, %u layers, %s bytes (%s), working memory %s\n"), qconv_plan_output (plan),
             qconv_plan_target (plan), weights->len, exact, total, memory);
}

/* Adds the object "options" from @options, "key=value,…" */
static void
add_options (JsonBuilder *b, const char *options)
{
  g_auto (GStrv) pairs = g_strsplit (options, ",", -1);

  json_builder_set_member_name (b, "options");
  json_builder_begin_object (b);
  for (guint i = 0; pairs[i] != NULL; i++)
    {
      g_auto (GStrv) pair = g_strsplit (pairs[i], "=", 2);

      cli_json_string (b, pair[0], pair[1]);
    }
  json_builder_end_object (b);
}

/* Prints a row for each weight that the target's scheme can hold, as a file for --layer-config */
static void
print_template (const GArray *weights)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_array (b);
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);
      g_autofree char *name = g_regex_escape_string (w->short_name, -1), *match = g_strdup_printf ("^%s$", name);

      if (!w->packable)
        continue;
      json_builder_begin_object (b);
      cli_json_string (b, "match", match);
      cli_json_string (b, "scheme", strcmp (w->scheme, "plain") == 0 ? "keep" : w->scheme);
      if (w->options != NULL)
        add_options (b, w->options);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
  cli_json_print (b);
}

static guint64
input_bytes (const QconvModel *model)
{
  const QconvDirectory *d = qconv_model_directory (model);
  guint64 bytes = 0;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    bytes += qconv_directory_tensor (d, i)->n_bytes;
  return bytes;
}

static void
print_summary (const QconvModel *model, const QconvPlan *plan, const QconvReport *report, const GArray *weights,
               double seconds)
{
  guint64 in = input_bytes (model), out = qconv_plan_output_bytes (plan);
  g_autofree char *in_text = cli_size_text (in);
  g_autofree char *out_text = cli_size_text (out);
  g_autofree char *rate = cli_size_text ((guint64) ((double) in / MAX (seconds, 1e-3)));

  cli_print ("%s: %s\n", qconv_plan_output (plan), qconv_plan_target (plan));
  cli_report_schemes (report, weights);
  if (report != NULL)
    {
      cli_report_layers (report, 5);
      cli_report_problems (report);
    }
  cli_print (_ ("%s -> %s (%.1f %%) in %.1f s, %s/s\n"), in_text, out_text,
             in > 0 ? 100 * (double) out / (double) in : 100, seconds, rate);
}

static gboolean
run_plan (const CliShow *show, const QconvModel *model, QconvPlan *plan, const GArray *weights, GError **error)
{
  g_autoptr (QconvReport) report = NULL;
  gint64 start = g_get_monotonic_time ();
  gboolean done;

  {
    g_autoptr (CliProgress) progress = cli_progress_new (show->progress);

    done = qconv_plan_run (plan, cli_progress_update, progress, cli_interrupt_begin (), &report, error);
  }
  if (show->json)
    {
      if (report != NULL)
        cli_report_json (report);
    }
  else if (done)
    print_summary (model, plan, report, weights, (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC);
  else if (report != NULL)
    cli_report_problems (report);
  return done;
}

gboolean
cli_plan_carry_out (const CliShow *show, const QconvModel *model, QconvPlan *plan, GError **error)
{
  g_autoptr (GArray) weights = qconv_plan_weights (plan);
  g_autoptr (GPtrArray) decisions = show->verbose ? qconv_plan_decisions (plan) : NULL;

  for (guint i = 0; decisions != NULL && i < decisions->len; i++)
    cli_detail (decisions->pdata[i]);
  if (!show->dry_run)
    return run_plan (show, model, plan, weights, error);
  if (show->as_template)
    print_template (weights);
  else if (show->json)
    print_plan_json (model, plan, weights);
  else
    print_plan (plan, weights);
  return TRUE;
}
