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

/**
 * Work: one step, with the parts of its scratch.
 *
 * @thin: F32 [MAX (rows, cols), width]; results that then replace their source
 * @turn: F32 [width, width]; the right factor of such a product
 * @small: F64 [width, width]
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

static gboolean
find_sizes (Sizes *z, guint64 rows, guint64 cols, guint width)
{
  gsize items, square = (gsize) width * width;

  *z = (Sizes) { 0 };
  return MAX (rows, cols) <= G_MAXSIZE && width <= QCONV_LOW_RANK_MAX_WIDTH
         && g_size_checked_mul (&items, (gsize) MAX (rows, cols), width)
         && add_part (&z->thin, &z->total, items, sizeof (float))
         && add_part (&z->turn, &z->total, square, sizeof (float))
         && add_part (&z->small, &z->total, square, sizeof (double))
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

static gboolean
multiply (const Work *w, const char *op, QconvBuffer *matrix, QconvBuffer *factor, QconvBuffer *product, GError **error)
{
  const QconvArg args[] = { QCONV_BUF (matrix),   QCONV_BUF (factor),   QCONV_BUF (product),
                            QCONV_I (w->l->rows), QCONV_I (w->l->cols), QCONV_I (w->l->width) };

  return qconv_stream_run (w->stream, op, 1, args, G_N_ELEMENTS (args), error);
}

/* Replaces the thin matrix @x by x·turn */
static gboolean
turn_columns (Work *w, QconvBuffer *x, guint64 rows, GError **error)
{
  const guint width = w->l->width;
  const QconvArg args[]
      = { QCONV_BUF (x), QCONV_BUF (&w->turn), QCONV_BUF (&w->thin), QCONV_I (rows), QCONV_I (width), QCONV_I (width) };

  if (!qconv_stream_run (w->stream, "thin-product", 1, args, G_N_ELEMENTS (args), error))
    return FALSE;
  if (rows > 0)
    memcpy (x->data, w->thin.data, rows * width * sizeof (float));
  return TRUE;
}

/* Sets @small to xᵀ·x */
static gboolean
find_gram (Work *w, QconvBuffer *x, guint64 rows, GError **error)
{
  const guint width = w->l->width;
  const double *g = (const double *) (gpointer) w->small.data;
  const QconvArg args[] = { QCONV_BUF (x), QCONV_BUF (&w->small), QCONV_I (rows), QCONV_I (width) };

  if (!qconv_stream_run (w->stream, "gram", 1, args, G_N_ELEMENTS (args), error))
    return FALSE;
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
  return multiply (&w, "thin-product", matrix, l->down, l->up, error) && orthonormalize (&w, error)
         && multiply (&w, "thin-product-transposed", matrix, l->up, l->down, error) && turn_factors (&w, error);
}
