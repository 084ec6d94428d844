/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command verify: checks any file by itself, and with an original what differs from it. */
#include <string.h>

#include "base/checksum-map.h"
#include "check/against.h"
#include "graph/odd-bias.h"
#include "plan/plan.h"

/* Returns whether @names have @name, or a module or block that it belongs to */
static gboolean
has_owner (GHashTable *names, const char *name)
{
  g_autofree char *owner = g_strdup (name);
  char *dot;

  do
    {
      if (g_hash_table_contains (names, owner))
        return TRUE;
      dot = strrchr (owner, '.');
      if (dot != NULL)
        *dot = '\0';
  } while (dot != NULL);
  return FALSE;
}

/* Reports what the family needs and no reader has missed */
static void
report_missing (QconvReport *r, const QconvModel *model)
{
  const Identity *id = qconv_model_identity (model, NULL);
  const Family *family = NULL;
  g_autoptr (GPtrArray) missing = id != NULL ? qconv_layers_missing (model, model->layers, id, &family) : NULL;
  g_autoptr (GHashTable) known = qconv_report_names (r, QCONV_PROBLEM_MISSING);

  for (guint i = 0; missing != NULL && i < missing->len; i++)
    if (!has_owner (known, g_ptr_array_index (missing, i)))
      qconv_report_problem (r, g_ptr_array_index (missing, i), QCONV_PROBLEM_MISSING,
                            "%s needs this tensor, the file lacks it", qconv_family_id (family));
}

static void
report_biases (QconvReport *r, const QconvModel *model)
{
  for (guint i = 0; i < model->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (model->layers, i), *bias = qconv_odd_bias (model, s, FALSE);
      g_autofree char *text = bias != NULL ? qconv_odd_bias_text (bias, s) : NULL;

      if (bias != NULL)
        qconv_report_problem (r, s->name, "bias-shape", "%s", text);
    }
}

/* Compares the header with the checksums that the metadata of @model state. Returns: (transfer full) (nullable): those
   of the tensors. Damaged ones are a problem */
static GHashTable *
check_header (const QconvModel *model, QconvReport *r)
{
  g_autoptr (GError) damaged = NULL;
  g_autoptr (ChecksumMap) stated = qconv_checksum_map_new (model->directory, &damaged);
  g_autoptr (GPtrArray) lines = stated != NULL ? qconv_checksum_map_changed_keys (stated, model->directory) : NULL;

  if (stated != NULL)
    qconv_checksum_map_check_types (stated, model->directory, &damaged);
  for (guint i = 0; lines != NULL && i < lines->len; i++)
    qconv_report_problem (r, NULL, "checksum", "%s", (const char *) g_ptr_array_index (lines, i));
  if (damaged != NULL)
    qconv_report_problem (r, NULL, "checksum", "%s", damaged->message);
  return stated != NULL ? g_steal_pointer (&stated->tensors) : NULL;
}

/* Adds the quantized layers, whose errors nobody knows without an original: their weights must be finite */
static void
add_layers (Expected *e)
{
  for (guint i = 0; i < e->model->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (e->model->layers, i);
      Pair alone = { .reference = s, .got = s };

      if (qconv_source_layer_plain (s))
        continue;
      if (qconv_source_layer_has_floats (s))
        qconv_expected_add (e, &alone);
      else
        qconv_report_layer (e->report, s->name, s->layer->scheme, -1);
    }
}

QconvReport *
qconv_model_verify (QconvModel *model, const QconvVerifyOptions *options, GError **error)
{
  static const QconvVerifyOptions none;
  const QconvVerifyOptions *o = options != NULL ? options : &none;
  Limits limits
      = { o->memory > 0 ? o->memory : QCONV_DEFAULT_MEMORY, o->n_threads > 0 ? o->n_threads : g_get_num_processors () };
  Listener listener = { o->progress, o->progress_data, o->cancellable };
  g_autoptr (QconvReport) r = qconv_report_new (), differences = qconv_report_new ();
  g_autoptr (Against) a = NULL;
  g_auto (Expected) e = { 0 };

  qconv_expected_init (&e, model, r, o->original != NULL ? differences : r);
  qconv_report_structure (r, model, FALSE);
  report_biases (r, model);
  if (!o->allow_incomplete)
    report_missing (r, model);
  if (!qconv_model_check_reads (model, error))
    return NULL;
  if (o->original == NULL)
    add_layers (&e);
  else if (model->unclaimed == NULL && (a = qconv_against_new (&e, o->original, error)) == NULL)
    return NULL;
  e.sums = check_header (model, r);
  if (!qconv_expected_compare (&e, &limits, &listener, error))
    return NULL;
  if (a != NULL)
    qconv_report_differences (r, g_steal_pointer (&differences), a->n);
  return g_steal_pointer (&r);
}
