/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Works on the rows of thin matrices in host memory. Those that lie on a device come piece by piece. low-rank.c calls
   it. */
#include <math.h>
#include <string.h>

#include "kernels/low-rank.h"

/* SplitMix64 (Steele, Lea, Flood 2014), then an odd multiple of 2^-23 in -1 … 1 */
float
qconv_low_rank_number (guint64 i)
{
  guint64 z = (i + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  z ^= z >> 31;
  return (float) ((gint32) (z >> 41 << 1) + 1 - (1 << 23)) * 0x1p-23f;
}

/* Works on rows [first, first + n) of a thin matrix, which begin at @x */
typedef void (*RowsFunc) (LowRankWork *w, float *x, guint64 first, guint64 n);

/* Calls @f for all rows of the thin matrix @x, in order: at once in host memory, else piece by piece. @writes: @f
   changes them */
static gboolean
each_rows (LowRankWork *w, QconvBuffer *x, guint64 rows, RowsFunc f, gboolean writes, GError **error)
{
  const gsize row_bytes = w->l->width * sizeof (float);

  if (x->data != NULL)
    {
      f (w, (float *) (gpointer) x->data, 0, rows);
      return TRUE;
    }
  for (guint64 first = 0; first < rows; first += LOW_RANK_PIECE / row_bytes)
    {
      guint64 n = MIN (LOW_RANK_PIECE / row_bytes, rows - first);

      if (!qconv_stream_read (w->stream, x, first * row_bytes, n * row_bytes, w->piece, error))
        return FALSE;
      f (w, w->piece, first, n);
      if (writes && !qconv_stream_write (w->stream, x, first * row_bytes, n * row_bytes, w->piece, error))
        return FALSE;
    }
  return TRUE;
}

static void
count_numbers (LowRankWork *w, float *x, guint64 first, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    for (guint j = 0; j < w->l->width; j++)
      w->values[j] += x[i * w->l->width + j] != 0;
}

/* Fills the columns without numbers */
static void
fill_columns (LowRankWork *w, float *x, guint64 first, guint64 n)
{
  for (guint j = 0; j < w->l->width; j++)
    if (w->values[j] == 0)
      for (guint64 i = 0; i < n; i++)
        x[i * w->l->width + j] = qconv_low_rank_number ((first + i) * w->l->width + j);
}

gboolean
qconv_low_rank_revive (LowRankWork *w, GError **error)
{
  const QconvLowRank *l = w->l;
  gboolean any = FALSE;

  memset (w->values, 0, l->width * sizeof *w->values);
  if (!each_rows (w, l->down, l->cols, count_numbers, FALSE, error))
    return FALSE;
  for (guint j = 0; j < l->width; j++)
    any |= w->values[j] == 0;
  return !any || each_rows (w, l->down, l->cols, fill_columns, TRUE, error);
}

static void
scale_by_values (LowRankWork *w, float *x, guint64 first, guint64 n)
{
  for (guint64 i = 0; i < n; i++)
    for (guint j = 0; j < w->l->width; j++)
      x[i * w->l->width + j] = (float) (x[i * w->l->width + j] * w->values[j]);
}

gboolean
qconv_low_rank_scale_columns (LowRankWork *w, QconvBuffer *x, guint64 rows, GError **error)
{
  return each_rows (w, x, rows, scale_by_values, TRUE, error);
}

static void
find_top (LowRankWork *w, float *x, guint64 first, guint64 n)
{
  for (gsize i = 0; i < n * w->l->width; i++)
    w->top = MAX (w->top, fabsf (x[i]));
}

static void
scale_items (LowRankWork *w, float *x, guint64 first, guint64 n)
{
  for (gsize i = 0; i < n * w->l->width; i++)
    x[i] = (float) (x[i] * w->scale);
}

gboolean
qconv_low_rank_scale (LowRankWork *w, double *inverse, GError **error)
{
  int exponent;

  w->top = 0;
  *inverse = 1;
  if (!each_rows (w, w->l->down, w->l->cols, find_top, FALSE, error))
    return FALSE;
  if (w->top == 0 || !isfinite (w->top))
    return TRUE;
  frexp (w->top, &exponent);
  w->scale = ldexp (1, -exponent);
  *inverse = ldexp (1, exponent);
  return each_rows (w, w->l->down, w->l->cols, scale_items, TRUE, error);
}
