/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shows a plan, or runs it and shows the result. convert and edit call it. */
#include <glib/gi18n.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/scheme-sums.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/task.h"
#include "cli/term.h"
#include "qconv.h"

/* Returns: (transfer full): "encode 200, move 28" */
static char *
ways_text (const CliSchemeSum *sum)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < sum->ways->len; i++)
    g_string_append_printf (text, "%s%s %u", i > 0 ? ", " : "", g_array_index (sum->ways, CliWay, i).how,
                            g_array_index (sum->ways, CliWay, i).n);
  return g_string_free (text, FALSE);
}

static void
print_sums (const GArray *weights)
{
  g_autoptr (GPtrArray) sums = cli_scheme_sums (weights, NULL);
  g_autoptr (CliTable) table = cli_table_new ("lrlrr");

  cli_table_row (table, _ ("scheme"), _ ("layers"), _ ("how"), _ ("before"), _ ("after"));
  for (guint i = 0; i < sums->len; i++)
    {
      const CliSchemeSum *sum = sums->pdata[i];
      g_autofree char *n = g_strdup_printf ("%u", sum->n_layers), *ways = ways_text (sum);
      g_autofree char *before = cli_size_text (sum->input_bytes), *after = cli_size_text (sum->bytes);

      cli_table_row (table, sum->scheme, n, ways, before, after);
    }
  cli_table_print (table, "");
}

static void
print_changes (const GPtrArray *changes)
{
  if (changes != NULL && changes->len == 0)
    cli_print ("  %s\n", _ ("nothing changes"));
  for (guint i = 0; changes != NULL && i < changes->len; i++)
    {
      g_autofree char *line = cli_text_clean (changes->pdata[i]);

      cli_print ("  %s\n", line);
    }
}

/* Prints the files of @plan, if there are several */
static void
print_outputs (const QconvPlan *plan)
{
  g_autoptr (GArray) outputs = qconv_plan_outputs (plan);

  for (guint i = 0; outputs->len > 1 && i < outputs->len; i++)
    {
      const QconvOutputFile *f = &g_array_index (outputs, QconvOutputFile, i);
      g_autofree char *size = cli_size_text (f->bytes), *path = cli_text_clean (f->path);

      cli_print ("  %s: %s\n", path, size);
    }
}

/* Prints the error LoRA, if @plan writes one */
static void
print_error_lora (const QconvPlan *plan, const QconvReport *report)
{
  QconvErrorLora lora;
  g_autofree char *size = NULL, *exact = NULL;

  if (!qconv_plan_error_lora (plan, &lora))
    return;
  size = cli_size_text (lora.bytes);
  exact = g_strdup_printf ("%" G_GUINT64_FORMAT, lora.bytes);
  cli_print (_ ("%s: error LoRA of rank %u, %u layers, %s bytes (%s)\n"), lora.path, lora.rank, lora.n_layers, exact,
             size);
  if (report != NULL && report->lora_after >= 0)
    cli_print (_ ("  mean relMSE of its layers: %.3g without it, %.3g with it\n"), report->lora_before,
               report->lora_after);
}

static void
print_plan (const QconvPlan *plan, const GArray *weights, const GPtrArray *changes)
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
  cli_print ("\n");
  print_sums (weights);
  cli_print ("\n");
  print_changes (changes);
  cli_print (_ ("%s: %s, %u layers, %s bytes (%s), working memory %s\n"), qconv_plan_output (plan),
             qconv_plan_target (plan), weights->len, exact, total, memory);
  print_outputs (plan);
  print_error_lora (plan, NULL);
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

static void
print_summary (const CliTask *t, const GArray *weights, const GPtrArray *changes)
{
  guint64 in = cli_input_bytes (t->model), out = qconv_plan_output_bytes (t->plan);
  g_autofree char *in_text = cli_size_text (in);
  g_autofree char *out_text = cli_size_text (out);
  g_autofree char *rate = cli_size_text ((guint64) ((double) in / MAX (t->seconds, 1e-3)));

  cli_print ("%s: %s\n", qconv_plan_output (t->plan), qconv_plan_target (t->plan));
  print_outputs (t->plan);
  print_changes (changes);
  cli_report_schemes (t->report, weights);
  if (t->report != NULL)
    {
      cli_report_layers (t->report, 5);
      cli_report_problems (t->report);
    }
  print_error_lora (t->plan, t->report);
  cli_print (_ ("%s -> %s (%.1f %%) in %.1f s, %s/s\n"), in_text, out_text,
             in > 0 ? 100 * (double) out / (double) in : 100, t->seconds, rate);
}

/* Runs the plan of @t, and those that give way, and records report, error and time */
static void
run_plan (CliTask *t, const CliShow *show)
{
  gint64 start = g_get_monotonic_time ();
  gboolean again;

  do
    {
      g_autoptr (CliProgress) progress = cli_progress_new (show->progress);

      g_clear_pointer (&t->report, qconv_report_free);
      qconv_plan_run (t->plan, cli_progress_update, progress, cli_interrupt_begin (), &t->report, &t->error);
      again = t->error != NULL && t->give_way != NULL && t->give_way (t);
  } while (again && t->error == NULL);
  t->seconds = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  if (t->report != NULL && t->plan != NULL)
    cli_report_warnings (t->report, qconv_plan_output (t->plan), t->warnings);
}

static void
print_for_people (const CliTask *t, const CliShow *show, const GArray *weights, const GPtrArray *changes)
{
  if (show->dry_run)
    print_plan (t->plan, weights, changes);
  else if (t->seconds >= 0 && t->error == NULL)
    print_summary (t, weights, changes);
  else if (t->report != NULL)
    cli_report_problems (t->report);
  else if (t->error == NULL)
    cli_print (_ ("%s: nothing changes, the file stays as it is\n"), qconv_plan_output (t->plan));
}

gboolean
cli_task_carry_out (CliTask *t, const CliShow *show, GError **error)
{
  g_autoptr (GArray) weights = NULL;
  const GPtrArray *changes = t->plan != NULL ? qconv_plan_changes (t->plan) : NULL;
  g_autoptr (GPtrArray) decisions = t->plan != NULL && show->verbose ? qconv_plan_decisions (t->plan) : NULL;
  gboolean idle = t->in_place && changes != NULL && changes->len == 0;

  for (guint i = 0; decisions != NULL && i < decisions->len; i++)
    cli_detail (decisions->pdata[i]);
  if (t->error == NULL && show->dry_run && !show->as_template)
    qconv_plan_check_output (t->plan, &t->error);
  else if (t->error == NULL && !show->dry_run && !idle)
    run_plan (t, show);
  weights = t->plan != NULL ? qconv_plan_weights (t->plan) : NULL;
  if (show->as_template && t->plan != NULL)
    print_template (weights);
  else if (show->json)
    cli_task_json (t, weights, changes, show->dry_run);
  else if (t->plan != NULL)
    print_for_people (t, show, weights, changes);
  if (t->error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&t->error));
  return FALSE;
}

CliTask
cli_task_new (const char *input, const char *target)
{
  return (
      CliTask) { .input = input, .target = target, .warnings = g_ptr_array_new_with_free_func (g_free), .seconds = -1 };
}

void
cli_task_clear (CliTask *t)
{
  g_clear_error (&t->error);
  g_clear_pointer (&t->report, qconv_report_free);
  g_clear_pointer (&t->plan, qconv_plan_free);
  g_clear_pointer (&t->model, qconv_model_free);
  g_clear_pointer (&t->warnings, g_ptr_array_unref);
}
