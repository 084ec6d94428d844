/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation "add-product": adds the product of two thin matrices to a large one. Every item is summed in the
   order of the rank. "add-scaled" adds a matrix of the same size. */
#include "kernels/ops.h"

#if QCONV_VECTOR == 0
#define WIDTH 4
#else
#define WIDTH (QCONV_VECTOR / 32)
#endif
#if QCONV_VECTOR == 512
#define VECTORS 4 /* a block of sums fills half of the registers */
#else
#define VECTORS 2
#endif
#define BLOCK_ROWS 4
#define BLOCK (WIDTH * VECTORS)
#define COLS 128 /* columns, and */
#define DEPTH 64 /* steps of the rank, of the right matrix that stay in the nearest caches */

typedef float Vec __attribute__ ((vector_size (WIDTH * sizeof (float))));

/* A part of the right matrix without gaps */
typedef struct {
  Vec items[DEPTH][COLS / WIDTH];
} Panel;

static inline Vec
load (const float *x)
{
  Vec v;

  memcpy (&v, x, sizeof v);
  return v;
}

/**
 * Factors: a few rows of the left matrix and a panel of the right one.
 *
 * @left: up to BLOCK_ROWS rows, each with @depth numbers that are scaled already
 * @right: @depth rows
 */
typedef struct {
  const float (*left)[DEPTH];
  const Panel *right;
  gsize depth;
} Factors;

/* Adds the product of rows @first to @first + @n - 1 and the vectors of the panel from @at on. @n: a constant */
static inline __attribute__ ((always_inline)) void
add_block (float *w, gsize stride, const Factors *f, gsize at, guint first, guint n)
{
  const float (*left)[DEPTH] = f->left + first;
  const Panel *p = f->right;
  gsize depth = f->depth;
  Vec sums[BLOCK_ROWS][VECTORS];

  for (guint r = 0; r < n; r++)
    for (guint v = 0; v < VECTORS; v++)
      sums[r][v] = load (w + r * stride + v * WIDTH);
  for (gsize k = 0; k < depth; k++)
    for (guint r = 0; r < n; r++)
      for (guint v = 0; v < VECTORS; v++)
        sums[r][v] += left[r][k] * p->items[k][at + v];
  for (guint r = 0; r < n; r++)
    for (guint v = 0; v < VECTORS; v++)
      memcpy (w + r * stride + v * WIDTH, &sums[r][v], sizeof sums[r][v]);
}

/* Adds the product of @n rows, up to BLOCK_ROWS, and the whole panel */
static void
add_rows (float *w, gsize stride, const Factors *f, guint n)
{
  for (gsize c = 0; c < COLS; c += BLOCK)
    if (n == BLOCK_ROWS)
      add_block (w + c, stride, f, c / WIDTH, 0, BLOCK_ROWS);
    else
      for (guint r = 0; r < n; r++)
        add_block (w + r * stride + c, stride, f, c / WIDTH, r, 1);
}

/* Adds the product to @cols columns of @n rows. The right edge has fewer than COLS columns and is added in a copy */
static void
add_panel (float *w, gsize stride, gsize cols, const Factors *f, guint n)
{
  float edge[BLOCK_ROWS * COLS] = { 0 };

  if (cols >= COLS)
    {
      add_rows (w, stride, f, n);
      return;
    }
  for (guint r = 0; r < n; r++)
    memcpy (edge + r * COLS, w + r * stride, cols * sizeof *w);
  add_rows (edge, COLS, f, n);
  for (guint r = 0; r < n; r++)
    memcpy (w + r * stride, edge + r * COLS, cols * sizeof *w);
}

static void
add_stretch (const QconvProductJob *x, gsize col, gsize first)
{
  gsize depth = MIN (x->rank - first, DEPTH), cols = MIN (x->cols - col, COLS);
  Panel p;

  for (gsize k = 0; k < depth; k++)
    {
      guint8 *to = (guint8 *) p.items[k];

      memcpy (to, x->right + (first + k) * x->cols + col, cols * sizeof *x->right);
      memset (to + cols * sizeof *x->right, 0, (COLS - cols) * sizeof *x->right);
    }
  for (gsize row = 0; row < x->rows; row += BLOCK_ROWS)
    {
      guint n = (guint) MIN (x->rows - row, BLOCK_ROWS);
      float left[BLOCK_ROWS][DEPTH];
      const Factors f = { left, &p, depth };

      for (guint r = 0; r < n; r++)
        for (gsize k = 0; k < depth; k++)
          left[r][k] = x->scale * x->left[(row + r) * x->rank + first + k];
      add_panel (x->w + row * x->cols + col, x->cols, cols, &f, n);
    }
}

gboolean
QCONV_LEVEL_NAME (qconv_op_add_product) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvProductJob x;

  if (!qconv_job_product (&x, args, error))
    return FALSE;
  for (gsize col = 0; col < x.cols; col += COLS)
    for (gsize first = 0; first < x.rank; first += DEPTH)
      add_stretch (&x, col, first);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_add_scaled) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvScaledJob job;

  if (!qconv_job_scaled (&job, args, error))
    return FALSE;
  for (gsize i = 0; i < job.n; i++)
    scaled_unit (&job, i);
  return TRUE;
}
