/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes a weight as W = L + R: L is the product of two thin matrices, R becomes 4-bit codes. svdq.c names the encoder
   in its tables.

   Each round takes the best L for what the codes of the round before miss, W - Q, and then codes for W - L. The method
   is SVDQuant's (deepcompressor: deepcompressor/calib/lowrank.py) with the error of the weights in place of that of
   outputs, and with one step of subspace iteration for each round in place of a whole factorization. */
#include "encode.h"

#include <string.h>

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

/**
 * Search: the state of one layer while rounds go on.
 *
 * @rows, @cols, @rank: of the layer
 * @width: columns of the basis
 * @block: rows that are encoded at once
 * @rest: F32 [rows, cols]: W - L while codes are sought, then W - Q
 * @up, @down: F32 [rows, width] and [cols, width]: the singular vectors of @rest
 * @left, @right: F32 [rows, rank] and [rank, cols]: the factors of this round, in the numbers that a file holds
 * @decoded: F32, a block of Q
 * @halves: the factors while they are rounded
 * @error: F64[2]: the squared error of this round, and a sum that is not used
 * @top: F32[1]: the largest magnitude of W - L
 * @codes: of the layer
 * @best: the least squared error so far
 */
typedef struct {
  const QconvTile *t;
  gsize rows, cols, rank, width, block;
  QconvBuffer *rest, *up, *down, *scratch, *left, *right, *decoded, *halves, *error, *top;
  QconvBuffer *view_floats, *view_rest, *view_decoded, *view_half;
  NunchakuCodes codes;
  double best;
} Search;

static gsize
rank_of (const QconvLayer *layer)
{
  return (gsize) qconv_values_int (layer->values, "rank");
}

static gsize
width_of (const QconvLayer *layer)
{
  return MIN (rank_of (layer) + OVERSAMPLING, (gsize) MIN (layer->rows, layer->cols));
}

static gsize
block_of (const QconvLayer *layer)
{
  return CLAMP (BLOCK_ITEMS / (gsize) layer->cols, 1, (gsize) layer->rows);
}

static void
plan_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  gsize rows = (gsize) layer->rows, cols = (gsize) layer->cols, rank = rank_of (layer), width = width_of (layer);
  gsize factors = (rows + cols) * (width + rank), half = MAX (rows, cols) * rank;

  work->whole = TRUE;
  work->scratch = (rows * cols + factors + half + block_of (layer) * cols) * sizeof (float)
                  + (gsize) qconv_low_rank_scratch (rows, cols, (guint) width) + 4096;
}

/* ---- Memory ---- */

static QconvBuffer *
take (const QconvTile *t, gsize items, GError **error)
{
  return qconv_tile_scratch (t, items * sizeof (float), error);
}

static gboolean
take_buffers (Search *s, GError **error)
{
  const QconvTile *t = s->t;
  struct {
    QconvBuffer **buffer;
    gsize items;
  } all[] = {
    { &s->rest, s->rows * s->cols },
    { &s->up, s->rows * s->width },
    { &s->down, s->cols * s->width },
    { &s->left, s->rows * s->rank },
    { &s->right, s->rank * s->cols },
    { &s->decoded, s->block * s->cols },
    { &s->halves, MAX (s->rows, s->cols) * s->rank },
    { &s->error, 4 },
    { &s->top, 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    if ((*all[i].buffer = take (t, all[i].items, error)) == NULL)
      return FALSE;
  s->scratch = qconv_tile_scratch (t, (gsize) qconv_low_rank_scratch (s->rows, s->cols, (guint) s->width), error);
  s->error = s->scratch != NULL ? qconv_tile_view (t, NULL, s->error, QCONV_F64, 0, 2 * sizeof (double), error) : NULL;
  return s->error != NULL;
}

/* Points @view at rows [first, first + n) of @of, whose rows are @row_bytes long. */
static gboolean
view_rows (const Search *s, QconvBuffer **view, QconvBuffer *of, gsize row_bytes, gsize first, gsize n, GError **error)
{
  *view = qconv_tile_view (s->t, *view, of, qconv_buffer_dtype (of), first * row_bytes, n * row_bytes, error);
  return *view != NULL;
}

/* ---- The product ---- */

/* Rounds the @n floats of @floats to the type in which the file stores factors. */
static gboolean
round_factor (Search *s, QconvBuffer *floats, gsize n, GError **error)
{
  QconvStream *stream = s->t->stream;

  s->view_half = qconv_tile_view (s->t, s->view_half, s->halves, nunchaku_scale_dtype (s->t->layer), 0,
                                  n * sizeof (guint16), error);
  return s->view_half != NULL
         && qconv_stream_run (stream, "convert", 1, (QconvArg[]) { QCONV_BUF (floats), QCONV_BUF (s->view_half) }, 2,
                              error)
         && qconv_stream_run (stream, "convert", 1, (QconvArg[]) { QCONV_BUF (s->view_half), QCONV_BUF (floats) }, 2,
                              error);
}

/* Takes the largest singular vectors as the factors of this round. The singular values go into the left one. */
static gboolean
take_factors (Search *s, GError **error)
{
  const float *up = qconv_buffer_data (s->up), *down = qconv_buffer_data (s->down);
  float *left = qconv_buffer_data (s->left), *right = qconv_buffer_data (s->right);
  gsize kept = MIN (s->rank, s->width);

  memset (left, 0, qconv_buffer_size (s->left));
  memset (right, 0, qconv_buffer_size (s->right));
  for (gsize row = 0; row < s->rows; row++)
    memcpy (left + row * s->rank, up + row * s->width, kept * sizeof *left);
  for (gsize col = 0; col < s->cols; col++)
    for (gsize k = 0; k < kept; k++)
      right[k * s->cols + col] = down[col * s->width + k];
  return round_factor (s, s->left, s->rows * s->rank, error) && round_factor (s, s->right, s->rank * s->cols, error);
}

/* Returns the approximation of @s->rest. */
static QconvLowRank
low_rank (const Search *s)
{
  return (QconvLowRank) { s->rows, s->cols, (guint) s->width, s->up, s->down, s->scratch };
}

/* One step of subspace iteration for @s->rest. */
static gboolean
step (const Search *s, GError **error)
{
  const QconvLowRank l = low_rank (s);

  return !g_cancellable_set_error_if_cancelled (qconv_tile_cancellable (s->t), error)
         && qconv_low_rank_step (s->t->stream, s->rest, &l, error);
}

/* ---- The codes ---- */

/* Sets @s->rest to W. */
static gboolean
copy_weight (const Search *s, GError **error)
{
  return !g_cancellable_set_error_if_cancelled (qconv_tile_cancellable (s->t), error)
         && qconv_stream_run (s->t->stream, "convert", 1,
                              (QconvArg[]) { QCONV_BUF (s->t->floats), QCONV_BUF (s->rest) }, 2, error);
}

/* Sets @s->rest to W - @left * @right and @s->top to its largest magnitude. */
static gboolean
subtract_product (Search *s, QconvBuffer *left, QconvBuffer *right, GError **error)
{
  QconvStream *stream = s->t->stream;

  *(float *) qconv_buffer_data (s->top) = 0.0f;
  return copy_weight (s, error)
         && qconv_stream_run (stream, "add-product", 1,
                              (QconvArg[]) { QCONV_BUF (s->rest), QCONV_BUF (left), QCONV_BUF (right),
                                             QCONV_I (s->rows), QCONV_I (s->cols), QCONV_I (s->rank), QCONV_F (-1.0) },
                              7, error)
         && qconv_stream_run (stream, "amax", 1, (QconvArg[]) { QCONV_BUF (s->rest), QCONV_BUF (s->top) }, 2, error);
}

/* Replaces W - L in the view of @s->rest by W - Q. */
static gboolean
subtract_codes (Search *s, gsize first, gsize n, GError **error)
{
  QconvBuffer *w = s->t->floats;
  gboolean wide = qconv_buffer_dtype (w) == QCONV_F32;
  gsize row_bytes = s->cols * (wide ? sizeof (float) : sizeof (guint16));
  const float *from, *decoded = qconv_buffer_data (s->view_decoded);
  float *rest = qconv_buffer_data (s->view_rest);

  if (!view_rows (s, &s->view_floats, w, row_bytes, first, n, error)
      || (!wide
          && !qconv_stream_run (s->t->stream, "convert", 1,
                                (QconvArg[]) { QCONV_BUF (s->view_floats), QCONV_BUF (s->view_rest) }, 2, error)))
    return FALSE;
  from = wide ? qconv_buffer_data (s->view_floats) : rest;
  for (gsize i = 0; i < n * s->cols; i++)
    rest[i] = from[i] - decoded[i];
  return TRUE;
}

/* Encodes W - L, which is in @s->rest, and leaves W - Q there. Sets @error_sum to the squared error. */
static gboolean
encode_rest (Search *s, double *error_sum, GError **error)
{
  double *sums = qconv_buffer_data (s->error);

  sums[0] = sums[1] = 0.0;
  if (!nunchaku_codes_begin (&s->codes, *(const float *) qconv_buffer_data (s->top), error))
    return FALSE;
  for (gsize first = 0, n; first < s->rows; first += n)
    {
      n = MIN (s->block, s->rows - first);
      if (g_cancellable_set_error_if_cancelled (qconv_tile_cancellable (s->t), error))
        return FALSE;
      if (!view_rows (s, &s->view_rest, s->rest, s->cols * sizeof (float), first, n, error)
          || !view_rows (s, &s->view_decoded, s->decoded, s->cols * sizeof (float), 0, n, error)
          || !nunchaku_codes_encode (&s->codes, s->view_rest, first, n, error)
          || !nunchaku_codes_decode (&s->codes, s->view_decoded, first, n, error)
          || !qconv_stream_run (s->t->stream, "squared-error", 1,
                                (QconvArg[]) { QCONV_BUF (s->view_rest), QCONV_BUF (s->view_decoded),
                                               QCONV_BUF (s->error), QCONV_I (n), QCONV_I (s->cols) },
                                5, error)
          || !subtract_codes (s, first, n, error))
        return FALSE;
    }
  *error_sum = sums[0];
  return TRUE;
}

/* ---- The rounds ---- */

static void
keep_factors (const Search *s)
{
  QconvBuffer *up = qconv_tile_component (s->t, "lora_up"), *down = qconv_tile_component (s->t, "lora_down");

  memcpy (qconv_buffer_data (up), qconv_buffer_data (s->left), qconv_buffer_size (up));
  memcpy (qconv_buffer_data (down), qconv_buffer_data (s->right), qconv_buffer_size (down));
}

/* Encodes W alone: no layer may end worse than without a product. The factors stay zero. */
static gboolean
encode_alone (Search *s, GError **error)
{
  memset (qconv_buffer_data (s->left), 0, qconv_buffer_size (s->left));
  memset (qconv_buffer_data (s->right), 0, qconv_buffer_size (s->right));
  keep_factors (s);
  return subtract_product (s, s->left, s->right, error) && encode_rest (s, &s->best, error);
}

/* Starts with the singular vectors of W. */
static gboolean
find_first_product (Search *s, GError **error)
{
  const QconvLowRank l = low_rank (s);

  if (!qconv_low_rank_start (&l, error) || !copy_weight (s, error))
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

      if ((i > 0 && (!step (s, error) || !take_factors (s, error))) || !subtract_product (s, s->left, s->right, error)
          || !encode_rest (s, &sum, error))
        return FALSE;
      *last = sum < before;
      if (*last)
        {
          keep_factors (s);
          s->best = sum;
        }
      if (i > 0 && sum > before * (1.0 - LEAST_GAIN))
        break;
    }
  return TRUE;
}

static void
fill_with_one (const QconvTile *t, const char *name)
{
  QconvBuffer *b = qconv_tile_component (t, name);
  float *floats = b != NULL ? qconv_buffer_data (b) : NULL;

  for (gsize i = 0; floats != NULL && i < qconv_buffer_size (b) / sizeof *floats; i++)
    floats[i] = 1.0f;
}

static gboolean
encode (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  Search s = {
    .t = t,
    .rows = (gsize) t->layer->rows,
    .cols = (gsize) t->layer->cols,
    .rank = rank_of (t->layer),
    .width = width_of (t->layer),
    .block = block_of (t->layer),
    .codes = { .t = t },
  };
  double sum;
  gboolean last;

  fill_with_one (t, "smooth");
  fill_with_one (t, "smooth_orig");
  if (!take_buffers (&s, error) || !encode_alone (&s, error) || !find_first_product (&s, error)
      || !run_rounds (&s, &last, error))
    return FALSE;
  return last
         || (subtract_product (&s, qconv_tile_component (t, "lora_up"), qconv_tile_component (t, "lora_down"), error)
             && encode_rest (&s, &sum, error));
}

const QconvEncoder nunchaku_encoder = {
  .work = plan_work,
  .encode = encode,
};
