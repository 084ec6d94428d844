/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares pairs of layers, chunk by chunk, and reports their errors. expected.c calls it. */
#include "check/compare.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "kernels/stream.h"
#include "layer/hooks.h"
#include "layer/load.h"
#include "layer/tile.h"
#include "plan/cost.h"
#include "schedule/schedule.h"

/* Limits the root mean square of weights without effect. A format may round such weights to zero, because its
   scales have a smallest value */
#define VANISHING 1e-7

/**
 * Comparison: the work on one pair.
 * @chunk_rows: rows of one partial sum, a multiple of the alignment of tiles. Does not depend on the memory,
 *   so that the sums do not either
 * @holds: the row components of the source, or of a layer alone, are loaded once, before the first chunk
 * @sums: for each chunk Σ(w−ŵ)², Σw² and the number of padding items that are not zero, or of weights that
 *   differ if they must be equal. For a layer alone, the second is the number of weights that are not finite
 * @counts: (nullable): for each chunk the @n_findings counts of the hook examine(); NULL: the scheme has none
 */
typedef struct {
  Pair pair;
  gboolean begun, holds;
  guint64 chunk_rows, tile_rows;
  gsize task_cost, kept_cost;
  Arena kept;
  Components *reference_components, *got_components;
  double (*sums)[3];
  guint n_findings;
  guint64 *counts;
} Comparison;

typedef struct {
  Comparison *pairs;
  guint n;
  Progress *progress;
  GCancellable *cancellable;
} Check;

static void
clear_pair (Comparison *p)
{
  g_clear_pointer (&p->reference_components, qconv_components_free);
  g_clear_pointer (&p->got_components, qconv_components_free);
  g_clear_pointer (&p->kept.base, g_aligned_free);
  g_clear_pointer (&p->sums, g_free);
  g_clear_pointer (&p->counts, g_free);
}

/* Returns whether the layer has no other to be compared with */
static gboolean
is_alone (const Comparison *p)
{
  return p->pair.reference == p->pair.got;
}

/* Returns whether the source is loaded in its own type, which the sum of errors takes; single weights need F32 */
static gboolean
is_loaded_plain (const Comparison *p)
{
  return !p->pair.equal && qconv_source_layer_plain_floats (p->pair.reference);
}

static gsize
rows_cost (const Comparison *p, guint64 n)
{
  return TILE_SLACK + (is_alone (p) ? 0 : qconv_floats_cost (p->pair.reference, n, is_loaded_plain (p)))
         + qconv_floats_cost (p->pair.got, n, FALSE) + (p->pair.equal ? qconv_errors_cost (p->pair.got, n) : 0);
}

static guint64
n_chunks (const Comparison *p)
{
  guint64 rows = p->pair.got->layer->pub.rows;

  return MAX (rows / p->chunk_rows + (rows % p->chunk_rows != 0), 1);
}

static gboolean
cost_pair (Comparison *p, const Limits *limits, GError **error)
{
  guint64 align = qconv_layer_alignment (p->pair.reference->layer, qconv_layer_alignment (p->pair.got->layer, 1));
  guint64 rows = p->pair.got->layer->pub.rows, worth = 1;
  gsize per_thread, target;

  align = align == 0 ? rows : MIN (align, MAX (rows, 1));
  p->chunk_rows = align * MAX (CHUNK_ROWS (p->pair.got->layer->pub.cols) / align, 1);
  p->kept_cost = TILE_SLACK + (is_alone (p) ? 0 : qconv_source_cost (p->pair.reference, SCOPE_LAYER, 0))
                 + qconv_source_cost (p->pair.got, SCOPE_LAYER, 0)
                 + (gsize) n_chunks (p) * (sizeof *p->sums + p->n_findings * sizeof *p->counts);
  p->holds = qconv_cost_holds (p->pair.reference, FALSE, rows_cost (p, rows), p->kept_cost + rows_cost (p, align),
                               limits->memory);
  if (p->holds)
    p->kept_cost += qconv_hold_cost (p->pair.reference);
  else
    worth = MAX (p->pair.reference->min_rows, p->pair.got->min_rows);
  per_thread = (gsize) ((limits->memory - MIN (p->kept_cost, limits->memory)) / MAX (limits->n_threads, 1));
  target = MIN (TILE_TARGET, per_thread);
  p->tile_rows = MIN (MAX (worth / align + (worth % align != 0), 1), p->chunk_rows / align) * align;
  while (p->tile_rows > align && rows_cost (p, p->tile_rows) > per_thread)
    p->tile_rows = MAX (p->tile_rows / 2 / align * align, align);
  while (p->tile_rows < p->chunk_rows && rows_cost (p, 2 * p->tile_rows) <= target)
    p->tile_rows *= 2;
  p->tile_rows = MIN (p->tile_rows, p->chunk_rows);
  p->task_cost = rows_cost (p, p->tile_rows);
  return qconv_cost_check (p->pair.got->name, p->kept_cost + p->task_cost, limits->memory, error);
}

/* ---- Tasks ---- */

static gboolean
begin_pair (Comparison *p, GError **error)
{
  Rows rows = { .arena = &p->kept };

  p->kept = (Arena) { .size = p->kept_cost };
  p->kept.base = g_aligned_alloc0 (arena_round (p->kept.size), 1, ARENA_ALIGN);
  p->reference_components = qconv_components_new_source (p->pair.reference);
  p->got_components = qconv_components_new_source (p->pair.got);
  p->sums = g_malloc0_n (n_chunks (p), sizeof *p->sums);
  p->counts = p->n_findings > 0 ? g_malloc0_n (n_chunks (p), p->n_findings * sizeof *p->counts) : NULL;
  return (is_alone (p) || qconv_components_load (p->pair.reference, p->reference_components, SCOPE_LAYER, &rows, error))
         && qconv_components_load (p->pair.got, p->got_components, SCOPE_LAYER, &rows, error)
         && (!p->holds
             || qconv_source_hold (p->pair.reference, is_alone (p) ? p->got_components : p->reference_components, &rows,
                                   error));
}

static double
count_nonzero (const float *x, guint64 n)
{
  guint64 count = 0;

  for (guint64 i = 0; i < n; i++)
    count += x[i] != 0;
  return (double) count;
}

/* Counts the weights of @got that are not those of @reference, which is F32. @errors: (nullable): what the reader of
   @got allows for each */
static double
count_different (const Comparison *p, const QconvBuffer *reference, const float *got, const float *errors)
{
  const float *want = (const float *) reference->data;
  guint64 n = 0;

  for (gsize i = 0; i < reference->size / sizeof *want; i++)
    {
      double most = p->pair.bound * fabs (want[i]) + p->pair.floor + (errors != NULL ? errors[i] : 0.0);
      gboolean same = want[i] == got[i] || (isnan (want[i]) && isnan (got[i]));

      n += !same && !(fabs ((double) want[i] - got[i]) <= most);
    }
  return (double) n;
}

/* Compared: rows of both layers as floats. The written layer may have more rows: padding. @errors: of the rows of the
   written layer, without data if its reader states none; @components: of the written layer */
typedef struct {
  QconvBuffer reference, got, errors;
  Components *components;
  guint64 n_reference, n_got;
} Compared;

/* Adds the error of the rows to @sums. Counts padding that is not zero in sums[2]; padding is the items of @got
   beyond @reference */
static gboolean
compare_rows (const Comparison *p, const Compared *rows, double *sums, GError **error)
{
  guint64 cols = p->pair.reference->layer->pub.cols, got_cols = p->pair.got->layer->pub.cols;
  guint64 step = cols == got_cols ? MAX (rows->n_reference, 1) : 1;
  gsize row_bytes = (gsize) cols * qconv_dtype_bits (rows->reference.dtype) / 8;
  const float *got = (const float *) rows->got.data, *errors = (const float *) rows->errors.data;
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
      if (p->pair.equal)
        sums[2] += count_different (p, &a, row, errors != NULL ? errors + i * got_cols : NULL);
      if (cols < got_cols)
        sums[2] += count_nonzero (row + cols, got_cols - cols);
    }
  sums[2] += count_nonzero (got + rows->n_reference * got_cols, (rows->n_got - rows->n_reference) * got_cols);
  return TRUE;
}

/* Loads @rows of the written layer, and the same rows of the source if the source has them */
static gboolean
load_rows (const Comparison *p, const Rows *rows, Compared *to, GError **error)
{
  guint64 n_rows = p->pair.reference->layer->pub.rows;
  Rows reference = *rows;

  reference.n = rows->first < n_rows && !is_alone (p) ? MIN (rows->n, n_rows - rows->first) : 0;
  *to = (Compared) { .n_reference = reference.n, .n_got = rows->n };
  to->components = qconv_components_view (p->got_components, rows->arena);
  return (reference.n == 0 /* all rows are padding, or nothing is compared */
          || qconv_floats_load (p->pair.reference, qconv_components_view (p->reference_components, rows->arena),
                                &reference, is_loaded_plain (p), &to->reference, error))
         && qconv_floats_load (p->pair.got, to->components, rows, FALSE, &to->got, error)
         && (!p->pair.equal || qconv_errors_load (p->pair.got, rows, &to->errors, error));
}

/* Counts weights that are Inf or NaN in sums[1] */
static gboolean
count_bad (QconvBuffer *floats, double *sums, GError **error)
{
  guint64 n;

  if (!qconv_floats_nonfinite (floats, &n, error))
    return FALSE;
  sums[1] += (double) n;
  return TRUE;
}

/* Counts a block of a layer alone that its reader refuses to decode, instead of ending the check of the whole file */
static gboolean
forgive_bad (double *sums, GError **error)
{
  if (!g_error_matches (*error, QCONV_ERROR, QCONV_ERROR_NON_FINITE))
    return FALSE;
  g_clear_error (error);
  sums[1]++;
  return TRUE;
}

/* Counts what the loaded components of @got hold. */
static gboolean
examine_rows (const Comparison *p, guint chunk, const Rows *rows, const Compared *loaded, GError **error)
{
  Tile tile = qconv_tile (p->pair.got->layer, loaded->components, rows);

  return p->n_findings == 0
         || qconv_call_examine (p->pair.got->layer->quantizer, &tile, p->counts + (gsize) chunk * p->n_findings, error);
}

static gboolean
compare_chunk (const Check *c, const Comparison *p, guint chunk, Arena *arena, GError **error)
{
  guint64 first = chunk * p->chunk_rows, end = MIN (first + p->chunk_rows, p->pair.got->layer->pub.rows);

  for (guint64 n; first < end; first += n)
    {
      Rows rows = { first, MIN (p->tile_rows, end - first), arena, c->cancellable };
      Compared loaded;

      arena->used = 0;
      n = rows.n;
      if (!load_rows (p, &rows, &loaded, error))
        return is_alone (p) && forgive_bad (p->sums[chunk], error);
      if (!examine_rows (p, chunk, &rows, &loaded, error)
          || !(is_alone (p) ? count_bad (&loaded.got, p->sums[chunk], error)
                            : compare_rows (p, &loaded, p->sums[chunk], error)))
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
  const Comparison *p = &((Check *) data)->pairs[item];

  return p->begun ? (guint) n_chunks (p) : 1;
}

static gboolean
check_run (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error)
{
  Check *c = data;
  Comparison *p = &c->pairs[item];
  gboolean ok = p->begun ? compare_chunk (c, p, task, arena, error) : begin_pair (p, error);

  if (!ok)
    qconv_error_name_layer (error, p->pair.got->name);
  else if (p->begun)
    qconv_progress_add (c->progress, p->pair.reference->bytes / n_chunks (p), p->pair.got->name);
  return ok;
}

static gboolean
check_advance (gpointer data, guint item, gboolean *more, GError **error)
{
  Comparison *p = &((Check *) data)->pairs[item];
  double sums[3] = { 0 };
  g_autofree guint64 *counts = g_new0 (guint64, MAX (p->n_findings, 1));

  *more = !p->begun;
  if (*more)
    {
      p->begun = TRUE;
      return TRUE;
    }
  for (guint64 i = 0; i < n_chunks (p); i++)
    {
      for (guint j = 0; j < 3; j++)
        sums[j] += p->sums[i][j];
      for (guint j = 0; j < p->n_findings; j++)
        counts[j] += p->counts[i * p->n_findings + j];
    }
  clear_pair (p);
  p->sums = g_malloc (sizeof *p->sums);
  memcpy (p->sums, sums, sizeof sums);
  p->counts = g_steal_pointer (&counts);
  return TRUE;
}

/* ---- All pairs ---- */

/* Reports what examine() counted in the layer. Returns whether it is a problem */
static gboolean
report_findings (QconvReport *r, const Comparison *p)
{
  const char *name = p->pair.got->name;
  gboolean wrong = FALSE;

  for (guint i = 0; i < p->n_findings; i++)
    {
      const QconvFinding *f = &p->pair.got->layer->quantizer->findings[i];
      guint64 n = p->counts[i];
      g_autofree char *text = f->kind == QCONV_FINDING_NONE ? g_strdup (f->text)
                                                            : g_strdup_printf ("%" G_GUINT64_FORMAT " %s", n, f->text);

      if ((f->kind == QCONV_FINDING_NONE) != (n == 0))
        continue;
      if (f->kind == QCONV_FINDING_PROBLEM)
        qconv_report_problem (r, name, f->code, "%s", text);
      else
        qconv_report_warning (r, name, f->code, text);
      wrong |= f->kind == QCONV_FINDING_PROBLEM;
    }
  return wrong;
}

/* Reports a layer that was compared with nothing. @known: what is wrong with the layer has been reported */
static void
report_alone (QconvReport *r, const Comparison *p, gboolean known)
{
  const Layer *layer = p->pair.got->layer;

  qconv_report_layer (r, p->pair.got->name, layer->scheme, -1);
  if (p->sums[0][1] > 0 && !known)
    qconv_report_problem (r, p->pair.got->name, QCONV_PROBLEM_NON_FINITE, "weights decode to Inf or NaN");
}

static void
report_pair (QconvReport *r, const Comparison *p)
{
  const double *sums = p->sums[0];
  double relmse = sums[0] == 0 ? 0 : sums[0] / sums[1];
  guint64 items = p->pair.reference->layer->pub.rows * p->pair.reference->layer->pub.cols;
  double floor = VANISHING * VANISHING * (double) items;
  gboolean vanishes = sums[1] <= floor && sums[0] <= 4 * floor;
  gboolean overflows = p->pair.finite && isfinite (sums[1]) && !isfinite (sums[0]);

  if (qconv_source_layer_is_weight (p->pair.got))
    qconv_report_layer (r, p->pair.got->name, p->pair.got->layer->scheme, isnan (relmse) ? -1 : relmse);
  if (p->pair.equal)
    {
      if (sums[2] > 0 || p->pair.unequal)
        qconv_report_problem (r, p->pair.got->name, "differs",
                              "%.0f weights are not those of the original: relative MSE %.3g", sums[2], relmse);
      return;
    }
  if (overflows || (p->pair.bound >= 0 && !isfinite (sums[1])))
    qconv_report_problem (r, p->pair.got->name, QCONV_PROBLEM_NON_FINITE, "the weights hold Inf or NaN");
  else if (p->pair.moved && !(relmse <= p->pair.bound))
    qconv_report_problem (r, p->pair.got->name, "error-bound",
                          "the layer was moved without encoding, but its relative MSE is %.3g, beyond %.3g", relmse,
                          p->pair.bound);
  else if (p->pair.bound >= 0 && !(relmse <= p->pair.bound) && !vanishes)
    qconv_report_problem (r, p->pair.got->name, "error-bound", "relative MSE %.3g is beyond the bound %.3g of %s",
                          relmse, p->pair.bound, p->pair.got->layer->scheme);
  if (sums[2] > 0)
    qconv_report_problem (r, p->pair.got->name, "padding", "%.0f padding items are not zero", sums[2]);
}

guint64
qconv_compare_bytes (const GArray *pairs)
{
  guint64 bytes = 0;

  for (guint i = 0; i < pairs->len; i++)
    bytes += g_array_index (pairs, Pair, i).reference->bytes;
  return bytes;
}

gboolean
qconv_compare_pairs (const GArray *pairs, const Limits *limits, Progress *progress, const CompareReports *to,
                     GError **error)
{
  static const ScheduleOps ops = { check_kept_cost, check_task_cost, check_n_tasks, check_run, check_advance };
  g_autofree Comparison *all = g_new0 (Comparison, MAX (pairs->len, 1));
  g_autoptr (GHashTable) known = qconv_report_names (to->differences, NULL);
  Check c = { all, pairs->len, progress, progress->listener->cancellable };
  gboolean ok;

  for (guint i = 0; i < pairs->len; i++)
    {
      const SourceLayer *got = g_array_index (pairs, Pair, i).got;

      all[i].pair = g_array_index (pairs, Pair, i);
      all[i].n_findings = got->parts == NULL ? qconv_n_findings (got->layer->quantizer) : 0;
      if (!cost_pair (&all[i], limits, error))
        return FALSE;
    }
  ok = qconv_schedule_run (&ops, &c, pairs->len, limits, c.cancellable, error);
  for (guint i = 0; i < pairs->len; i++)
    {
      gboolean wrong = ok && report_findings (to->own, &all[i]);

      if (ok && is_alone (&all[i]))
        report_alone (to->differences, &all[i], wrong || g_hash_table_contains (known, all[i].pair.got->name));
      else if (ok)
        report_pair (to->differences, &all[i]);
      clear_pair (&all[i]);
    }
  return ok;
}
