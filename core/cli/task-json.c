/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints the result of one input for programs. The keys are promises: the man page lists them. task.c calls it. */
#include <math.h>

#include "cli/json.h"
#include "cli/scheme-sums.h"
#include "cli/show.h"
#include "cli/task.h"

guint64
cli_input_bytes (const QconvModel *model)
{
  const QconvDirectory *d = qconv_model_directory (model);
  guint64 bytes = 0;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    bytes += qconv_directory_tensor (d, i)->n_bytes;
  return bytes;
}

/* Adds the array "outputs" */
static void
add_outputs (JsonBuilder *b, const QconvPlan *p)
{
  g_autoptr (GArray) outputs = p != NULL ? qconv_plan_outputs (p) : NULL;

  json_builder_set_member_name (b, "outputs");
  json_builder_begin_array (b);
  for (guint i = 0; outputs != NULL && i < outputs->len; i++)
    {
      const QconvOutputFile *f = &g_array_index (outputs, QconvOutputFile, i);

      json_builder_begin_object (b);
      cli_json_string (b, "name", f->path);
      cli_json_int (b, "bytes", f->bytes);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

/* Adds the keys of which a value is null while it is unknown */
static void
add_head (JsonBuilder *b, const CliTask *t, gboolean dry_run)
{
  const QconvModel *m = t->model;
  const QconvPlan *p = t->plan;

  cli_json_string (b, "input", t->input);
  cli_json_string (b, "output", p != NULL ? qconv_plan_output (p) : NULL);
  add_outputs (b, p);
  cli_json_string (b, "target", p != NULL ? qconv_plan_target (p) : t->target);
  cli_json_string (b, "family", m != NULL ? qconv_model_family (m) : NULL);
  cli_json_string (b, "variant", m != NULL ? qconv_model_variant (m) : NULL);
  if (m != NULL)
    cli_json_int (b, "input_bytes", cli_input_bytes (m));
  else
    cli_json_null (b, "input_bytes");
  if (p != NULL)
    cli_json_int (b, "output_bytes", qconv_plan_output_bytes (p));
  else
    cli_json_null (b, "output_bytes");
  if (dry_run && p != NULL)
    cli_json_int (b, "peak_memory", qconv_plan_peak_memory (p));
  else if (!dry_run && t->seconds >= 0)
    cli_json_double (b, "seconds", t->seconds);
  else
    cli_json_null (b, dry_run ? "peak_memory" : "seconds");
}

static void
add_schemes (JsonBuilder *b, const GArray *weights)
{
  g_autoptr (GPtrArray) sums = cli_scheme_sums (weights, NULL);

  json_builder_set_member_name (b, "schemes");
  json_builder_begin_array (b);
  for (guint i = 0; i < sums->len; i++)
    {
      const CliSchemeSum *sum = sums->pdata[i];

      json_builder_begin_object (b);
      cli_json_string (b, "scheme", sum->scheme);
      cli_json_int (b, "layers", sum->n_layers);
      cli_json_int (b, "input_bytes", sum->input_bytes);
      cli_json_int (b, "bytes", sum->bytes);
      json_builder_set_member_name (b, "how");
      json_builder_begin_object (b);
      for (guint j = 0; j < sum->ways->len; j++)
        cli_json_int (b, g_array_index (sum->ways, CliWay, j).how, g_array_index (sum->ways, CliWay, j).n);
      json_builder_end_object (b);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

/* Adds all weights, those that the check did not compare too. @errors: name -> QconvLayerError; @dry_run: no errors */
static void
add_layers (JsonBuilder *b, const GArray *weights, GHashTable *errors, gboolean dry_run)
{
  json_builder_set_member_name (b, "layers");
  json_builder_begin_array (b);
  for (guint i = 0; weights != NULL && i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);

      json_builder_begin_object (b);
      cli_json_string (b, "name", w->name);
      cli_json_string (b, "scheme", w->scheme);
      cli_json_string (b, "rule", w->rule);
      cli_json_string (b, "how", w->how);
      cli_json_shape (b, "shape", &w->shape);
      cli_json_int (b, "input_bytes", w->input_bytes);
      cli_json_int (b, "bytes", w->bytes);
      if (!dry_run)
        cli_report_error_json (b, g_hash_table_lookup (errors, w->name));
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

/* Adds the member "error_lora" if the plan writes one. @report: (nullable) */
static void
add_error_lora (JsonBuilder *b, const QconvPlan *plan, const QconvReport *report)
{
  QconvErrorLora lora;
  gboolean known = report != NULL && report->lora_after >= 0;

  if (plan == NULL || !qconv_plan_error_lora (plan, &lora))
    return;
  json_builder_set_member_name (b, "error_lora");
  json_builder_begin_object (b);
  cli_json_string (b, "file", lora.path);
  cli_json_int (b, "rank", lora.rank);
  cli_json_int (b, "layers", lora.n_layers);
  cli_json_int (b, "bytes", lora.bytes);
  cli_json_double (b, "relmse_without", known ? report->lora_before : NAN);
  cli_json_double (b, "relmse_with", known ? report->lora_after : NAN);
  json_builder_end_object (b);
}

void
cli_task_json (const CliTask *t, const GArray *weights, const GPtrArray *changes, gboolean dry_run)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  g_autoptr (GHashTable) errors = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; t->report != NULL && i < t->report->layers->len; i++)
    g_hash_table_insert (errors, ((const QconvLayerError *) t->report->layers->pdata[i])->name,
                         t->report->layers->pdata[i]);
  json_builder_begin_object (b);
  add_head (b, t, dry_run);
  cli_json_boolean (b, "ok", t->error == NULL);
  cli_json_string (b, "error", t->error != NULL ? t->error->message : NULL);
  cli_json_texts (b, "warnings", t->warnings);
  if (changes != NULL)
    cli_json_texts (b, "changes", changes);
  if (!dry_run)
    cli_report_problems_json (b, t->report);
  add_error_lora (b, t->plan, t->report);
  add_schemes (b, weights);
  add_layers (b, weights, errors, dry_run);
  json_builder_end_object (b);
  cli_json_print_line (b);
}
