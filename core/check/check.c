/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pairs the layers of a file with their sources, which compare.c compares. run.c calls it after a run, the command
   verify for any file. */
#include "check/check.h"

#include <string.h>

#include "base/names.h"
#include "check/compare.h"
#include "check/read-back.h"
#include "layer/hooks.h"

typedef struct {
  GArray *list; /* Pair */
  QconvReport *report;
} Pairs;

/* Sets the bound of a pair: that of the written scheme, or that of moving if @l was moved or adopted */
static gboolean
find_bound (Pair *p, const PlannedLayer *l, GError **error)
{
  const Layer *got = p->got->layer, *from = p->reference->layer;

  p->bound = -1;
  p->moved = l != NULL && (l->how == HOW_MOVE || l->adopted);
  if (!p->moved)
    return got->quantizer == NULL || got->quantizer->bound == NULL
           || qconv_call_bound (got->quantizer, &got->pub, &p->bound, error);
  p->bound = 0;
  return !qconv_source_layer_stacked (p->reference)
         || qconv_call_stack_bound (from->quantizer, &from->pub, &p->bound, error);
}

/* Adds a pair, or reports why the two layers cannot be compared. @l: (nullable): the plan of @got */
static gboolean
add_pair (Pairs *pairs, const SourceLayer *reference, const SourceLayer *got, const PlannedLayer *l, const char *name,
          GError **error)
{
  Pair p = { .reference = reference, .got = got };
  gboolean same_shape = got != NULL && qconv_shape_equal (&got->layer->pub.shape, &reference->layer->pub.shape);

  /* The rows of a quantized layer need not be its first axis. A plain tensor of the same shape takes the same rows */
  if (same_shape && qconv_source_layer_tensor (got) != NULL)
    qconv_layer_set_rows (got->layer, reference->layer->pub.rows, reference->layer->pub.cols);
  else if (same_shape && qconv_source_layer_tensor (reference) != NULL && reference->parts == NULL)
    qconv_layer_set_rows (reference->layer, got->layer->pub.rows, got->layer->pub.cols);
  if (got == NULL)
    qconv_report_problem (pairs->report, name, "missing", "the layer is not in the file");
  else if (got->layer->pub.rows < reference->layer->pub.rows || got->layer->pub.cols < reference->layer->pub.cols)
    qconv_report_problem (pairs->report, name, "shape", "the layer is smaller than what it was made from");
  else if (reference->layer->pub.rows == 0 || reference->layer->pub.cols == 0)
    qconv_report_layer (pairs->report, got->name, got->layer->scheme, 0);
  else
    {
      if (!find_bound (&p, l, error))
        return FALSE;
      g_array_append_val (pairs->list, p);
    }
  return TRUE;
}

static gboolean
pair_plan (const QconvPlan *p, const QconvModel *written, Pairs *pairs, GError **error)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);
      g_autofree char *name
          = l->layer->quantizer != NULL ? qconv_weight_name (l->layer->name) : g_strdup (l->layer->name);
      const SourceLayer *got = qconv_model_find_tensor (written, name);

      if (l->copies || !qconv_planned_is_weight (l) || !qconv_source_layer_has_floats (l->source))
        continue;
      if (got == NULL || qconv_source_layer_has_floats (got))
        {
          if (!add_pair (pairs, l->source, got, l, l->layer->name, error))
            return FALSE;
        }
      else if (strcmp (got->layer->scheme, l->layer->scheme) == 0)
        qconv_report_layer (pairs->report, got->name, got->layer->scheme, -1);
      else
        qconv_report_problem (pairs->report, got->name, "scheme", "the layer is %s in the file instead of %s",
                              got->layer->scheme, l->layer->scheme);
    }
  return TRUE;
}

/* Opens the written file by the reader that the writer names. If the reader refuses the file, qconv wrote a wrong
   file */
static QconvModel *
open_written (const QconvPlan *p, const char *path, GError **error)
{
  const QconvWriter *w = p->target->writer;
  gboolean quantized = w->reader != NULL && (p->edit != NULL || p->target->quantizer != NULL);
  QconvOpenOptions options
      = { .from = quantized ? w->reader : w->container, .for_verify = p->target->target->scheme == NULL };
  g_autoptr (GError) refused = NULL;
  QconvModel *written = qconv_model_open (path, &options, &refused);

  if (written != NULL)
    return written;
  if (refused->domain == QCONV_ERROR)
    qconv_fail (error, QCONV_ERROR_CHECK, "%s: the written file cannot be read back: %s", p->path, refused->message);
  else
    g_propagate_prefixed_error (error, g_steal_pointer (&refused),
                                "%s: the written file cannot be read back: ", p->path);
  return NULL;
}

/**
 * Expected: all that is compared with one file.
 * @sums: (nullable): name → CRC-32 of the tensors of @model
 * @pairs: (element-type Pair): its layers and their sources
 */
typedef struct {
  const QconvModel *model;
  GHashTable *sums;
  GArray *pairs;
  QconvReport *report;
} Expected;

static gboolean
compare (const Expected *e, const Limits *limits, const Listener *listener, GError **error)
{
  Progress counter;
  guint64 bytes = e->sums != NULL ? qconv_read_back_bytes (e->model) : 0;
  gboolean ok;

  qconv_progress_init (&counter, bytes + qconv_compare_bytes (e->pairs), "checking", listener);
  ok = (e->sums == NULL || qconv_read_back (e->model, e->sums, limits, &counter, e->report, error))
       && qconv_compare_pairs (e->pairs, limits, &counter, e->report, error);
  if (ok)
    qconv_progress_finish (&counter);
  qconv_progress_clear (&counter);
  return ok;
}

/* Compares the start of the file, which holds the header and the metadata, with the planned bytes */
static gboolean
check_header (const QconvPlan *p, const QconvModel *written, QconvReport *r, GError **error)
{
  const GByteArray *header = p->layout.header;
  g_autofree guint8 *bytes = g_malloc (header->len);

  if (!qconv_source_read (written->source, 0, header->len, bytes, error))
    return FALSE;
  if (memcmp (bytes, header->data, header->len) != 0)
    qconv_report_problem (r, NULL, "header", "the header is not the one that was written");
  return TRUE;
}

/* Returns: (transfer full): name → CRC-32 of the planned tensors */
static GHashTable *
sums_by_name (const QconvPlan *p, const Checksum *sums)
{
  GHashTable *by_name = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < qconv_directory_n_tensors (p->output.directory); i++)
    g_hash_table_insert (by_name, (char *) qconv_directory_tensor (p->output.directory, i)->name,
                         GUINT_TO_POINTER (sums[i].crc));
  return by_name;
}

QconvReport *
qconv_check_plan (const QconvPlan *p, const Written *file, const Listener *listener, GError **error)
{
  g_autoptr (QconvModel) written = open_written (p, file->path, error);
  g_autoptr (QconvReport) r = NULL;
  g_autoptr (GArray) pairs = g_array_new (FALSE, FALSE, sizeof (Pair));
  g_autoptr (GHashTable) sums = NULL;
  gboolean verbatim = p->target->target->scheme == NULL; /* no reader has to understand the copy */

  if (written == NULL)
    return NULL;
  r = qconv_report_new ();
  if (!verbatim)
    qconv_report_structure (r, written);
  if (!p->verify)
    return g_steal_pointer (&r);
  sums = sums_by_name (p, file->sums);
  if (!check_header (p, written, r, error) || (!verbatim && !pair_plan (p, written, &(Pairs) { pairs, r }, error))
      || !compare (&(Expected) { written, sums, pairs, r }, &p->limits, listener, error))
    return NULL;
  return g_steal_pointer (&r);
}

/* Maps @original to the names of @model if both are one model in different namings. @x: left alone if they are not */
static gboolean
map_original (const QconvModel *model, const QconvModel *original, Mapping **x, GError **error)
{
  const Identity *a = qconv_model_identity (model, NULL);
  const Identity *b = original != NULL ? qconv_model_identity (original, NULL) : NULL;
  MappingOptions options = { .naming = a != NULL ? a->naming : NULL, .component = "all" };

  if (a == NULL || b == NULL || (strcmp (a->naming, b->naming) == 0 && a->foreign == b->foreign)
      || strcmp (qconv_family_id (a->family), qconv_family_id (b->family)) != 0)
    return TRUE;
  *x = qconv_mapping_new (original, &options, error);
  return *x != NULL;
}

/* Finds the layer of @s in @original by its mapped name, else by the whole name, else by the name without prefix */
static const SourceLayer *
find_original (const QconvModel *original, GHashTable *mapped, const SourceLayer *s)
{
  g_autofree char *name = qconv_short_name (s->plain_name);
  const SourceLayer *found = g_hash_table_lookup (mapped, name);

  if (found == NULL)
    found = qconv_model_find_tensor (original, s->plain_name);
  return found != NULL ? found : qconv_model_find (original, s->name);
}

/* Returns: (transfer full): short name → SourceLayer of @x (nullable) */
static GHashTable *
index_mapping (const Mapping *x)
{
  GHashTable *mapped = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; x != NULL && i < x->layers->len; i++)
    {
      SourceLayer *s = g_ptr_array_index (x->layers, i);

      g_hash_table_insert (mapped, qconv_short_name (s->plain_name), s);
    }
  return mapped;
}

static gboolean
pair_models (const QconvModel *model, const QconvModel *original, const Mapping *x, Pairs *pairs, GError **error)
{
  g_autoptr (GHashTable) mapped = index_mapping (x);

  for (guint i = 0; i < model->layers->len; i++)
    {
      const SourceLayer *s = g_ptr_array_index (model->layers, i);
      const SourceLayer *reference = original != NULL ? find_original (original, mapped, s) : NULL;
      gboolean plain = qconv_source_layer_plain (s);

      if (plain && (reference == NULL || !qconv_is_weight_name (s->plain_name)))
        continue;
      if (original != NULL && reference == NULL)
        qconv_report_problem (pairs->report, s->name, "missing", "the original has no such layer");
      else if (reference != NULL && qconv_source_layer_has_floats (s) && qconv_source_layer_has_floats (reference))
        {
          if (!add_pair (pairs, reference, s, NULL, s->name, error))
            return FALSE;
        }
      else if (!plain)
        qconv_report_layer (pairs->report, s->name, s->layer->scheme, -1);
    }
  return TRUE;
}

static void
report_missing (QconvReport *r, const QconvModel *model)
{
  const Identity *id = qconv_model_identity (model, NULL);
  const Family *family = NULL;
  g_autoptr (GPtrArray) missing = id != NULL ? qconv_layers_missing (model, model->layers, id, &family) : NULL;

  for (guint i = 0; missing != NULL && i < missing->len; i++)
    qconv_report_problem (r, g_ptr_array_index (missing, i), "missing", "%s needs this tensor, the file lacks it",
                          qconv_family_id (family));
}

/* Returns: (transfer full) (nullable): the checksums that the metadata of @model state. Damaged ones are a problem */
static GHashTable *
stated_sums (const QconvModel *model, QconvReport *r)
{
  g_autoptr (GError) damaged = NULL;
  GHashTable *stated = qconv_checksums_of (model->directory, &damaged);

  if (damaged != NULL)
    qconv_report_problem (r, NULL, "checksum", "%s", damaged->message);
  return stated;
}

QconvReport *
qconv_model_verify (QconvModel *model, const QconvVerifyOptions *options, GError **error)
{
  static const QconvVerifyOptions none;
  const QconvVerifyOptions *o = options != NULL ? options : &none;
  Limits limits
      = { o->memory > 0 ? o->memory : QCONV_DEFAULT_MEMORY, o->n_threads > 0 ? o->n_threads : g_get_num_processors () };
  Listener listener = { o->progress, o->progress_data, o->cancellable };
  g_autoptr (QconvReport) r = qconv_report_new ();
  g_autoptr (GArray) pairs = g_array_new (FALSE, FALSE, sizeof (Pair));
  g_autoptr (Mapping) x = NULL;
  g_autoptr (GHashTable) sums = NULL;

  if (!map_original (model, o->original, &x, error))
    return NULL;
  qconv_report_structure (r, model);
  if (!o->allow_incomplete)
    report_missing (r, model);
  if (!pair_models (model, o->original, x, &(Pairs) { pairs, r }, error))
    return NULL;
  sums = stated_sums (model, r);
  return compare (&(Expected) { model, sums, pairs, r }, &limits, &listener, error) ? g_steal_pointer (&r) : NULL;
}
