/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes a weight as W = L + R: L is the product of two thin matrices, R becomes 4-bit codes. svdq.c names the encoder
   in its tables.

   Each round takes the best L for what the codes of the round before miss, W - Q, and then codes for W - L. The method
   is SVDQuant's (deepcompressor: deepcompressor/calib/lowrank.py) with the error of the weights in place of that of
   outputs, and with one step of subspace iteration for each round in place of a whole factorization. */
#include "encode.h"

#include <string.h>

#include "buffers.h"
#include "codes.h"
#include "nunchaku.h"
#include "quantizer-checks.h"

/* Columns of the iterated basis beside those that are kept: they speed up the convergence of the last ones (Halko,
   Martinsson and Tropp, "Finding structure with randomness", section 4) */
#define OVERSAMPLING 10
/* Steps from a random basis to the first L */
#define FIRST_STEPS 3
/* A round that gains less than this share is the last one */
#define LEAST_GAIN 0.005
/* Items of the rows that are encoded at once: their buffers stay in the second-level cache */
#define BLOCK_ITEMS ((gsize) 1 << 16)
/* Rows from which one task subtracts the product: the operation copies a matrix for them */
#define PRODUCT_ROWS 64

/**
 * Worker: what a thread has of its own while tasks run.
 *
 * @decoded: F32, a block of Q
 * @top: F32[1]: the largest magnitude of W - L
 * @view_*: the rows of the task
 */
typedef struct {
  NunchakuCodes codes;
  QconvBuffer *decoded, *top;
  QconvBuffer *view_floats, *view_rest, *view_left, *view_decoded, *view_sums;
} Worker;

/**
 * Search: the state of one layer while rounds go on.
 *
 * @rows, @cols, @rank: of the layer
 * @width: columns of the basis
 * @block: rows that are encoded at once; @n_blocks: tasks
 * @rest: F32 [rows, cols]: W - L while codes are sought, then W - Q
 * @up, @down: F32 [rows, width] and [cols, width]: the singular vectors of @rest
 * @left, @right: F32 [rows, rank] and [rank, cols]: the factors of this round, in the numbers that a file holds
 * @halves: the factors while they are rounded
 * @sums: F64 [n_blocks, 2]: the squared error of each block, and a sum that is not used
 * @workers: [t->n_threads]
 * @best: the least squared error so far
 * @done: parts of the work: a block that is encoded is one, and a step is as many as a pass over all blocks
 */
typedef struct {
  const QconvTile *t;
  gsize rows, cols, rank, width, block, n_blocks;
  QconvBuffer *rest, *up, *down, *scratch, *left, *right, *halves, *sums;
  QconvBuffer *view_half;
  Worker *workers;
  double best;
  gint done;
} Search;

static gsize
rank_of (const QconvLayer *layer)
{
  return (gsize) qconv_values_int (layer->values, "rank");
}

static gsize
width_of (const QconvLayer *layer)
{
  gsize width = MIN (rank_of (layer) + OVERSAMPLING, QCONV_LOW_RANK_MAX_WIDTH);

  return MIN (width, (gsize) MIN (layer->rows, layer->cols));
}

static gsize
block_of (const QconvLayer *layer)
{
  return CLAMP (BLOCK_ITEMS / (gsize) layer->cols, 1, (gsize) layer->rows);
}

/* Returns the number of blocks of @rows rows. */
static gsize
pieces_of (gsize rows, gsize block)
{
  return rows / block + (rows % block != 0);
}

static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  gsize rows = (gsize) layer->rows, cols = (gsize) layer->cols, rank = rank_of (layer), width = width_of (layer);
  gsize factors = (rows + cols) * (width + rank), half = MAX (rows, cols) * rank, block = block_of (layer);

  work->whole = TRUE;
  work->scratch = (rows * cols + factors + half) * sizeof (float) + pieces_of (rows, block) * 2 * sizeof (double)
                  + (gsize) qconv_low_rank_scratch (rows, cols, (guint) width) + 4096;
  work->scratch_per_thread = block * cols * sizeof (float) + 2048;
}

/* ---- Memory ---- */

static QconvBuffer *
take (const QconvTile *t, gsize items, GError **error)
{
  return qconv_tile_scratch (t, items * sizeof (float), error);
}

/* Points @view at rows [first, first + n) of @of, whose rows are @row_bytes long. */
static gboolean
view_rows (const Search *s, QconvBuffer **view, QconvBuffer *of, gsize row_bytes, gsize first, gsize n, GError **error)
{
  *view = qconv_tile_view (s->t, *view, of, qconv_buffer_dtype (of), first * row_bytes, n * row_bytes, error);
  return *view != NULL;
}

/* Takes what a thread needs, its views too: tasks cannot take memory. */
static gboolean
open_worker (const Search *s, Worker *w, GError **error)
{
  w->codes.t = s->t;
  w->decoded = take (s->t, s->block * s->cols, error);
  w->top = w->decoded != NULL ? take (s->t, 1, error) : NULL;
  return w->top != NULL && nunchaku_codes_open (&w->codes, error)
         && view_rows (s, &w->view_floats, s->t->floats, 0, 0, 0, error)
         && view_rows (s, &w->view_rest, s->rest, 0, 0, 0, error)
         && view_rows (s, &w->view_left, s->left, 0, 0, 0, error)
         && view_rows (s, &w->view_decoded, w->decoded, 0, 0, 0, error)
         && view_rows (s, &w->view_sums, s->sums, 0, 0, 0, error);
}

static gboolean
take_buffers (Search *s, GError **error)
{
  const QconvTile *t = s->t;
  struct {
    QconvBuffer **buffer;
    gsize items;
  } all[] = {
    { &s->rest, s->rows * s->cols }, { &s->up, s->rows * s->width },   { &s->down, s->cols * s->width },
    { &s->left, s->rows * s->rank }, { &s->right, s->rank * s->cols }, { &s->halves, MAX (s->rows, s->cols) * s->rank },
    { &s->sums, s->n_blocks * 4 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    if ((*all[i].buffer = take (t, all[i].items, error)) == NULL)
      return FALSE;
  s->scratch = qconv_tile_scratch (t, (gsize) qconv_low_rank_scratch (s->rows, s->cols, (guint) s->width), error);
  s->sums = s->scratch != NULL
                ? qconv_tile_view (t, s->sums, s->sums, QCONV_F64, 0, s->n_blocks * 2 * sizeof (double), error)
                : NULL;
  for (guint i = 0; s->sums != NULL && i < t->n_threads; i++)
    if (!open_worker (s, &s->workers[i], error))
      return FALSE;
  return s->sums != NULL;
}

/* Counts @n parts of the work. Any thread. */
static void
count_parts (Search *s, gsize n)
{
  gint64 rounds = qconv_values_int (s->t->layer->values, NUNCHAKU_ROUNDS);
  guint64 passes = 2 + FIRST_STEPS + 2 * (guint64) rounds, done;

  done = (guint64) g_atomic_int_add (&s->done, (gint) n) + n;
  qconv_tile_progress (s->t, done, passes * s->n_blocks);
}

/* ---- The product ---- */

/* Rounds the @n floats of @floats to the type in which the file stores factors. */
static gboolean
round_factor (Search *s, QconvBuffer *floats, gsize n, GError **error)
{
  s->view_half = qconv_tile_view (s->t, s->view_half, s->halves, nunchaku_scale_dtype (s->t->layer), 0,
                                  n * sizeof (guint16), error);
  return s->view_half != NULL && nunchaku_copy (s->t, floats, s->view_half, error)
         && nunchaku_copy (s->t, s->view_half, floats, error);
}

/* Takes the largest singular vectors as the factors of this round. The singular values go into the left one. */
static gboolean
take_factors (Search *s, GError **error)
{
  const NunchakuThin left = { s->t, s->up, s->left, s->rows, s->width, s->rank, FALSE };
  const NunchakuThin right = { s->t, s->down, s->right, s->cols, s->width, s->rank, TRUE };

  return nunchaku_take_columns (&left, error) && nunchaku_take_columns (&right, error)
         && round_factor (s, s->left, s->rows * s->rank, error) && round_factor (s, s->right, s->rank * s->cols, error);
}

/* Returns the approximation of @s->rest. */
static QconvLowRank
low_rank (const Search *s)
{
  return (QconvLowRank) { s->rows, s->cols, (guint) s->width, s->up, s->down, s->scratch };
}

/* One step of subspace iteration for @s->rest. */
static gboolean
step (Search *s, GError **error)
{
  const QconvLowRank l = low_rank (s);

  if (g_cancellable_set_error_if_cancelled (qconv_tile_cancellable (s->t), error)
      || !qconv_low_rank_step (s->t->stream, s->rest, &l, error))
    return FALSE;
  count_parts (s, s->n_blocks);
  return TRUE;
}

/* ---- The codes ---- */

/* Points the views of @w at rows of W and of @s->rest. */
static gboolean
view_weights (const Search *s, Worker *w, gsize first, gsize n, GError **error)
{
  QconvBuffer *floats = s->t->floats;
  gsize item = qconv_buffer_dtype (floats) == QCONV_F32 ? sizeof (float) : sizeof (guint16);

  return view_rows (s, &w->view_floats, floats, s->cols * item, first, n, error)
         && view_rows (s, &w->view_rest, s->rest, s->cols * sizeof (float), first, n, error);
}

/* @left, @right: (nullable): the factors of L; NULL: L is zero; @height: rows of a task */
typedef struct {
  Search *s;
  QconvBuffer *left, *right;
  gsize height;
} Product;

static gboolean
subtract_rows (gpointer data, guint task, guint worker, GError **error)
{
  const Product *p = data;
  Search *s = p->s;
  Worker *w = &s->workers[worker];
  QconvStream *stream = s->t->stream;
  gsize first = (gsize) task * p->height, n = MIN (p->height, s->rows - first);

  return view_weights (s, w, first, n, error) && nunchaku_copy (s->t, w->view_floats, w->view_rest, error)
         && (p->left == NULL
             || (view_rows (s, &w->view_left, p->left, s->rank * sizeof (float), first, n, error)
                 && qconv_stream_run (stream, "add-product", 1,
                                      (QconvArg[]) { QCONV_BUF (w->view_rest), QCONV_BUF (w->view_left),
                                                     QCONV_BUF (p->right), QCONV_I (n), QCONV_I (s->cols),
                                                     QCONV_I (s->rank), QCONV_F (-1.0) },
                                      7, error)))
         && qconv_stream_run (stream, "amax", 1, (QconvArg[]) { QCONV_BUF (w->view_rest), QCONV_BUF (w->top) }, 2,
                              error);
}

/* Sets @s->rest to W - @left * @right, and *top to its largest magnitude. A device has threads of its own, and takes
   all rows at once. */
static gboolean
subtract_product (Search *s, QconvBuffer *left, QconvBuffer *right, float *top, GError **error)
{
  Product p = { s, left, right, qconv_buffer_data (s->rest) != NULL ? PRODUCT_ROWS : s->rows };

  for (guint i = 0; i < s->t->n_threads; i++)
    if (!nunchaku_fill (s->t, s->workers[i].top, 0.0f, error))
      return FALSE;
  if (!qconv_stream_parallel (s->t->stream, (guint) pieces_of (s->rows, p.height), subtract_rows, &p, error))
    return FALSE;
  *top = 0.0f;
  for (guint i = 0; i < s->t->n_threads; i++)
    {
      float found;

      if (!qconv_stream_read (s->t->stream, s->workers[i].top, 0, sizeof found, &found, error))
        return FALSE;
      *top = MAX (*top, found);
    }
  return TRUE;
}

/* Replaces W - L in the view of @s->rest by W - Q. */
static gboolean
subtract_codes (const Search *s, Worker *w, GError **error)
{
  return nunchaku_copy (s->t, w->view_floats, w->view_rest, error)
         && qconv_stream_run (s->t->stream, "add-scaled", 1,
                              (QconvArg[]) { QCONV_BUF (w->view_rest), QCONV_BUF (w->view_decoded), QCONV_F (-1.0) }, 3,
                              error);
}

static gboolean
encode_block (gpointer data, guint task, guint worker, GError **error)
{
  Search *s = data;
  Worker *w = &s->workers[worker];
  gsize first = (gsize) task * s->block, n = MIN (s->block, s->rows - first);

  if (!view_weights (s, w, first, n, error)
      || !view_rows (s, &w->view_decoded, w->decoded, s->cols * sizeof (float), 0, n, error)
      || !view_rows (s, &w->view_sums, s->sums, 2 * sizeof (double), task, 1, error)
      || !nunchaku_codes_encode (&w->codes, w->view_rest, first, n, error)
      || !nunchaku_codes_decode (&w->codes, w->view_decoded, first, n, error)
      || !qconv_stream_run (s->t->stream, "squared-error", 1,
                            (QconvArg[]) { QCONV_BUF (w->view_rest), QCONV_BUF (w->view_decoded),
                                           QCONV_BUF (w->view_sums), QCONV_I (n), QCONV_I (s->cols) },
                            5, error)
      || !subtract_codes (s, w, error))
    return FALSE;
  count_parts (s, 1);
  return TRUE;
}

/* Adds up the squared errors of all blocks, in order. */
static gboolean
add_sums (const Search *s, double *sum, GError **error)
{
  double pairs[256][2];

  *sum = 0.0;
  for (gsize first = 0; first < s->n_blocks; first += G_N_ELEMENTS (pairs))
    {
      gsize n = MIN (G_N_ELEMENTS (pairs), s->n_blocks - first);

      if (!qconv_stream_read (s->t->stream, s->sums, first * sizeof *pairs, n * sizeof *pairs, pairs, error))
        return FALSE;
      for (gsize i = 0; i < n; i++)
        *sum += pairs[i][0];
    }
  return TRUE;
}

/* Encodes W - L for the factors @left and @right of L, and leaves W - Q in @s->rest. Sets @error_sum to the squared
   error. */
static gboolean
encode_rest (Search *s, QconvBuffer *left, QconvBuffer *right, double *error_sum, GError **error)
{
  float top;

  return nunchaku_fill (s->t, s->sums, 0.0f, error) && subtract_product (s, left, right, &top, error)
         && nunchaku_codes_begin (&s->workers[0].codes, top, error)
         && qconv_stream_parallel (s->t->stream, (guint) s->n_blocks, encode_block, s, error)
         && add_sums (s, error_sum, error);
}

/* ---- The rounds ---- */

static gboolean
keep_factors (const Search *s, GError **error)
{
  return nunchaku_copy (s->t, s->left, qconv_tile_component (s->t, "lora_up"), error)
         && nunchaku_copy (s->t, s->right, qconv_tile_component (s->t, "lora_down"), error);
}

/* Encodes W alone: no layer may end worse than without a product. The factors stay zero. */
static gboolean
encode_alone (Search *s, GError **error)
{
  return nunchaku_fill (s->t, s->left, 0.0f, error) && nunchaku_fill (s->t, s->right, 0.0f, error)
         && keep_factors (s, error) && encode_rest (s, NULL, NULL, &s->best, error);
}

/* Starts with the singular vectors of W. The first step gives a basis of zeros its numbers. */
static gboolean
find_first_product (Search *s, GError **error)
{
  float top;

  if (!nunchaku_fill (s->t, s->down, 0.0f, error) || !subtract_product (s, NULL, NULL, &top, error))
    return FALSE;
  for (guint i = 0; i < FIRST_STEPS; i++)
    if (!step (s, error))
      return FALSE;
  return take_factors (s, error);
}

/* Runs the rounds. Sets @last to whether the codes belong to the factors that were kept. */
static gboolean
run_rounds (Search *s, gboolean *last, GError **error)
{
  gint64 rounds = qconv_values_int (s->t->layer->values, NUNCHAKU_ROUNDS);

  *last = FALSE;
  for (gint64 i = 0; i <= rounds; i++)
    {
      double sum, before = s->best;

      if (i > 0)
        qconv_tile_round (s->t, (guint) i, (guint) rounds);
      if ((i > 0 && (!step (s, error) || !take_factors (s, error))) || !encode_rest (s, s->left, s->right, &sum, error))
        return FALSE;
      *last = sum < before;
      if (*last)
        {
          if (!keep_factors (s, error))
            return FALSE;
          s->best = sum;
        }
      if (i > 0 && sum > before * (1.0 - LEAST_GAIN))
        break;
    }
  return TRUE;
}

static gboolean
fill_with_one (const QconvTile *t, const char *name, GError **error)
{
  QconvBuffer *b = qconv_tile_component (t, name);

  return b == NULL || nunchaku_fill (t, b, 1.0f, error);
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  g_autofree Worker *workers = g_new0 (Worker, t->n_threads);
  Search s = {
    .t = t,
    .rows = (gsize) t->layer->rows,
    .cols = (gsize) t->layer->cols,
    .rank = rank_of (t->layer),
    .width = width_of (t->layer),
    .block = block_of (t->layer),
    .n_blocks = pieces_of ((gsize) t->layer->rows, block_of (t->layer)),
    .workers = workers,
  };
  double sum;
  gboolean last;

  if (!fill_with_one (t, "smooth", error) || !fill_with_one (t, "smooth_orig", error) || !take_buffers (&s, error)
      || !encode_alone (&s, error) || !find_first_product (&s, error) || !run_rounds (&s, &last, error))
    return FALSE;
  return (last
          || encode_rest (&s, qconv_tile_component (t, "lora_up"), qconv_tile_component (t, "lora_down"), &sum, error))
         && nunchaku_codes_end (&workers[0].codes, error);
}

const QconvEncoder nunchaku_encoder = {
  .operations = (const QconvOpName[]) { QCONV_LOW_RANK_OPERATIONS,
                                        NUNCHAKU_CODES_OPERATIONS,
                                        { "add-product", 1 },
                                        { "add-scaled", 1 },
                                        { "amax", 1 },
                                        { "squared-error", 1 },
                                        { NULL, 0 } },
  .work = plan_work,
  .encode = encode,
};
