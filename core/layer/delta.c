/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the shapes and costs of deltas, and adds them in a fixed order of sums. LoRAs and load-composed.c call it. */
#include "layer/delta.h"

#include <string.h>

#include "kernels/stream.h"
#include "layer/load-claimed.h"

void
qconv_delta_free (Delta *d)
{
  g_array_unref (d->runs);
  g_free (d);
}

static guint64
rows_of (const SourceLayer *s)
{
  return s->layer->pub.rows;
}

static guint64
cols_of (const SourceLayer *s)
{
  return s->layer->pub.cols;
}

/* ---- Shapes ---- */

/* Finds the shape of @a · @b, or of @a if @b is NULL */
static gboolean
product_shape (const SourceLayer *a, const SourceLayer *b, guint64 *rows, guint64 *cols, GError **error)
{
  *rows = rows_of (a);
  *cols = cols_of (b != NULL ? b : a);
  return b == NULL || cols_of (a) == rows_of (b)
         || qconv_fail (error, QCONV_ERROR_INPUT,
                        "%s has %" G_GUINT64_FORMAT " columns, %s %" G_GUINT64_FORMAT
                        " rows: they cannot be multiplied",
                        a->plain_name, cols_of (a), b->plain_name, rows_of (b));
}

/* Returns the items of the kernel of each column of a Tucker product, in @mid; 0 if @mid and @down do not fit */
static guint64
kernel_items (const SourceLayer *down, const SourceLayer *mid)
{
  guint64 rank = rows_of (down);

  return rank > 0 && cols_of (mid) % rank == 0 ? cols_of (mid) / rank : 0;
}

static gboolean
tucker_shape (Delta *d, GError **error)
{
  const SourceLayer *up = d->factors[0], *down = d->factors[1], *mid = d->factors[2];
  guint64 kernel = kernel_items (down, mid), items;

  d->rows = rows_of (up);
  if (kernel == 0 || cols_of (up) != rows_of (mid))
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s does not fit between %s and %s", mid->plain_name, up->plain_name,
                       down->plain_name);
  return (g_uint64_checked_mul (&d->cols, cols_of (down), kernel)
          && g_uint64_checked_mul (&items, d->cols, rows_of (mid)) && items <= G_MAXINT64 / sizeof (float))
         || qconv_fail (error, QCONV_ERROR_INPUT, "%s is too large", mid->plain_name);
}

static gboolean
find_shape (Delta *d, GError **error)
{
  const SourceLayer *const *f = d->factors;
  guint64 rows, cols;

  if (d->kind == DELTA_FULL || d->kind == DELTA_REPLACE || d->kind == DELTA_PRODUCT)
    return product_shape (f[0], f[1], &d->rows, &d->cols, error);
  if (d->kind == DELTA_TUCKER)
    return tucker_shape (d, error);
  if (!product_shape (f[0], f[1], &d->rows, &d->cols, error) || !product_shape (f[2], f[3], &rows, &cols, error))
    return FALSE;
  if (d->kind == DELTA_HADAMARD)
    return (rows == d->rows && cols == d->cols)
           || qconv_fail (error, QCONV_ERROR_INPUT,
                          "%s and %s make matrices of %" G_GUINT64_FORMAT " × %" G_GUINT64_FORMAT
                          " and %" G_GUINT64_FORMAT " × %" G_GUINT64_FORMAT " items, which must be equal",
                          f[0]->plain_name, f[2]->plain_name, d->rows, d->cols, rows, cols);
  return (g_uint64_checked_mul (&d->rows, d->rows, rows) && g_uint64_checked_mul (&d->cols, d->cols, cols))
         || qconv_fail (error, QCONV_ERROR_INPUT, "%s is too large", f[0]->plain_name);
}

Delta *
qconv_delta_new (DeltaKind kind, const SourceLayer *const factors[4], GError **error)
{
  g_autoptr (Delta) d = g_new0 (Delta, 1);

  d->kind = kind;
  d->runs = g_array_new (FALSE, FALSE, sizeof (DeltaRun));
  memcpy (d->factors, factors, sizeof d->factors);
  return find_shape (d, error) ? g_steal_pointer (&d) : NULL;
}

Delta *
qconv_delta_constant (float number, guint64 rows, guint64 cols)
{
  Delta *d = g_new0 (Delta, 1);
  DeltaRun all = { .n = rows, .n_cols = cols };

  d->kind = DELTA_CONSTANT;
  d->scale = number;
  d->rows = rows;
  d->cols = cols;
  d->runs = g_array_new (FALSE, FALSE, sizeof (DeltaRun));
  g_array_append_val (d->runs, all);
  return d;
}

Delta *
qconv_delta_copy (const Delta *d)
{
  Delta *copy = g_memdup2 (d, sizeof *d);

  copy->runs = g_array_ref (d->runs);
  return copy;
}

/* ---- Costs ---- */

static gsize
matrix_bytes (guint64 rows, guint64 cols)
{
  return (gsize) (rows * cols) * sizeof (float);
}

static gsize
whole_cost (const SourceLayer *s)
{
  return s != NULL ? qconv_claimed_floats_cost (s, rows_of (s), FALSE) : 0;
}

/* Returns the bytes for @a · @b, which stays, and for making it */
static gsize
made_cost (const SourceLayer *a, const SourceLayer *b)
{
  return (b != NULL ? arena_cost (matrix_bytes (rows_of (a), cols_of (b))) : 0) + whole_cost (a) + whole_cost (b);
}

gsize
qconv_deltas_kept_cost (const GPtrArray *deltas)
{
  gsize cost = 0;

  for (guint i = 0; i < deltas->len; i++)
    {
      const Delta *d = g_ptr_array_index (deltas, i);
      const SourceLayer *const *f = d->factors;

      if (d->kind == DELTA_KRONECKER)
        cost += made_cost (f[0], f[1]) + made_cost (f[2], f[3]);
      else if (d->kind == DELTA_TUCKER)
        cost += arena_cost (matrix_bytes (rows_of (f[2]), d->cols)) + whole_cost (f[1]) + whole_cost (f[2]);
      else
        cost += whole_cost (f[1]) + whole_cost (f[3]);
    }
  return cost;
}

/* Returns whether @run has all columns of @d and of a layer of @cols columns */
static gboolean
is_full (const Delta *d, const DeltaRun *run, guint64 cols)
{
  return run->n_cols == d->cols && run->n_cols == cols;
}

gsize
qconv_deltas_rows_cost (const GPtrArray *deltas, guint64 n_rows, guint64 cols)
{
  gsize most = 0;

  for (guint i = 0; i < deltas->len; i++)
    {
      const Delta *d = g_ptr_array_index (deltas, i);
      guint64 n = MIN (n_rows, d->rows);
      gsize cost = 0;

      for (guint j = 0; j < d->runs->len && cost == 0; j++)
        if (!is_full (d, &g_array_index (d->runs, DeltaRun, j), cols))
          cost = arena_cost (matrix_bytes (n, d->cols));

      for (guint j = 0; d->kind != DELTA_KRONECKER && j < (d->kind == DELTA_HADAMARD ? 4 : 1); j += 2)
        cost += d->factors[j] != NULL ? qconv_claimed_floats_cost (d->factors[j], n, FALSE) : 0;
      if (d->kind == DELTA_HADAMARD)
        cost += 2 * arena_cost (matrix_bytes (n, d->cols));
      most = MAX (most, cost);
    }
  return most;
}

/* ---- Buffers that stay ---- */

static gboolean
load_floats (const SourceLayer *s, guint64 first, guint64 n, Arena *arena, QconvBuffer *floats, GError **error)
{
  return qconv_claimed_floats_load (s, NULL, &(Rows) { first, n, arena, NULL }, FALSE, floats, error);
}

static gboolean
take_zeros (Arena *arena, guint64 rows, guint64 cols, QconvBuffer *buffer, GError **error)
{
  gsize n = matrix_bytes (rows, cols);

  *buffer = QCONV_BUFFER (arena_take (arena, n), n, QCONV_F32);
  if (buffer->data == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "a LoRA takes more memory than was planned");
  memset (buffer->data, 0, n);
  return TRUE;
}

/* A matrix to add: @sums += @scale · @left · @right, or @scale · @left if @right is NULL. @cols: of the sums, @rank:
   columns of @left */
typedef struct {
  QconvBuffer *left, *right;
  guint64 cols, rank;
  float scale;
} Product;

/* Sends @p to device @t. The left factor does not stay in host memory, so its copy is waited for */
static gboolean
send_product (DeviceTask *t, Product *p, GError **error)
{
  const QconvBuffer *left = p->left;

  p->left = qconv_device_scratch (t, left->size, error);
  if (p->left == NULL || !qconv_stream_write (qconv_device_stream (t), p->left, 0, left->size, left->data, error))
    return FALSE;
  if (p->right != NULL && (p->right = qconv_device_mirror (t, p->right, TRUE, error)) == NULL)
    return FALSE;
  return TRUE;
}

/* Adds @p to @sums of @rows rows, on device @t (nullable) if it has their bytes */
static gboolean
add_product (DeviceTask *t, QconvBuffer *sums, guint64 rows, Product p, GError **error)
{
  QconvStream *stream = t != NULL ? qconv_device_stream (t) : qconv_stream_cpu ();

  if (t != NULL && ((sums = qconv_device_mirror (t, sums, FALSE, error)) == NULL || !send_product (t, &p, error)))
    return FALSE;
  if (p.right == NULL)
    return qconv_stream_run (stream, "add-scaled", 1,
                             (QconvArg[]) { QCONV_BUF (sums), QCONV_BUF (p.left), QCONV_F (p.scale) }, 3, error);
  return qconv_stream_run (stream, "add-product", 1,
                           (QconvArg[]) { QCONV_BUF (sums), QCONV_BUF (p.left), QCONV_BUF (p.right), QCONV_I (rows),
                                          QCONV_I (p.cols), QCONV_I (p.rank), QCONV_F (p.scale) },
                           7, error);
}

/* Makes @a · @b, or loads @a if @b is NULL */
static gboolean
make (const SourceLayer *a, const SourceLayer *b, Arena *arena, QconvBuffer *made, GError **error)
{
  QconvBuffer left, right;
  gsize mark;

  if (b == NULL)
    return load_floats (a, 0, rows_of (a), arena, made, error);
  if (!take_zeros (arena, rows_of (a), cols_of (b), made, error))
    return FALSE;
  mark = arena->used;
  if (!load_floats (a, 0, rows_of (a), arena, &left, error) || !load_floats (b, 0, rows_of (b), arena, &right, error)
      || !add_product (NULL, made, rows_of (a), (Product) { &left, &right, cols_of (b), cols_of (a), 1 }, error))
    return FALSE;
  arena->used = mark;
  return TRUE;
}

/* Makes the second factor of a Tucker product: factor 2, with each of its columns of kernels replaced by the sum that
   factor 1 makes of them */
static gboolean
make_tucker (const Delta *d, Arena *arena, QconvBuffer *made, GError **error)
{
  const SourceLayer *down = d->factors[1], *mid = d->factors[2];
  gsize rank = (gsize) rows_of (down), inputs = (gsize) cols_of (down), kernel = (gsize) kernel_items (down, mid);
  gsize n = (gsize) rows_of (mid), mark;
  QconvBuffer factor, kernels;
  const float *a, *k;
  float *sums;

  if (!take_zeros (arena, n, d->cols, made, error))
    return FALSE;
  mark = arena->used;
  if (!load_floats (down, 0, rank, arena, &factor, error) || !load_floats (mid, 0, n, arena, &kernels, error))
    return FALSE;
  a = qconv_buffer_data (&factor);
  k = qconv_buffer_data (&kernels);
  sums = qconv_buffer_data (made);
  for (gsize row = 0; row < n; row++)
    for (gsize t = 0; t < rank; t++)
      for (gsize col = 0; col < inputs * kernel; col++)
        sums[row * inputs * kernel + col] += a[t * inputs + col / kernel] * k[(row * rank + t) * kernel + col % kernel];
  arena->used = mark;
  return TRUE;
}

gboolean
qconv_deltas_keep (const GPtrArray *deltas, QconvBuffer *kept, Arena *arena, GError **error)
{
  for (guint i = 0; i < deltas->len; i++)
    {
      const Delta *d = g_ptr_array_index (deltas, i);

      if (d->kind == DELTA_TUCKER && !make_tucker (d, arena, &kept[i * DELTA_KEPT], error))
        return FALSE;
      for (guint j = 0; d->kind != DELTA_TUCKER && j < 2; j++)
        {
          const SourceLayer *a = d->factors[2 * j], *b = d->factors[2 * j + 1];
          QconvBuffer *to = &kept[i * DELTA_KEPT + j];

          if (d->kind == DELTA_KRONECKER ? !make (a, b, arena, to, error)
                                         : b != NULL && !load_floats (b, 0, rows_of (b), arena, to, error))
            return FALSE;
        }
    }
  return TRUE;
}

/* ---- Adding ---- */

static void
add_constant (float *w, gsize n, float number)
{
  for (gsize i = 0; i < n; i++)
    w[i] += number;
}

static gboolean
add_hadamard (const Delta *d, QconvBuffer *kept, const Rows *rows, QconvBuffer *w, GError **error)
{
  QconvBuffer left, products[2];
  float *sums = qconv_buffer_data (w);
  const float *a, *b;

  for (guint i = 0; i < 2; i++)
    {
      const SourceLayer *s = d->factors[2 * i];

      if (!take_zeros (rows->arena, rows->n, d->cols, &products[i], error)
          || !load_floats (s, rows->first, rows->n, rows->arena, &left, error)
          || !add_product (NULL, &products[i], rows->n, (Product) { &left, &kept[i], d->cols, cols_of (s), 1 }, error))
        return FALSE;
    }
  a = qconv_buffer_data (&products[0]);
  b = qconv_buffer_data (&products[1]);
  for (gsize i = 0; i < (gsize) (rows->n * d->cols); i++)
    sums[i] += d->scale * (a[i] * b[i]);
  return TRUE;
}

/* Adds a Kronecker product: item (i, j) of the first matrix scales the whole second one at block (i, j) */
static void
add_kronecker (const Delta *d, QconvBuffer *kept, guint64 from, guint64 n, float *w)
{
  const SourceLayer *b = d->factors[3] != NULL ? d->factors[3] : d->factors[2];
  gsize inner_rows = (gsize) rows_of (d->factors[2]), inner = (gsize) cols_of (b), cols = (gsize) d->cols;

  for (gsize row = (gsize) from; row < from + n; row++, w += cols)
    {
      const float *outer_row = (const float *) qconv_buffer_data (&kept[0]) + row / inner_rows * (cols / inner);
      const float *inner_row = (const float *) qconv_buffer_data (&kept[1]) + row % inner_rows * inner;

      for (gsize block = 0; block < cols / inner; block++)
        for (gsize i = 0; i < inner; i++)
          w[block * inner + i] += d->scale * (outer_row[block] * inner_row[i]);
    }
}

/* Adds @rows of the delta to @w, which holds as many rows of the layer. rows->device: only if is_for_device() */
static gboolean
add_run (const Delta *d, QconvBuffer *kept, const Rows *rows, QconvBuffer *w, GError **error)
{
  QconvBuffer left;

  switch (d->kind)
    {
    case DELTA_PRODUCT:
    case DELTA_TUCKER:
      return load_floats (d->factors[0], rows->first, rows->n, rows->arena, &left, error)
             && add_product (rows->device, w, rows->n,
                             (Product) { &left, &kept[0], d->cols, cols_of (d->factors[0]), d->scale }, error);
    case DELTA_FULL:
      return load_floats (d->factors[0], rows->first, rows->n, rows->arena, &left, error)
             && add_product (rows->device, w, rows->n, (Product) { &left, NULL, d->cols, 0, d->scale }, error);
    case DELTA_REPLACE:
      if (!load_floats (d->factors[0], rows->first, rows->n, rows->arena, &left, error))
        return FALSE;
      memcpy (qconv_buffer_data (w), qconv_buffer_data (&left), left.size);
      return TRUE;
    case DELTA_HADAMARD:
      return add_hadamard (d, kept, rows, w, error);
    case DELTA_KRONECKER:
      if (d->cols > 0)
        add_kronecker (d, kept, rows->first, rows->n, qconv_buffer_data (w));
      return TRUE;
    case DELTA_CONSTANT:
      add_constant (qconv_buffer_data (w), (gsize) (rows->n * d->cols), d->scale);
      return TRUE;
    }
  return TRUE;
}

/* Copies the columns of @run between @n rows of the layer, of @cols columns, and rows of the delta */
static void
copy_columns (const Delta *d, const DeltaRun *run, guint64 n, float *layer, guint64 cols, float *delta, gboolean back)
{
  for (guint64 row = 0; row < n; row++)
    {
      float *of_layer = layer + row * cols + run->to_col, *of_delta = delta + row * d->cols + run->from_col;
      gsize bytes = (gsize) run->n_cols * sizeof (float);

      memcpy (back ? of_layer : of_delta, back ? of_delta : of_layer, bytes);
    }
}

/* Adds @rows of the delta to some columns of @w, which holds as many rows of the layer, of @cols columns. Every item is
   summed as it would be in a layer of all columns */
static gboolean
add_columns (const Delta *d, QconvBuffer *kept, const DeltaRun *run, const Rows *rows, QconvBuffer *w, guint64 cols,
             GError **error)
{
  QconvBuffer whole;

  if (!take_zeros (rows->arena, rows->n, d->cols, &whole, error))
    return FALSE;
  copy_columns (d, run, rows->n, qconv_buffer_data (w), cols, qconv_buffer_data (&whole), FALSE);
  if (!add_run (d, kept, rows, &whole, error))
    return FALSE;
  copy_columns (d, run, rows->n, qconv_buffer_data (w), cols, qconv_buffer_data (&whole), TRUE);
  return TRUE;
}

/* Returns whether a device adds @run of @d to rows of a layer of @cols columns. @t: (nullable) */
static gboolean
is_for_device (const Delta *d, const DeltaRun *run, guint64 cols, const DeviceTask *t)
{
  static const QconvOpName needed[] = { { "add-product", 1 }, { "add-scaled", 1 }, { NULL, 0 } };

  return (d->kind == DELTA_PRODUCT || d->kind == DELTA_TUCKER || d->kind == DELTA_FULL) && is_full (d, run, cols)
         && t != NULL && qconv_device_offers (qconv_device_of (t), needed);
}

/* Brings @floats to where they are added to: to device @t, or to the host. @t: (nullable) */
static gboolean
move_floats (DeviceTask *t, const QconvBuffer *floats, gboolean there, GError **error)
{
  if (!there)
    return qconv_device_bring (t, floats, error);
  if (qconv_device_mirror (t, floats, TRUE, error) == NULL)
    return FALSE;
  qconv_device_wrote (t, floats);
  return TRUE;
}

static gboolean
add_delta (const Delta *d, QconvBuffer *kept, const Rows *rows, QconvBuffer *floats, GError **error)
{
  gsize row_bytes = floats->size / MAX ((gsize) rows->n, 1);
  guint64 cols = row_bytes / sizeof (float);

  for (guint i = 0; i < d->runs->len; i++)
    {
      const DeltaRun *run = &g_array_index (d->runs, DeltaRun, i);
      guint64 low = MAX (rows->first, run->to), high = MIN (rows->first + rows->n, run->to + run->n);
      gsize mark = rows->arena->used;
      gboolean there = is_for_device (d, run, cols, rows->device);
      Rows some
          = { run->from + (low - run->to), high - low, rows->arena, rows->cancellable, there ? rows->device : NULL };
      QconvBuffer w;

      if (low >= high)
        continue;
      w = QCONV_BUFFER ((guint8 *) floats->data + (low - rows->first) * row_bytes, (gsize) (high - low) * row_bytes,
                        QCONV_F32);
      if (!move_floats (rows->device, floats, there, error))
        return FALSE;
      if (is_full (d, run, cols) ? !add_run (d, kept, &some, &w, error)
                                 : !add_columns (d, kept, run, &some, &w, cols, error))
        return FALSE;
      rows->arena->used = mark;
    }
  return TRUE;
}

gboolean
qconv_deltas_add (const GPtrArray *deltas, QconvBuffer *kept, const Rows *rows, QconvBuffer *floats, GError **error)
{
  for (guint i = 0; i < deltas->len; i++)
    if (!add_delta (g_ptr_array_index (deltas, i), kept + i * DELTA_KEPT, rows, floats, error))
      return FALSE;
  return TRUE;
}
