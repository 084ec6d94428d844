/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares layers with their sources, chunk by chunk. run.c calls it after a run, the command verify for any file. */
#include "check/check.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "check/read-back.h"
#include "check/report.h"
#include "kernels/stream.h"
#include "layer/hooks.h"
#include "layer/load.h"
#include "schedule/progress.h"
#include "schedule/schedule.h"

/* Limits the root mean square of weights without effect. A format may round such weights to zero, because its
   scales have a smallest value */
#define VANISHING 1e-7

/**
 * Pair: a layer, @got, and its source, @reference.
 * @bound: the largest relative MSE that passes; negative: every MSE passes
 * @chunk_rows: rows of one partial sum, a multiple of the alignment of tiles. Does not depend on the memory,
 *   so that the sums do not either
 * @sums: for each chunk Σ(w−ŵ)², Σw² and the number of padding items that are not zero
 */
typedef struct {
  const SourceLayer *reference, *got;
  double bound;
  gboolean begun;
  guint64 chunk_rows, tile_rows;
  gsize task_cost, kept_cost;
  Arena kept;
  Components *reference_components, *got_components;
  double (*sums)[3];
} Pair;

typedef struct {
  Pair *pairs;
  guint n;
  Progress *progress;
  GCancellable *cancellable;
} Check;

static void
clear_pair (Pair *p)
{
  g_clear_pointer (&p->reference_components, qconv_components_free);
  g_clear_pointer (&p->got_components, qconv_components_free);
  g_clear_pointer (&p->kept.base, g_aligned_free);
  g_clear_pointer (&p->sums, g_free);
}

static gsize
rows_cost (const Pair *p, guint64 n)
{
  return TILE_SLACK + qconv_floats_cost (p->reference, n, qconv_source_layer_plain_floats (p->reference))
         + qconv_floats_cost (p->got, n, FALSE);
}

static guint64
n_chunks (const Pair *p)
{
  guint64 rows = p->got->layer->pub.rows;

  return MAX (rows / p->chunk_rows + (rows % p->chunk_rows != 0), 1);
}

static gboolean
cost_pair (Pair *p, const Limits *limits, GError **error)
{
  guint64 align = qconv_layer_alignment (p->reference->layer, qconv_layer_alignment (p->got->layer, 1));
  guint64 rows = p->got->layer->pub.rows, worth = MAX (p->reference->min_rows, p->got->min_rows);
  gsize per_thread, target;

  align = align == 0 ? rows : MIN (align, MAX (rows, 1));
  p->chunk_rows = align * MAX (CHUNK_ROWS (p->got->layer->pub.cols) / align, 1);
  p->kept_cost = TILE_SLACK + qconv_source_cost (p->reference, SCOPE_LAYER, 0)
                 + qconv_source_cost (p->got, SCOPE_LAYER, 0) + (gsize) n_chunks (p) * sizeof *p->sums;
  per_thread = (gsize) ((limits->memory - MIN (p->kept_cost, limits->memory)) / MAX (limits->n_threads, 1));
  target = MIN (TILE_TARGET, per_thread);
  p->tile_rows = MIN (MAX (worth / align + (worth % align != 0), 1), p->chunk_rows / align) * align;
  while (p->tile_rows > align && rows_cost (p, p->tile_rows) > per_thread)
    p->tile_rows = MAX (p->tile_rows / 2 / align * align, align);
  while (p->tile_rows < p->chunk_rows && rows_cost (p, 2 * p->tile_rows) <= target)
    p->tile_rows *= 2;
  p->tile_rows = MIN (p->tile_rows, p->chunk_rows);
  p->task_cost = rows_cost (p, p->tile_rows);
  return qconv_cost_check (p->got->name, p->kept_cost + p->task_cost, limits->memory, error);
}

/* ---- Tasks ---- */

static gboolean
begin_pair (Pair *p, GError **error)
{
  Rows rows = { .arena = &p->kept };

  p->kept = (Arena) { .size = p->kept_cost };
  p->kept.base = g_aligned_alloc0 (arena_round (p->kept.size), 1, ARENA_ALIGN);
  p->reference_components = qconv_components_new_source (p->reference);
  p->got_components = qconv_components_new_source (p->got);
  p->sums = g_malloc0_n (n_chunks (p), sizeof *p->sums);
  return qconv_components_load (p->reference, p->reference_components, SCOPE_LAYER, &rows, error)
         && qconv_components_load (p->got, p->got_components, SCOPE_LAYER, &rows, error);
}

static double
count_nonzero (const float *x, guint64 n)
{
  guint64 count = 0;

  for (guint64 i = 0; i < n; i++)
    count += x[i] != 0;
  return (double) count;
}

/* Compared: rows of both layers as floats. The written layer may have more rows: padding */
typedef struct {
  QconvBuffer reference, got;
  guint64 n_reference, n_got;
} Compared;

/* Adds the error of the rows to @sums. Counts padding that is not zero in sums[2]; padding is the items of @got
   beyond @reference */
static gboolean
compare_rows (const Pair *p, const Compared *rows, double *sums, GError **error)
{
  guint64 cols = p->reference->layer->pub.cols, got_cols = p->got->layer->pub.cols;
  guint64 step = cols == got_cols ? MAX (rows->n_reference, 1) : 1;
  gsize row_bytes = (gsize) cols * qconv_dtype_bits (rows->reference.dtype) / 8;
  const float *got = (const float *) rows->got.data;
  QconvBuffer out = QCONV_BUFFER (sums, 2 * sizeof (double), QCONV_F64);

  for (guint64 i = 0; i < rows->n_reference; i += step)
    {
      const float *row = got + i * got_cols;
      QconvBuffer a = QCONV_BUFFER (rows->reference.data + i * row_bytes, step * row_bytes, rows->reference.dtype);
      QconvBuffer b = QCONV_BUFFER (row, step * cols * sizeof (float), QCONV_F32);

      if (!qconv_stream_run (
              qconv_stream_cpu (), "squared-error", 1,
              (QconvArg[]) { QCONV_BUF (&a), QCONV_BUF (&b), QCONV_BUF (&out), QCONV_I (step), QCONV_I (cols) }, 5,
              error))
        return FALSE;
      if (cols < got_cols)
        sums[2] += count_nonzero (row + cols, got_cols - cols);
    }
  sums[2] += count_nonzero (got + rows->n_reference * got_cols, (rows->n_got - rows->n_reference) * got_cols);
  return TRUE;
}

/* Loads @rows of the written layer, and the same rows of the source if the source has them */
static gboolean
load_rows (const Pair *p, const Rows *rows, Compared *to, GError **error)
{
  guint64 n_rows = p->reference->layer->pub.rows;
  Rows reference = *rows;

  reference.n = rows->first < n_rows ? MIN (rows->n, n_rows - rows->first) : 0;
  *to = (Compared) { .n_reference = reference.n, .n_got = rows->n };
  return (reference.n == 0 /* all rows are padding */
          || qconv_floats_load (p->reference, qconv_components_view (p->reference_components, rows->arena), &reference,
                                qconv_source_layer_plain_floats (p->reference), &to->reference, error))
         && qconv_floats_load (p->got, qconv_components_view (p->got_components, rows->arena), rows, FALSE, &to->got,
                               error);
}

static gboolean
compare_chunk (const Check *c, const Pair *p, guint chunk, Arena *arena, GError **error)
{
  guint64 first = chunk * p->chunk_rows, end = MIN (first + p->chunk_rows, p->got->layer->pub.rows);

  for (guint64 n; first < end; first += n)
    {
      Compared rows;

      arena->used = 0;
      n = MIN (p->tile_rows, end - first);
      if (!load_rows (p, &(Rows) { first, n, arena, c->cancellable }, &rows, error)
          || !compare_rows (p, &rows, p->sums[chunk], error))
        return FALSE;
    }
  return TRUE;
}

static gsize
check_kept_cost (gpointer data, guint item)
{
  return ((Check *) data)->pairs[item].kept_cost;
}

static gsize
check_task_cost (gpointer data, guint item)
{
  return ((Check *) data)->pairs[item].task_cost;
}

static guint
check_n_tasks (gpointer data, guint item)
{
  const Pair *p = &((Check *) data)->pairs[item];

  return p->begun ? (guint) n_chunks (p) : 1;
}

static gboolean
check_run (gpointer data, guint item, guint task, Arena *arena, GError **error)
{
  Check *c = data;
  Pair *p = &c->pairs[item];
  gboolean ok = p->begun ? compare_chunk (c, p, task, arena, error) : begin_pair (p, error);

  if (!ok)
    qconv_error_name_layer (error, p->got->name);
  else if (p->begun)
    qconv_progress_add (c->progress, p->reference->bytes / n_chunks (p), p->got->name);
  return ok;
}

static gboolean
check_advance (gpointer data, guint item, gboolean *more, GError **error)
{
  Pair *p = &((Check *) data)->pairs[item];
  double sums[3] = { 0 };

  *more = !p->begun;
  if (*more)
    {
      p->begun = TRUE;
      return TRUE;
    }
  for (guint64 i = 0; i < n_chunks (p); i++)
    for (guint j = 0; j < 3; j++)
      sums[j] += p->sums[i][j];
  clear_pair (p);
  p->sums = g_malloc (sizeof *p->sums);
  memcpy (p->sums, sums, sizeof sums);
  return TRUE;
}

/* ---- Pairs ---- */

static void
report_pair (QconvReport *r, const Pair *p)
{
  const double *sums = p->sums[0];
  double relmse = sums[0] == 0 ? 0 : sums[0] / sums[1];
  guint64 items = p->reference->layer->pub.rows * p->reference->layer->pub.cols;
  double floor = VANISHING * VANISHING * (double) items;
  gboolean vanishes = sums[1] <= floor && sums[0] <= 4 * floor;

  qconv_report_layer (r, p->got->name, p->got->layer->scheme, isnan (relmse) ? -1 : relmse);
  if (p->bound >= 0 && !isfinite (sums[1]))
    qconv_report_problem (r, p->got->name, QCONV_PROBLEM_NON_FINITE, "the weights hold Inf or NaN");
  else if (p->bound >= 0 && !(relmse <= p->bound) && !vanishes)
    qconv_report_problem (r, p->got->name, "error-bound", "relative MSE %.3g is beyond the bound %.3g of %s", relmse,
                          p->bound, p->got->layer->scheme);
  if (sums[2] > 0)
    qconv_report_problem (r, p->got->name, "padding", "%.0f padding items are not zero", sums[2]);
}

/* Compares the layers of @pairs, whose costs are known */
static gboolean
compare_pairs (GArray *pairs, const Limits *limits, Progress *progress, QconvReport *r, GError **error)
{
  static const ScheduleOps ops = { check_kept_cost, check_task_cost, check_n_tasks, check_run, check_advance };
  GCancellable *cancellable = progress->listener->cancellable;
  Check c = { (Pair *) pairs->data, pairs->len, progress, cancellable };
  gboolean ok = qconv_schedule_run (&ops, &c, pairs->len, limits, cancellable, error);

  for (guint i = 0; i < pairs->len; i++)
    {
      if (ok)
        report_pair (r, &c.pairs[i]);
      clear_pair (&c.pairs[i]);
    }
  return ok;
}

/**
 * Comparison: all that is compared with one file.
 * @sums: (nullable): name → CRC-32 of the tensors of @model
 * @pairs: (element-type Pair): its layers and their sources
 */
typedef struct {
  const QconvModel *model;
  GHashTable *sums;
  GArray *pairs;
  QconvReport *report;
} Comparison;

static gboolean
compare (const Comparison *c, const Limits *limits, const Listener *listener, GError **error)
{
  Progress counter;
  guint64 total = c->sums != NULL ? qconv_read_back_bytes (c->model) : 0;
  gboolean ok;

  for (guint i = 0; i < c->pairs->len; i++)
    {
      Pair *p = &g_array_index (c->pairs, Pair, i);

      if (!cost_pair (p, limits, error))
        return FALSE;
      total += p->reference->bytes;
    }
  qconv_progress_init (&counter, total, "checking", listener);
  ok = (c->sums == NULL || qconv_read_back (c->model, c->sums, limits, &counter, c->report, error))
       && compare_pairs (c->pairs, limits, &counter, c->report, error);
  if (ok)
    qconv_progress_finish (&counter);
  qconv_progress_clear (&counter);
  return ok;
}

typedef struct {
  GArray *list; /* Pair */
  QconvReport *report;
} Pairs;

/* Adds a pair, or reports why the two layers cannot be compared */
static gboolean
add_pair (Pairs *pairs, const SourceLayer *reference, const SourceLayer *got, const char *name, GError **error)
{
  const QconvQuantizer *q = got != NULL ? got->layer->quantizer : NULL;
  Pair p = { .reference = reference, .got = got, .bound = -1 };
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
      if (q != NULL && q->bound != NULL && !qconv_call_bound (q, &got->layer->pub, &p.bound, error))
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
          if (!add_pair (pairs, l->source, got, l->layer->name, error))
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
      || !compare (&(Comparison) { written, sums, pairs, r }, &p->limits, listener, error))
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
          if (!add_pair (pairs, reference, s, s->name, error))
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
  const Identity *id = qconv_model_known (model, NULL);
  g_autoptr (GPtrArray) missing = id != NULL ? qconv_layers_missing (model->layers, id) : NULL;

  for (guint i = 0; missing != NULL && i < missing->len; i++)
    qconv_report_problem (r, g_ptr_array_index (missing, i), "missing", "%s needs this tensor, the file lacks it",
                          qconv_family_id (id->family));
}

/* Returns: (transfer full) (nullable): the checksums that the metadata of @model state; a problem if they are damaged */
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
  report_missing (r, model);
  if (!pair_models (model, o->original, x, &(Pairs) { pairs, r }, error))
    return NULL;
  sums = stated_sums (model, r);
  return compare (&(Comparison) { model, sums, pairs, r }, &limits, &listener, error) ? g_steal_pointer (&r) : NULL;
}
