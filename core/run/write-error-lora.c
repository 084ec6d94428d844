/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Approximates the error of each encoded layer, W - Ŵ, by a product of low rank, and writes the factors as a LoRA. One
   task is one layer: its whole error lies in memory, so that the steps give the same bytes whatever the memory is. */
#include "run/write-error-lora.h"

#include <string.h>

#include "base/error.h"
#include "check/check.h"
#include "kernels/stream.h"
#include "layer/load.h"
#include "layer/tile.h"
#include "plan/error-lora.h"
#include "qconv-lowrank.h"
#include "run/complete.h"
#include "run/long-task.h"

/* Steps from a random basis. The error of an encoding has a flat spectrum, the worst case: three steps leave 1.9 % more
   than eight do (1024 x 1024, rank 32, NVFP4), four about 1 %; each step takes as long as encoding the layer */
enum { STEPS = 4 };

/**
 * Fit: the work on one layer.
 *
 * @source, @got: the layer that was encoded, and the same layer of the written file. The latter may be larger: padding
 * @tile_rows: rows that are loaded at once
 * @weights, @error, @product: the sums of squares of W, of W - Ŵ and of the product
 */
typedef struct {
  const ErrorLoraLayer *layer;
  const SourceLayer *source, *got;
  guint64 tile_rows;
  gsize cost;
  double weights, error, product;
} Fit;

typedef struct {
  const ErrorLora *lora;
  Save *save;
  Fit *fits;
  Progress *progress;
  GCancellable *cancellable;
  guint n_threads;
} Writing;

/* ---- Memory ---- */

static gsize
rows_cost (const Fit *f, guint64 n)
{
  return TILE_SLACK + qconv_floats_cost (f->source, n, FALSE) + qconv_floats_cost (f->got, n, FALSE);
}

/* Finds the rows of a tile and the bytes of the task. A tile starts with what the readers want and grows to the size
   that is fast */
static gboolean
find_cost (Fit *f, const Limits *limits, GError **error)
{
  guint64 align = qconv_layer_alignment (f->source->layer, qconv_layer_alignment (f->got->layer, 1));
  guint64 rows = f->got->layer->pub.rows, worth = MAX (f->source->min_rows, f->got->min_rows), n;
  gsize whole = TILE_SLACK + qconv_error_lora_matrices (f->layer) + qconv_source_cost (f->source, SCOPE_LAYER, 0)
                + qconv_source_cost (f->got, SCOPE_LAYER, 0);

  align = align == 0 ? rows : MIN (align, rows);
  n = MIN (worth / align + (worth % align != 0), rows / align) * align;
  n = MAX (n, align);
  while (n > align && whole + rows_cost (f, n) > limits->memory)
    n = MAX (n / 2 / align * align, align);
  while (n < rows && rows_cost (f, 2 * n) <= TILE_TARGET)
    n *= 2;
  f->tile_rows = MIN (n, rows);
  f->cost = whole + rows_cost (f, f->tile_rows);
  return qconv_cost_check (f->got->name, f->cost, limits->memory, error);
}

/* ---- One layer ---- */

/* Adds rows to the sums, and writes their difference. @got_cols: columns of @got, of which the last may be padding */
static void
subtract (Fit *f, const float *w, const float *got, float *difference, guint64 rows, guint64 got_cols)
{
  guint64 cols = f->source->layer->pub.cols;

  for (guint64 i = 0; i < rows; i++)
    for (guint64 j = 0; j < cols; j++)
      {
        double x = (double) w[i * cols + j];
        float e = w[i * cols + j] - got[i * got_cols + j];

        difference[i * cols + j] = e;
        f->weights += x * x;
        f->error += (double) e * (double) e;
      }
}

/* Fills @difference with W - Ŵ, tile by tile. The tiles take what is left of @arena, one after the other */
static gboolean
load_difference (const Writing *w, Fit *f, QconvBuffer *difference, Arena *arena, GError **error)
{
  g_autoptr (Components) source = qconv_components_new_source (f->source);
  g_autoptr (Components) got = qconv_components_new_source (f->got);
  const QconvLayer *of = &f->source->layer->pub, *written = &f->got->layer->pub;
  Rows rows = { .arena = arena, .cancellable = w->cancellable };
  gsize mark;

  if (!qconv_components_load (f->source, source, SCOPE_LAYER, &rows, error)
      || !qconv_components_load (f->got, got, SCOPE_LAYER, &rows, error))
    return FALSE;
  mark = arena->used;
  for (; rows.first < of->rows; rows.first += rows.n)
    {
      Rows wanted = rows;
      QconvBuffer a, b;

      arena->used = mark;
      rows.n = MIN (f->tile_rows, written->rows - rows.first);
      wanted.n = MIN (rows.n, of->rows - rows.first);
      if (g_cancellable_set_error_if_cancelled (w->cancellable, error)
          || !qconv_floats_load (f->source, qconv_components_view (source, arena), &wanted, FALSE, &a, error)
          || !qconv_floats_load (f->got, qconv_components_view (got, arena), &rows, FALSE, &b, error))
        return FALSE;
      subtract (f, (const float *) a.data, (const float *) b.data,
                (float *) (gpointer) difference->data + rows.first * of->cols, wanted.n, written->cols);
    }
  return TRUE;
}

static gboolean
approximate (const Writing *w, LongTask *task, QconvBuffer *matrix, const QconvLowRank *l, GError **error)
{
  QconvStream *stream = qconv_long_task_stream (task);
  gboolean ok = qconv_low_rank_start (l, error);

  for (guint i = 0; ok && i < STEPS; i++)
    {
      ok = !g_cancellable_set_error_if_cancelled (w->cancellable, error)
           && qconv_low_rank_step (stream, matrix, l, error);
      qconv_long_task_report (task, (i + 1.0) / STEPS);
    }
  return ok;
}

/* Writes @n F32 items as BF16 tensor @number. @room: for the BF16 items */
static gboolean
write_factor (const Writing *w, guint number, const float *items, guint64 n, guint8 *room, GError **error)
{
  const QconvTensor *t = qconv_directory_tensor (w->lora->directory, number);
  QconvBuffer from = QCONV_BUFFER (items, n * sizeof *items, QCONV_F32), to = QCONV_BUFFER (room, t->n_bytes, t->dtype);

  return qconv_stream_run (qconv_stream_cpu (), "convert", 1, (QconvArg[]) { QCONV_BUF (&from), QCONV_BUF (&to) }, 2,
                           error)
         && qconv_save_write (w->save, t->offset, room, (gsize) t->n_bytes, error);
}

/* Writes the first columns of both factors. The matrix is no longer needed: it holds what is on its way to the file */
static gboolean
write_factors (const Writing *w, Fit *f, const QconvLowRank *l, QconvBuffer *matrix, GError **error)
{
  guint rank = f->layer->rank;
  float *up = (float *) (gpointer) l->up->data, *turned = (float *) (gpointer) matrix->data;
  const float *down = (const float *) l->down->data, alpha = (float) rank;
  const QconvTensor *t = qconv_directory_tensor (w->lora->directory, f->layer->alpha);

  for (guint64 i = 0; i < l->rows; i++)
    for (guint j = 0; j < rank; j++)
      {
        float x = up[i * l->width + j];

        up[i * rank + j] = x;
        f->product += (double) x * (double) x;
      }
  if (!write_factor (w, f->layer->up, up, l->rows * rank, matrix->data, error))
    return FALSE;
  for (guint j = 0; j < rank; j++)
    for (guint64 i = 0; i < l->cols; i++)
      turned[j * l->cols + i] = down[i * l->width + j];
  return write_factor (w, f->layer->down, turned, l->cols * rank, l->down->data, error)
         && qconv_save_write (w->save, t->offset, &alpha, sizeof alpha, error);
}

/* Takes @n bytes of @type from @arena. The task has them: find_cost() counted them */
static QconvBuffer
take (Arena *arena, guint64 n, QconvDType type)
{
  return QCONV_BUFFER (arena_take (arena, (gsize) n), (gsize) n, type);
}

static gboolean
fit_layer (const Writing *w, Fit *f, LongTask *task, Arena *arena, GError **error)
{
  const QconvLayer *of = &f->source->layer->pub;
  guint width = f->layer->width;
  QconvBuffer matrix = take (arena, of->rows * of->cols * sizeof (float), QCONV_F32);
  QconvBuffer up = take (arena, of->rows * width * sizeof (float), QCONV_F32);
  QconvBuffer down = take (arena, of->cols * width * sizeof (float), QCONV_F32);
  QconvBuffer scratch = take (arena, qconv_low_rank_scratch (of->rows, of->cols, width), QCONV_F64);
  const QconvLowRank l = { of->rows, of->cols, width, &up, &down, &scratch };

  return load_difference (w, f, &matrix, arena, error) && approximate (w, task, &matrix, &l, error)
         && write_factors (w, f, &l, &matrix, error);
}

/* ---- All layers ---- */

static gsize
no_kept_cost (gpointer data, guint item)
{
  return 0;
}

static gsize
task_cost (gpointer data, guint item)
{
  return ((const Writing *) data)->fits[item].cost;
}

static guint
one_task (gpointer data, guint item)
{
  return 1;
}

static gboolean
run_task (gpointer data, guint item, guint task, Arena *arena, Schedule *schedule, GError **error)
{
  const Writing *w = data;
  Fit *f = &w->fits[item];
  LongTask t = { .schedule = schedule,
                 .n_threads = w->n_threads,
                 .progress = w->progress,
                 .layer = f->got->name,
                 .bytes = f->source->bytes };

  if (!fit_layer (w, f, &t, arena, error))
    {
      qconv_error_name_layer (error, f->got->name);
      return FALSE;
    }
  qconv_long_task_end (&t);
  return TRUE;
}

static gboolean
end_item (gpointer data, guint item, gboolean *more, GError **error)
{
  *more = FALSE;
  return TRUE;
}

/* Pairs the layers of the plan with those of the written file */
static gboolean
prepare (const QconvPlan *p, const QconvModel *written, Fit *fits, GError **error)
{
  const GArray *layers = p->error_lora->layers;

  for (guint i = 0; i < layers->len; i++)
    {
      const ErrorLoraLayer *l = &g_array_index (layers, ErrorLoraLayer, i);
      const SourceLayer *got = qconv_check_find_written (written, l->planned);

      if (got == NULL || !qconv_source_layer_has_floats (got) || got->layer->pub.cols < l->planned->layer->pub.cols
          || got->layer->pub.rows < l->planned->layer->pub.rows)
        return qconv_fail (error, QCONV_ERROR_CHECK, "layer \"%s\": the written file does not hold it",
                           l->planned->layer->name);
      fits[i] = (Fit) { .layer = l, .source = l->planned->source, .got = got };
      if (!find_cost (&fits[i], &p->limits, error))
        return FALSE;
    }
  return TRUE;
}

/* Sets the mean errors of the layers, as the report of the check counts them */
static void
report_errors (QconvReport *r, const Fit *fits, guint n)
{
  r->lora_before = r->lora_after = 0;
  for (guint i = 0; i < n; i++)
    if (fits[i].error > 0)
      {
        r->lora_before += fits[i].error / fits[i].weights / n;
        r->lora_after += MAX (fits[i].error - fits[i].product, 0) / fits[i].weights / n;
      }
}

gboolean
qconv_write_error_lora (const QconvPlan *p, const char *const *written, Save *save, const Listener *listener,
                        QconvReport *report, GError **error)
{
  static const ScheduleOps ops = { no_kept_cost, task_cost, one_task, run_task, end_item };
  const ErrorLora *e = p->error_lora;
  const GByteArray *header = e->layout.header;
  g_autoptr (QconvModel) model = qconv_check_open_written (p, written, error);
  g_autofree Fit *fits = g_new0 (Fit, e->layers->len);
  Progress counter;
  Writing w = { e, save, fits, &counter, listener->cancellable, p->limits.n_threads };
  guint64 bytes = 0;
  gboolean ok;

  if (model == NULL || !prepare (p, model, fits, error))
    return FALSE;
  for (guint i = 0; i < e->layers->len; i++)
    bytes += fits[i].source->bytes;
  qconv_progress_init (&counter, bytes, "approximating", listener);
  ok = qconv_schedule_run (&ops, &w, e->layers->len, &p->limits, w.cancellable, error)
       && qconv_save_write (save, 0, header->data, header->len, error)
       && qconv_complete_file (e->container, &e->layout, save, w.cancellable, error);
  if (ok)
    {
      qconv_progress_finish (&counter);
      report_errors (report, fits, e->layers->len);
    }
  qconv_progress_clear (&counter);
  return ok;
}
