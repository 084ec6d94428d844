/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation "gram": the products of all columns of a thin matrix with each other. Products of two F32 are exact in
   FP64, so only the order of the sums counts: that of the rows. low-rank.c runs it. */
#include "kernels/ops.h"

#if QCONV_VECTOR == 0
#define WIDTH 2
#else
#define WIDTH (QCONV_VECTOR / 64)
#endif
#define HEIGHT 4 /* rows of the result whose sums stay in registers */
#define VECTORS 2
#define PANEL (VECTORS * WIDTH)
#define COLUMNS 64 /* columns at a time: whole panels */
#define DEPTH 32   /* rows at a time */

typedef double Vec __attribute__ ((vector_size (WIDTH * sizeof (double))));

/* Some columns of a few rows, widened; zeros follow */
typedef struct {
  Vec items[DEPTH][COLUMNS / WIDTH];
} Block;

static void
copy_block (const QconvGramJob *x, Block *b, gsize row, gsize column)
{
  gsize depth = MIN (x->rows - row, DEPTH), n = MIN (x->width - column, COLUMNS);

  for (gsize k = 0; k < depth; k++)
    {
      const float *from = x->matrix + (row + k) * x->width + column;
      double *to = (double *) b->items[k];

      for (gsize i = 0; i < n; i++)
        to[i] = from[i];
      memset (to + n, 0, (COLUMNS - n) * sizeof *to);
    }
}

/* Adds @depth rows to the sums of HEIGHT columns of @left, from @i on, and a panel of @right from @j on */
static void
add_tile (double *sums, const Block *left, gsize i, const Block *right, gsize j, gsize depth)
{
  Vec s[HEIGHT][VECTORS];

  memcpy (s, sums, sizeof s);
  for (gsize k = 0; k < depth; k++)
    for (guint r = 0; r < HEIGHT; r++)
      for (guint v = 0; v < VECTORS; v++)
        s[r][v] += ((const double *) left->items[k])[i + r] * right->items[k][j / WIDTH + v];
  memcpy (sums, s, sizeof s);
}

/* Sets the result for the columns from @i and @j on, COLUMNS each */
static void
set_block (const QconvGramJob *x, gsize i, gsize j)
{
  double sums[COLUMNS / HEIGHT][COLUMNS / PANEL][HEIGHT * PANEL] = { 0 };
  Block left, right;

  for (gsize row = 0; row < x->rows; row += DEPTH)
    {
      copy_block (x, &left, row, i);
      copy_block (x, &right, row, j);
      for (gsize r = 0; r < COLUMNS && i + r < x->width; r += HEIGHT)
        for (gsize c = 0; c < COLUMNS && j + c < x->width; c += PANEL)
          add_tile (sums[r / HEIGHT][c / PANEL], &left, r, &right, c, MIN (x->rows - row, DEPTH));
    }
  for (gsize r = 0; r < COLUMNS && i + r < x->width; r++)
    for (gsize c = 0; c < COLUMNS && j + c < x->width; c++)
      x->gram[(i + r) * x->width + j + c] = x->gram[(j + c) * x->width + i + r]
          = sums[r / HEIGHT][c / PANEL][r % HEIGHT * PANEL + c % PANEL];
}

gboolean
QCONV_LEVEL_NAME (qconv_op_gram) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvGramJob x;

  if (!qconv_job_gram (&x, args, error))
    return FALSE;
  for (gsize i = 0; i < x.width; i += COLUMNS)
    for (gsize j = i; j < x.width; j += COLUMNS)
      set_block (&x, i, j);
  return TRUE;
}
