/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Steps of subspace iteration; qconv-lowrank.h declares them. Products with long sums are operations of the stream; the
   small factorizations are in FP64 in small-matrix.c. What lies on a device comes to the host for them: small matrices
   altogether, thin ones piece by piece. */
#include "qconv-lowrank.h"

#include <math.h>
#include <string.h>

#include "kernels/low-rank.h"
#include "kernels/small-matrix.h"

/* Singular values below this share of the largest one are rounding errors of F32 */
#define LEAST_SHARE 0x1p-20
/* Rows of a thin product in one task: a multiple of what the kernels copy at a time, and enough for several threads */
#define PIECE_ROWS 192
/* A Gram matrix is the sum of at most so many, each of so many rows: the cut must not depend on the threads */
#define MOST_CHUNKS 16
#define CHUNK_ROWS 512

/* Bytes of the parts of the scratch, in the order of Work. Every one begins at a multiple of 64 from the start */
typedef struct {
  gsize thin, turn, small, values, total;
} Sizes;

static gboolean
add_part (gsize *part, gsize *total, gsize items, guint bytes)
{
  return g_size_checked_mul (part, items, bytes) && g_size_checked_add (total, *total, *part)
         && g_size_checked_add (total, *total, 63);
}

/* Returns the number of chunks of @rows rows whose Gram matrices are added up. A chunk has at least 2·width rows, so
   that all these matrices together are not larger than the thin matrix */
static guint
n_chunks (guint64 rows, guint width)
{
  return (guint) CLAMP (rows / MAX (CHUNK_ROWS, 2 * width), 1, MOST_CHUNKS);
}

static gboolean
find_sizes (Sizes *z, guint64 rows, guint64 cols, guint width)
{
  gsize items, square = (gsize) width * width;

  *z = (Sizes) { 0 };
  return MAX (rows, cols) <= G_MAXSIZE && width <= QCONV_LOW_RANK_MAX_WIDTH
         && g_size_checked_mul (&items, (gsize) MAX (rows, cols), width)
         && add_part (&z->thin, &z->total, items, sizeof (float))
         && add_part (&z->turn, &z->total, square, sizeof (float))
         && add_part (&z->small, &z->total, n_chunks (MAX (rows, cols), width) * square, sizeof (double))
         && add_part (&z->values, &z->total, 2 * (gsize) width, sizeof (double));
}

guint64
qconv_low_rank_scratch (guint64 rows, guint64 cols, guint width)
{
  Sizes z;

  return find_sizes (&z, rows, cols, width) ? z.total : G_MAXUINT64;
}

/* Fails unless @b lies where @s works. @s: (nullable): NULL: in host memory */
static gboolean
check_place (const QconvStream *s, const QconvBuffer *b, const char *what, GError **error)
{
  return b->size == 0 || (b->data == NULL) == (s != NULL && s->device != NULL)
         || qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "low rank: %s is not where the stream works", what);
}

/* Fails unless @b has room for @rows times @width F32 there */
static gboolean
check_floats (const QconvStream *s, const QconvBuffer *b, const char *what, guint64 rows, guint64 width, GError **error)
{
  guint64 bytes;

  if (!check_place (s, b, what, error))
    return FALSE;
  if (b->dtype != QCONV_F32)
    return qconv_fail (error, QCONV_ERROR_BUG, "low rank: %s has type %s, not F32", what, qconv_dtype_name (b->dtype));
  if (!g_uint64_checked_mul (&bytes, rows, width) || !g_uint64_checked_mul (&bytes, bytes, sizeof (float))
      || bytes > b->size)
    return qconv_fail (error, QCONV_ERROR_BUG, "low rank: %s has %" G_GSIZE_FORMAT " bytes, too few", what, b->size);
  return TRUE;
}

static gboolean
check_width (const QconvLowRank *l, GError **error)
{
  return (l->width > 0 && l->width <= QCONV_LOW_RANK_MAX_WIDTH)
         || qconv_fail (error, QCONV_ERROR_BUG, "low rank: the width is %u", l->width);
}

/* Returns part of @b */
static QconvBuffer
part_of (const QconvBuffer *b, gsize first, gsize n, QconvDType dtype)
{
  if (b->data == NULL)
    return QCONV_DEVICE_BUFFER (b->address + first, n, dtype);
  return QCONV_BUFFER (b->data + first, n, dtype);
}

/* Takes the next part of the scratch */
static QconvBuffer
take_part (const QconvBuffer *scratch, gsize *at, gsize n, QconvDType dtype)
{
  gsize first = *at;

  *at += (n + 63) / 64 * 64;
  return part_of (scratch, first, n, dtype);
}

/* Takes host memory for the parts of the scratch that the host sees */
static void
take_copies (LowRankWork *w)
{
  const gsize square = (gsize) w->l->width * w->l->width, doubles = square + 2 * (gsize) w->l->width;

  w->copies = g_malloc (doubles * sizeof (double) + square * sizeof (float) + LOW_RANK_PIECE);
  w->host_small = (double *) (gpointer) w->copies;
  w->values = w->host_small + square;
  w->piece = (float *) (gpointer) (w->host_small + doubles);
  w->host_turn = w->piece + LOW_RANK_PIECE / sizeof (float);
}

static gboolean
open_work (LowRankWork *w, const QconvBuffer *matrix, GError **error)
{
  const QconvLowRank *l = w->l;
  QconvBuffer values;
  gsize at = 0;
  Sizes z;

  if (!check_width (l, error) || !check_floats (w->stream, matrix, "the matrix", l->rows, l->cols, error)
      || !check_floats (w->stream, l->up, "the left factor", l->rows, l->width, error)
      || !check_floats (w->stream, l->down, "the right factor", l->cols, l->width, error)
      || !check_place (w->stream, l->scratch, "the scratch", error))
    return FALSE;
  if (!find_sizes (&z, l->rows, l->cols, l->width) || z.total > l->scratch->size)
    return qconv_fail (error, QCONV_ERROR_BUG, "low rank: the scratch has %" G_GSIZE_FORMAT " bytes, too few",
                       l->scratch->size);
  w->thin = take_part (l->scratch, &at, z.thin, QCONV_F32);
  w->turn = take_part (l->scratch, &at, z.turn, QCONV_F32);
  w->small = take_part (l->scratch, &at, z.small, QCONV_F64);
  values = take_part (l->scratch, &at, z.values, QCONV_F64);
  w->host_turn = (float *) (gpointer) w->turn.data;
  w->host_small = (double *) (gpointer) w->small.data;
  w->values = (double *) (gpointer) values.data;
  if (l->scratch->data == NULL)
    take_copies (w);
  w->more = w->values + l->width;
  return TRUE;
}

gboolean
qconv_low_rank_start (const QconvLowRank *l, GError **error)
{
  float *x = (float *) (gpointer) l->down->data;

  if (!check_width (l, error) || !check_floats (NULL, l->down, "the right factor", l->cols, l->width, error))
    return FALSE;
  for (guint64 i = 0; i < l->cols * l->width; i++)
    x[i] = qconv_low_rank_number (i);
  return TRUE;
}

/* ---- Products ---- */

/**
 * Product: a thin product, whose rows are cut into tasks.
 *
 * @matrix: [rows, cols]
 * @transposed: the transposed matrix is a factor
 * @replaces: the product takes the place of the matrix, whose rows each task alone needs
 * @piece: rows of the product that a task makes
 */
typedef struct {
  const LowRankWork *w;
  QconvBuffer *matrix, *factor, *product;
  guint64 rows, cols;
  gboolean transposed, replaces;
  gsize piece;
} Product;

/* Makes rows of the product: number @task. Every item is one sum, whatever the cut */
static gboolean
multiply_piece (gpointer data, guint task, guint worker, GError **error)
{
  const Product *p = data;
  const gsize width = p->w->l->width, height = (gsize) (p->transposed ? p->cols : p->rows);
  const gsize first = (gsize) task * p->piece, n = MIN (p->piece, height - first), cols = (gsize) p->cols;
  const gsize skip = MIN ((p->transposed ? first : first * cols) * sizeof (float), p->matrix->size);
  QconvBuffer matrix = part_of (p->matrix, skip, p->matrix->size - skip, QCONV_F32);
  QconvBuffer product = part_of (p->product, first * width * sizeof (float), n * width * sizeof (float), QCONV_F32);
  const QconvArg args[] = { QCONV_BUF (&matrix),
                            QCONV_BUF (p->factor),
                            QCONV_BUF (&product),
                            QCONV_I (p->transposed ? p->rows : n),
                            QCONV_I (p->transposed ? n : cols),
                            QCONV_I (width),
                            QCONV_I (cols) };

  if (!qconv_stream_run (p->w->stream, p->transposed ? "thin-product-transposed" : "thin-product", 1, args,
                         p->transposed ? 7 : 6, error))
    return FALSE;
  matrix.size = MIN (matrix.size, product.size);
  return !p->replaces
         || qconv_stream_run (p->w->stream, "convert", 1, (QconvArg[]) { QCONV_BUF (&product), QCONV_BUF (&matrix) }, 2,
                              error);
}

/* A device does all rows at once: it has threads of its own */
static gboolean
multiply (Product *p, GError **error)
{
  gsize height = (gsize) (p->transposed ? p->cols : p->rows);

  p->piece = p->w->stream->device != NULL ? height : PIECE_ROWS;
  return height == 0
         || qconv_stream_parallel (p->w->stream, (guint) ((height + p->piece - 1) / p->piece), multiply_piece, p,
                                   error);
}

/* Replaces the thin matrix @x by x·turn, of which the host has the numbers */
static gboolean
turn_columns (LowRankWork *w, QconvBuffer *x, guint64 rows, GError **error)
{
  if (w->turn.data == NULL && !qconv_stream_write (w->stream, &w->turn, 0, w->turn.size, w->host_turn, error))
    return FALSE;
  return multiply (&(Product) { w, x, &w->turn, &w->thin, rows, w->l->width, .replaces = TRUE }, error);
}

/* Gram: @chunk_rows: rows of one task, of @rows rows of @x */
typedef struct {
  LowRankWork *w;
  QconvBuffer *x;
  gsize rows, chunk_rows;
} Gram;

static gboolean
find_gram_chunk (gpointer data, guint task, guint worker, GError **error)
{
  const Gram *g = data;
  const gsize width = g->w->l->width, size = width * width * sizeof (double);
  const gsize first = MIN (task * g->chunk_rows, g->rows), n = MIN (g->chunk_rows, g->rows - first);
  QconvBuffer rows = part_of (g->x, first * width * sizeof (float), n * width * sizeof (float), QCONV_F32);
  QconvBuffer sums = part_of (&g->w->small, task * size, size, QCONV_F64);
  const QconvArg args[] = { QCONV_BUF (&rows), QCONV_BUF (&sums), QCONV_I (n), QCONV_I (width) };

  return qconv_stream_run (g->w->stream, "gram", 1, args, G_N_ELEMENTS (args), error);
}

/* Adds matrix @chunk of @w->small to the first one in host memory */
static gboolean
add_gram (LowRankWork *w, guint chunk, GError **error)
{
  const gsize square = (gsize) w->l->width * w->l->width;
  const gboolean on_host = w->small.data != NULL;
  const gsize most = on_host ? square : LOW_RANK_PIECE / sizeof (double);
  const double *more = on_host ? w->host_small + chunk * square : (const double *) (gpointer) w->piece;

  for (gsize at = 0; at < square; at += most)
    {
      gsize n = MIN (most, square - at);

      if (!on_host
          && !qconv_stream_read (w->stream, &w->small, (chunk * square + at) * sizeof (double), n * sizeof (double),
                                 w->piece, error))
        return FALSE;
      for (gsize i = 0; i < n; i++)
        w->host_small[at + i] += more[i];
    }
  return TRUE;
}

/* Sets @host_small to xᵀ·x */
static gboolean
find_gram (LowRankWork *w, QconvBuffer *x, guint64 rows, GError **error)
{
  const guint width = w->l->width, n = n_chunks (rows, width);
  const gsize square = (gsize) width * width;
  const double *g = w->host_small;
  Gram gram = { w, x, (gsize) rows, (gsize) ((rows + n - 1) / n) };

  if (!qconv_stream_parallel (w->stream, n, find_gram_chunk, &gram, error)
      || (w->small.data == NULL
          && !qconv_stream_read (w->stream, &w->small, 0, square * sizeof (double), w->host_small, error)))
    return FALSE;
  for (guint chunk = 1; chunk < n; chunk++)
    if (!add_gram (w, chunk, error))
      return FALSE;
  for (guint j = 0; j < width; j++)
    if (!isfinite (g[(gsize) j * (width + 1)]))
      return qconv_fail (error, QCONV_ERROR_NON_FINITE, "low rank: the matrix holds Inf or NaN");
  return TRUE;
}

/* Makes columns of the left factor orthonormal by Cholesky's factor of their Gram matrix. Its error is the square of
   the columns' condition, so it takes two rounds. Columns that depend on earlier ones become 0 */
static gboolean
orthonormalize (LowRankWork *w, GError **error)
{
  const guint n = w->l->width;
  double *g = w->host_small;
  float *turn = w->host_turn;

  for (guint round = 0; round < 2; round++)
    {
      if (!find_gram (w, w->l->up, w->l->rows, error))
        return FALSE;
      for (guint j = 0; j < n; j++)
        w->values[j] = g[(gsize) j * (n + 1)] > 0 ? 1 / sqrt (g[(gsize) j * (n + 1)]) : 0;
      for (gsize i = 0; i < (gsize) n * n; i++)
        g[i] *= w->values[i / n] * w->values[i % n];
      if (!qconv_low_rank_scale_columns (w, w->l->up, w->l->rows, error))
        return FALSE;
      qconv_small_invert_cholesky (g, n, w->more);
      for (guint i = 0; i < n; i++)
        for (guint j = 0; j < n; j++)
          turn[(gsize) i * n + j] = (float) g[(gsize) j * n + i];
      if (!turn_columns (w, w->l->up, w->l->rows, error))
        return FALSE;
    }
  return TRUE;
}

/* Turns both factors along the eigenvectors of rightᵀ·right. At first the left factor is orthonormal, and the right
   one is what is left of the matrix in its space: with U·S·Vᵀ for the transposed right factor, the left one becomes
   left·U·S, the right one right·U/S = V */
static gboolean
turn_factors (LowRankWork *w, GError **error)
{
  const QconvLowRank *l = w->l;
  const guint n = l->width;
  double *g = w->host_small, scale, least;
  float *turn = w->host_turn;

  if (!qconv_low_rank_scale (w, &scale, error) || !find_gram (w, l->down, l->cols, error))
    return FALSE;
  qconv_small_eigen (g, n, w->values, w->more);
  least = w->values[0] * (LEAST_SHARE * LEAST_SHARE);
  for (guint j = 0; j < n; j++)
    w->values[j] = w->values[j] > least ? sqrt (w->values[j]) : 0;
  for (guint i = 0; i < n; i++)
    for (guint j = 0; j < n; j++)
      turn[(gsize) i * n + j] = (float) (g[(gsize) j * n + i] * w->values[j] * scale);
  if (!turn_columns (w, l->up, l->rows, error))
    return FALSE;
  for (guint i = 0; i < n; i++)
    for (guint j = 0; j < n; j++)
      turn[(gsize) i * n + j] = w->values[j] > 0 ? (float) (g[(gsize) j * n + i] / w->values[j]) : 0;
  return turn_columns (w, l->down, l->cols, error);
}

gboolean
qconv_low_rank_step (QconvStream *s, QconvBuffer *matrix, const QconvLowRank *l, GError **error)
{
  LowRankWork w = { .stream = s, .l = l };
  gboolean ok = open_work (&w, matrix, error) && qconv_low_rank_revive (&w, error)
                && multiply (&(Product) { &w, matrix, l->down, l->up, l->rows, l->cols }, error)
                && orthonormalize (&w, error)
                && multiply (&(Product) { &w, matrix, l->up, l->down, l->rows, l->cols, .transposed = TRUE }, error)
                && turn_factors (&w, error);

  g_free (w.copies);
  return ok;
}
