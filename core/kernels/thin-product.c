/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "thin-product" and "thin-product-transposed": the product of a matrix, or of its transpose, and a thin
   one. Every item is one sum in the order of the long side, and every step is one fused multiply-add. low-rank.c runs
   them. */
#include "kernels/ops.h"

#if QCONV_VECTOR == 0
#define WIDTH 4
typedef float Vec __attribute__ ((vector_size (WIDTH * sizeof (float))));
#else
#include "kernels/vector.h"
#define WIDTH LANES
typedef VecF Vec;
#endif

/* The sums of HEIGHT rows and VECTORS vectors stay in registers */
#if QCONV_VECTOR == 512
#define HEIGHT 8
#define VECTORS 3
#elif QCONV_VECTOR == 256
#define HEIGHT 6
#define VECTORS 2
#else
#define HEIGHT 6
#define VECTORS 4
#endif
#define PANEL (VECTORS * WIDTH)
#define DEPTH 384   /* steps of the long side at a time */
#define STRIPS 16   /* strips of HEIGHT rows at a time: whole cache lines of a transposed matrix */
#define COLUMNS 144 /* columns of the factor that stay in the second cache: whole panels */

typedef struct {
  Vec items[VECTORS];
} Panel;

/**
 * Stretch: some steps of all sums in some columns. Both factors are copied without gaps, because the strides of real
 * matrices put all rows into the same few places of a cache.
 *
 * @left: strips of HEIGHT rows: one row of DEPTH items after another, or HEIGHT items for every step if the matrix is
 *   transposed
 * @right: panel after panel, DEPTH rows each
 */
typedef struct {
  gsize first, depth, column, columns;
  float left[STRIPS][HEIGHT * DEPTH];
  Panel right[COLUMNS / PANEL][DEPTH];
} Stretch;

/* Returns @a·@b + @c, rounded once */
static inline Vec
fused (float a, Vec b, Vec c)
{
#if QCONV_VECTOR == 0
  for (guint i = 0; i < WIDTH; i++)
    c[i] = thin_step (c[i], a, b[i]);
  return c;
#elif QCONV_VECTOR == 128
  return vfmaq_n_f32 (c, b, a);
#else
  return VEC (fmadd_ps) (vec_set (a), b, c);
#endif
}

static inline Vec
load (const float *x)
{
  Vec v;

  memcpy (&v, x, sizeof v);
  return v;
}

/* Adds @depth steps to HEIGHT rows of a panel. @row_step, @step: constants */
static inline __attribute__ ((always_inline)) void
add_tile (float *sums, gsize stride, const float *left, const Panel *right, gsize depth, gsize row_step, gsize step)
{
  Vec s[HEIGHT][VECTORS];

  for (guint r = 0; r < HEIGHT; r++)
    for (guint v = 0; v < VECTORS; v++)
      s[r][v] = load (sums + r * stride + v * WIDTH);
  for (gsize k = 0; k < depth; k++)
    for (guint r = 0; r < HEIGHT; r++)
      for (guint v = 0; v < VECTORS; v++)
        s[r][v] = fused (left[r * row_step + k * step], right[k].items[v], s[r][v]);
  for (guint r = 0; r < HEIGHT; r++)
    for (guint v = 0; v < VECTORS; v++)
      memcpy (sums + r * stride + v * WIDTH, &s[r][v], sizeof s[r][v]);
}

static void
add_panel (float *sums, gsize stride, const float *left, const Panel *right, gsize depth, gboolean transposed)
{
  if (transposed)
    add_tile (sums, stride, left, right, depth, 1, HEIGHT);
  else
    add_tile (sums, stride, left, right, depth, DEPTH, 1);
}

/* Adds to @rows rows and @columns columns of the product, which may be fewer than a tile has: then in a copy */
static void
add_edge (float *sums, gsize stride, const float *left, const Panel *right, gsize depth, gboolean transposed,
          gsize rows, gsize columns)
{
  float edge[HEIGHT * PANEL] = { 0 };

  for (gsize r = 0; r < rows; r++)
    memcpy (edge + r * PANEL, sums + r * stride, columns * sizeof *sums);
  add_panel (edge, PANEL, left, right, depth, transposed);
  for (gsize r = 0; r < rows; r++)
    memcpy (sums + r * stride, edge + r * PANEL, columns * sizeof *sums);
}

/* Adds the steps of the stretch to @n rows from @row on. One panel stays in the first cache for all of them */
static void
add_rows (const QconvThinJob *x, const Stretch *s, gsize row, gsize n)
{
  for (gsize c = 0; c < s->columns; c += PANEL)
    for (gsize r = 0; r < n; r += HEIGHT)
      {
        float *sums = x->product + (row + r) * x->width + s->column + c;
        const float *left = s->left[r / HEIGHT];
        const Panel *right = s->right[c / PANEL];

        if (n - r >= HEIGHT && s->columns - c >= PANEL)
          add_panel (sums, x->width, left, right, s->depth, x->transposed);
        else
          add_edge (sums, x->width, left, right, s->depth, x->transposed, MIN (n - r, HEIGHT),
                    MIN (s->columns - c, PANEL));
      }
}

/* Copies the steps of the stretch for @n rows from @row on, at most STRIPS strips */
static void
copy_left (const QconvThinJob *x, Stretch *s, gsize row, gsize n)
{
  /* rows of the last strip that the matrix does not have */
  if (n % HEIGHT != 0)
    memset (s->left[n / HEIGHT], 0, sizeof *s->left);
  if (!x->transposed)
    {
      for (gsize r = 0; r < n; r++)
        memcpy (s->left[r / HEIGHT] + r % HEIGHT * DEPTH, x->matrix + (row + r) * x->depth + s->first,
                s->depth * sizeof *x->matrix);
      return;
    }
  for (gsize k = 0; k < s->depth; k++)
    {
      const float *from = x->matrix + (s->first + k) * x->stride + row;

      for (gsize r = 0; r + HEIGHT <= n; r += HEIGHT)
        memcpy (s->left[r / HEIGHT] + k * HEIGHT, from + r, HEIGHT * sizeof *from);
      if (n % HEIGHT != 0)
        memcpy (s->left[n / HEIGHT] + k * HEIGHT, from + n / HEIGHT * HEIGHT, n % HEIGHT * sizeof *from);
    }
}

static void
copy_right (const QconvThinJob *x, Stretch *s)
{
  for (gsize c = 0; c < s->columns; c += PANEL)
    {
      gsize n = MIN (s->columns - c, PANEL);

      for (gsize k = 0; k < s->depth; k++)
        {
          guint8 *to = (guint8 *) &s->right[c / PANEL][k];

          memcpy (to, x->factor + (s->first + k) * x->width + s->column + c, n * sizeof *x->factor);
          memset (to + n * sizeof *x->factor, 0, (PANEL - n) * sizeof *x->factor);
        }
    }
}

static void
add_stretch (const QconvThinJob *x, Stretch *s)
{
  copy_right (x, s);
  for (gsize row = 0; row < x->rows; row += STRIPS * HEIGHT)
    {
      gsize n = MIN (x->rows - row, STRIPS * HEIGHT);

      copy_left (x, s, row, n);
      add_rows (x, s, row, n);
    }
}

static gboolean
multiply (const QconvArg *args, gboolean transposed, GError **error)
{
  QconvThinJob x;
  Stretch *s;

  if (!qconv_job_thin (&x, args, transposed, error))
    return FALSE;
  if (x.rows == 0 || x.width == 0)
    return TRUE;
  memset (x.product, 0, x.rows * x.width * sizeof *x.product);
  s = g_aligned_alloc (1, sizeof *s, 64);
  for (s->column = 0; s->column < x.width; s->column += COLUMNS)
    {
      s->columns = MIN (x.width - s->column, COLUMNS);
      for (s->first = 0; s->first < x.depth; s->first += DEPTH)
        {
          s->depth = MIN (x.depth - s->first, DEPTH);
          add_stretch (&x, s);
        }
    }
  g_aligned_free (s);
  return TRUE;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_thin_product) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return multiply (args, FALSE, error);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_thin_product_transposed) (gpointer device, gpointer stream, const QconvArg *args,
                                                     GError **error)
{
  return multiply (args, TRUE, error);
}
