/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Steps of subspace iteration; qconv-lowrank.h declares them. Products with long sums are operations of the stream; the
   small factorizations are in FP64 in small-matrix.c. */
#include "qconv-lowrank.h"

#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "kernels/small-matrix.h"

/* Singular values below this share of the largest one are rounding errors of F32 */
#define LEAST_SHARE 0x1p-20
/* Rows of a thin product in one task: a multiple of what the kernels copy at a time, and enough for several threads */
#define PIECE_ROWS 192
/* A Gram matrix is the sum of at most so many, each of so many rows: the cut must not depend on the threads */
#define MOST_CHUNKS 16
#define CHUNK_ROWS 512

/**
 * Work: one step, with the parts of its scratch.
 *
 * @thin: F32 [MAX (rows, cols), width]; results that then replace their source
 * @turn: F32 [width, width]; the right factor of such a product
 * @small: F64 [MOST_CHUNKS, width, width] or less; the first one counts
 * @values, @more: [width]
 */
typedef struct {
  QconvStream *stream;
  const QconvLowRank *l;
  QconvBuffer thin, turn, small;
  double *values, *more;
} Work;

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

/* Fails unless @b has room for @rows times @width F32 in host memory */
static gboolean
check_floats (QconvBuffer *b, const char *what, guint64 rows, guint64 width, GError **error)
{
  guint64 bytes;

  if (b->data == NULL && b->size > 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "low rank: %s is not in host memory", what);
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

static gboolean
open_work (Work *w, QconvBuffer *matrix, GError **error)
{
  const QconvLowRank *l = w->l;
  guint8 *at = l->scratch->data;
  Sizes z;

  if (!check_width (l, error) || !check_floats (matrix, "the matrix", l->rows, l->cols, error)
      || !check_floats (l->up, "the left factor", l->rows, l->width, error)
      || !check_floats (l->down, "the right factor", l->cols, l->width, error))
    return FALSE;
  if (!find_sizes (&z, l->rows, l->cols, l->width) || z.total > l->scratch->size || at == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "low rank: the scratch has %" G_GSIZE_FORMAT " bytes, too few",
                       l->scratch->size);
  w->thin = QCONV_BUFFER (at, z.thin, QCONV_F32);
  at += (z.thin + 63) / 64 * 64;
  w->turn = QCONV_BUFFER (at, z.turn, QCONV_F32);
  at += (z.turn + 63) / 64 * 64;
  w->small = QCONV_BUFFER (at, z.small, QCONV_F64);
  at += (z.small + 63) / 64 * 64;
  w->values = (double *) (gpointer) at;
  w->more = w->values + l->width;
  return TRUE;
}

/* Returns number @i of the start: SplitMix64 (Steele, Lea, Flood 2014), then an odd multiple of 2^-23 in -1 … 1 */
static float
random_number (guint64 i)
{
  guint64 z = (i + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  z ^= z >> 31;
  return (float) ((gint32) (z >> 41 << 1) + 1 - (1 << 23)) * 0x1p-23f;
}

gboolean
qconv_low_rank_start (const QconvLowRank *l, GError **error)
{
  float *x = (float *) (gpointer) l->down->data;

  if (!check_width (l, error) || !check_floats (l->down, "the right factor", l->cols, l->width, error))
    return FALSE;
  for (guint64 i = 0; i < l->cols * l->width; i++)
    x[i] = random_number (i);
  return TRUE;
}

/* Fills columns of the basis that are zero, so that a matrix that changed can use all of them */
static void
revive_columns (const Work *w)
{
  const QconvLowRank *l = w->l;
  float *x = (float *) (gpointer) l->down->data;

  memset (w->values, 0, l->width * sizeof *w->values);
  for (guint64 i = 0; i < l->cols; i++)
    for (guint j = 0; j < l->width; j++)
      w->values[j] += x[i * l->width + j] != 0;
  for (guint j = 0; j < l->width; j++)
    if (w->values[j] == 0)
      for (guint64 i = 0; i < l->cols; i++)
        x[i * l->width + j] = random_number (i * l->width + j);
}

/**
 * Product: a thin product, whose rows are cut into tasks.
 *
 * @matrix: [rows, cols]
 * @transposed: the transposed matrix is a factor
 * @replaces: the product takes the place of the matrix, whose rows each task alone needs
 */
typedef struct {
  const Work *w;
  QconvBuffer *matrix, *factor, *product;
  guint64 rows, cols;
  gboolean transposed, replaces;
} Product;

/* Returns @n bytes of @b from @first on */
static QconvBuffer
part_of (const QconvBuffer *b, gsize first, gsize n)
{
  return b->data != NULL ? QCONV_BUFFER (b->data + first, n, b->dtype) : *b;
}

/* Makes rows of the product: number @task. Every item is one sum, whatever the cut */
static gboolean
multiply_piece (gpointer data, guint task, guint worker, GError **error)
{
  const Product *p = data;
  const gsize width = p->w->l->width, height = (gsize) (p->transposed ? p->cols : p->rows);
  const gsize first = (gsize) task * PIECE_ROWS, n = MIN (PIECE_ROWS, height - first), cols = (gsize) p->cols;
  const gsize skip = (p->transposed ? first : first * cols) * sizeof (float);
  QconvBuffer matrix = part_of (p->matrix, MIN (skip, p->matrix->size), p->matrix->size - MIN (skip, p->matrix->size));
  QconvBuffer product = part_of (p->product, first * width * sizeof (float), n * width * sizeof (float));
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
  if (p->replaces)
    memcpy (matrix.data, product.data, product.size);
  return TRUE;
}

static gboolean
multiply (Product *p, GError **error)
{
  guint64 height = p->transposed ? p->cols : p->rows, n = (height + PIECE_ROWS - 1) / PIECE_ROWS;

  return qconv_stream_parallel (p->w->stream, (guint) n, multiply_piece, p, error);
}

/* Replaces the thin matrix @x by x·turn */
static gboolean
turn_columns (Work *w, QconvBuffer *x, guint64 rows, GError **error)
{
  return multiply (&(Product) { w, x, &w->turn, &w->thin, rows, w->l->width, .replaces = TRUE }, error);
}

/* Gram: @chunk_rows: rows of one task, of @rows rows of @x */
typedef struct {
  Work *w;
  QconvBuffer *x;
  gsize rows, chunk_rows;
} Gram;

static gboolean
find_gram_chunk (gpointer data, guint task, guint worker, GError **error)
{
  const Gram *g = data;
  const gsize width = g->w->l->width, size = width * width * sizeof (double);
  const gsize first = MIN (task * g->chunk_rows, g->rows), n = MIN (g->chunk_rows, g->rows - first);
  QconvBuffer rows = part_of (g->x, first * width * sizeof (float), n * width * sizeof (float));
  QconvBuffer sums = part_of (&g->w->small, task * size, size);
  const QconvArg args[] = { QCONV_BUF (&rows), QCONV_BUF (&sums), QCONV_I (n), QCONV_I (width) };

  return qconv_stream_run (g->w->stream, "gram", 1, args, G_N_ELEMENTS (args), error);
}

/* Sets @small to xᵀ·x */
static gboolean
find_gram (Work *w, QconvBuffer *x, guint64 rows, GError **error)
{
  const guint width = w->l->width, n = n_chunks (rows, width);
  const gsize square = (gsize) width * width;
  double *g = (double *) (gpointer) w->small.data;
  Gram gram = { w, x, (gsize) rows, (gsize) ((rows + n - 1) / n) };

  if (!qconv_stream_parallel (w->stream, n, find_gram_chunk, &gram, error))
    return FALSE;
  for (guint chunk = 1; chunk < n; chunk++)
    for (gsize i = 0; i < square; i++)
      g[i] += g[chunk * square + i];
  for (guint j = 0; j < width; j++)
    if (!isfinite (g[(gsize) j * (width + 1)]))
      return qconv_fail (error, QCONV_ERROR_NON_FINITE, "low rank: the matrix holds Inf or NaN");
  return TRUE;
}

/* Makes columns of the left factor orthonormal by Cholesky's factor of their Gram matrix. Its error is the square of
   the columns' condition, so it takes two rounds. Columns that depend on earlier ones become 0 */
static gboolean
orthonormalize (Work *w, GError **error)
{
  const guint n = w->l->width;
  double *g = (double *) (gpointer) w->small.data;
  float *x = (float *) (gpointer) w->l->up->data, *turn = (float *) (gpointer) w->turn.data;

  for (guint round = 0; round < 2; round++)
    {
      if (!find_gram (w, w->l->up, w->l->rows, error))
        return FALSE;
      for (guint j = 0; j < n; j++)
        w->values[j] = g[(gsize) j * (n + 1)] > 0 ? 1 / sqrt (g[(gsize) j * (n + 1)]) : 0;
      for (gsize i = 0; i < (gsize) n * n; i++)
        g[i] *= w->values[i / n] * w->values[i % n];
      /* in FP64: the factor of a tiny column is beyond F32 */
      for (guint64 i = 0; i < w->l->rows; i++)
        for (guint j = 0; j < n; j++)
          x[i * n + j] = (float) (x[i * n + j] * w->values[j]);
      qconv_small_invert_cholesky (g, n, w->more);
      for (guint i = 0; i < n; i++)
        for (guint j = 0; j < n; j++)
          turn[(gsize) i * n + j] = (float) g[(gsize) j * n + i];
      if (!turn_columns (w, w->l->up, w->l->rows, error))
        return FALSE;
    }
  return TRUE;
}

/* Scales @n numbers by a power of two so that the largest magnitude is from 0.5 to 1. Returns the inverse of the
   factor */
static double
scale_to_one (float *x, gsize n)
{
  double scale;
  float top = 0;
  int exponent;

  for (gsize i = 0; i < n; i++)
    top = MAX (top, fabsf (x[i]));
  if (top == 0 || !isfinite (top))
    return 1;
  frexp (top, &exponent);
  scale = ldexp (1, -exponent);
  for (gsize i = 0; i < n; i++)
    x[i] = (float) (x[i] * scale);
  return ldexp (1, exponent);
}

/* Turns both factors along the eigenvectors of rightᵀ·right. At first the left factor is orthonormal, and the right
   one is what is left of the matrix in its space: with U·S·Vᵀ for the transposed right factor, the left one becomes
   left·U·S, the right one right·U/S = V */
static gboolean
turn_factors (Work *w, GError **error)
{
  const QconvLowRank *l = w->l;
  const guint n = l->width;
  double *g = (double *) (gpointer) w->small.data, scale, least;
  float *turn = (float *) (gpointer) w->turn.data;

  scale = scale_to_one ((float *) (gpointer) l->down->data, (gsize) (l->cols * n));
  if (!find_gram (w, l->down, l->cols, error))
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
  Work w = { .stream = s, .l = l };

  if (!open_work (&w, matrix, error))
    return FALSE;
  revive_columns (&w);
  return multiply (&(Product) { &w, matrix, l->down, l->up, l->rows, l->cols }, error) && orthonormalize (&w, error)
         && multiply (&(Product) { &w, matrix, l->up, l->down, l->rows, l->cols, .transposed = TRUE }, error)
         && turn_factors (&w, error);
}
