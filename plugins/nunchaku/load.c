/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unpacks tensors block by block: 128 rows of codes, scales and vectors, 16 rows of a factor, 4 rows of AWQ codes. */
#include "load.h"

#include <string.h>

#include "packing.h"
#include "shift.h"

/* ---- Rows of tiles ---- */

/* Reads rows of a packed matrix, whose tensor holds whole blocks. */
static gboolean
read_rows (const QconvTensor *t, const NunchakuLayout *l, const NunchakuRows *rows, GError **error)
{
  NunchakuGrid grid = nunchaku_grid (l, l->rows, rows->row_bytes);
  gsize block = grid.across * nunchaku_tile_size (l);
  g_autofree guint8 *tiles = g_malloc (block);

  for (guint64 row = rows->first, end = rows->first + rows->n, n; row < end; row += n)
    {
      guint64 within = row % l->rows;
      NunchakuRows some;

      n = MIN (l->rows - within, end - row);
      some = (NunchakuRows) { rows->data + (row - rows->first) * rows->row_bytes, rows->row_bytes, within, n };
      if (!qconv_tensor_read (t, row / l->rows * block, block, tiles, error))
        return FALSE;
      nunchaku_unpack (l, tiles, &grid, &some);
    }
  return TRUE;
}

/* Reads rows of 16-bit numbers, block by block, to floats at @dst. @where->data does not count. */
static gboolean
read_floats (const QconvTensor *t, const NunchakuLayout *l, const NunchakuRows *where, float *dst, GError **error)
{
  gsize per_row = where->row_bytes / sizeof (guint16);
  g_autofree guint16 *halves = g_new (guint16, l->rows * per_row);
  NunchakuRows rows = { (guint8 *) halves, where->row_bytes, where->first, 0 };

  for (guint64 end = where->first + where->n; rows.first < end; rows.first += rows.n, dst += rows.n * per_row)
    {
      rows.n = MIN (l->rows, end - rows.first);
      if (!read_rows (t, l, &rows, error) || !qconv_floats_from (t->dtype, halves, (gsize) rows.n * per_row, dst))
        return FALSE;
    }
  return TRUE;
}

/* Returns the rows that @load asks for; a row has as many items as the component's. @bits: of one item in the file */
static NunchakuRows
rows_asked (const QconvLoad *load, guint bits)
{
  const QconvShape *shape = &load->component->shape;
  gsize items = shape->rank == 2 ? (gsize) shape->dim[1] : 1;

  return (NunchakuRows) { load->dst, items * bits / 8, load->first, load->n };
}

gboolean
nunchaku_load_codes (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = rows_asked (load, 4);

  return read_rows (load->tensors[0], &nunchaku_codes, &rows, error);
}

gboolean
nunchaku_load_block_scale (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = rows_asked (load, 8);

  return read_rows (load->tensors[0], &nunchaku_micro_scales, &rows, error);
}

gboolean
nunchaku_load_bias (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = rows_asked (load, 16);

  return read_rows (load->tensors[0], &nunchaku_numbers, &rows, error);
}

gboolean
nunchaku_load_numbers (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = rows_asked (load, 16);

  return read_floats (load->tensors[0], &nunchaku_numbers, &rows, load->dst, error);
}

gboolean
nunchaku_load_up (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = rows_asked (load, 16);

  return read_floats (load->tensors[0], &nunchaku_factor_up, &rows, load->dst, error);
}

/* Loads "lora_down". Its tiles lie column by column, so it is read at once. */
gboolean
nunchaku_load_down (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  const QconvShape *shape = &load->component->shape;
  gsize size = (gsize) t->n_bytes, row_bytes = (gsize) shape->dim[1] * sizeof (guint16);
  NunchakuGrid grid = nunchaku_grid (&nunchaku_factor_down, shape->dim[0], row_bytes);
  g_autofree guint8 *tiles = g_malloc (size);
  g_autofree guint16 *halves = g_malloc (size);
  NunchakuRows rows = { (guint8 *) halves, row_bytes, 0, shape->dim[0] };

  if (!qconv_tensor_read (t, 0, size, tiles, error))
    return FALSE;
  nunchaku_unpack (&nunchaku_factor_down, tiles, &grid, &rows);
  return qconv_floats_from (t->dtype, halves, size / sizeof *halves, load->dst);
}

/* ---- Biases of shifted inputs ---- */

/* The other tensors of a layer whose input is shifted. @row_scale: (nullable) */
typedef struct {
  const QconvTensor *codes, *group_scale, *row_scale, *smooth;
  guint64 cols;
} Shift;

GBytes *
nunchaku_shift_data (const NunchakuLook *l)
{
  Shift shift = { l->members[NUNCHAKU_QWEIGHT], l->members[NUNCHAKU_WSCALES], l->members[NUNCHAKU_WCSCALES],
                  l->members[NUNCHAKU_SMOOTH], l->cols };

  return g_bytes_new (&shift, sizeof shift);
}

/* Adds the shift times the sums of rows [@first, @first + @n) of the residual to @bias. The file's bias lacks them,
   so that they cancel at run time. */
static gboolean
add_shift (const Shift *s, guint64 first, guint64 n, float *bias, GError **error)
{
  gsize groups = (gsize) s->cols / NUNCHAKU_GROUP_INT4, half = sizeof (guint16);
  g_autofree float *smooth = g_new (float, s->cols), *scales = g_new (float, (gsize) n *groups), *factors = NULL;
  g_autofree guint8 *codes = g_malloc ((gsize) (n * (s->cols / 2)));

  if (!read_rows (s->codes, &nunchaku_codes, &(NunchakuRows) { codes, (gsize) s->cols / 2, first, n }, error)
      || !read_floats (s->smooth, &nunchaku_numbers, &(NunchakuRows) { NULL, half, 0, s->cols }, smooth, error)
      || !read_floats (s->group_scale, &nunchaku_numbers, &(NunchakuRows) { NULL, groups * half, first, n }, scales,
                       error))
    return FALSE;
  if (s->row_scale != NULL)
    {
      factors = g_new (float, n);
      if (!read_floats (s->row_scale, &nunchaku_numbers, &(NunchakuRows) { NULL, half, first, n }, factors, error))
        return FALSE;
    }
  for (guint64 row = 0; row < n; row++)
    {
      double sum = nunchaku_sum_row (codes + row * (s->cols / 2), scales + row * groups, smooth, s->cols);

      bias[row] = (float) ((double) bias[row] + NUNCHAKU_SHIFT * (factors != NULL ? sum * (double) factors[row] : sum));
    }
  return TRUE;
}

gboolean
nunchaku_load_shifted_bias (const QconvLoad *load, GError **error)
{
  const Shift *shift = g_bytes_get_data (load->data, NULL);
  float *bias = load->dst;

  if (!nunchaku_load_numbers (load, error))
    return FALSE;
  for (guint64 row = 0, n; row < load->n; row += n)
    {
      n = MIN (NUNCHAKU_BLOCK, load->n - row);
      if (!add_shift (shift, load->first + row, n, bias + row, error))
        return FALSE;
    }
  return TRUE;
}

/* ---- Modulation layers ---- */

GBytes *
nunchaku_chunk_data (const NunchakuLook *l)
{
  return g_bytes_new (&l->chunks, sizeof l->chunks);
}

static guint
chunks_of (const QconvLoad *load)
{
  return *(const guint *) g_bytes_get_data (load->data, NULL);
}

gboolean
nunchaku_load_awq_codes (const QconvLoad *load, GError **error)
{
  guint64 rows = load->layer->rows, first = 0, last = rows - 1;
  guint chunks = chunks_of (load);
  gsize cols = (gsize) load->layer->cols, size = cols / 2 * NUNCHAKU_AWQ_ROWS;
  g_autofree guint8 *block = g_malloc (size);

  /* Rows of one chunk lie between two rows of the file; rows of several lie anywhere */
  if (load->first / (rows / chunks) == (load->first + load->n - 1) / (rows / chunks))
    {
      first = nunchaku_interleaved (load->first, rows, chunks);
      last = nunchaku_interleaved (load->first + load->n - 1, rows, chunks);
    }
  for (guint64 i = first / NUNCHAKU_AWQ_ROWS; i <= last / NUNCHAKU_AWQ_ROWS; i++)
    {
      if (!qconv_tensor_read (load->tensors[0], i * size, size, block, error))
        return FALSE;
      for (guint place = 0; place < NUNCHAKU_AWQ_ROWS; place++)
        {
          guint64 row = nunchaku_deinterleaved (i * NUNCHAKU_AWQ_ROWS + place, rows, chunks);

          if (row >= load->first && row - load->first < load->n)
            nunchaku_unpack_awq_row (block, cols, place, (guint8 *) load->dst + (row - load->first) * (cols / 2));
        }
    }
  return TRUE;
}

gboolean
nunchaku_load_awq_scale (const QconvLoad *load, GError **error)
{
  guint64 rows = load->layer->rows, groups = load->component->shape.dim[1];
  g_autofree guint16 *line = g_new (guint16, rows);
  guint16 *dst = load->dst;

  for (guint64 k = 0; k < groups; k++)
    {
      if (!qconv_tensor_read (load->tensors[0], k * rows * sizeof *line, (gsize) rows * sizeof *line, line, error))
        return FALSE;
      for (guint64 row = load->first; row < load->first + load->n; row++)
        dst[(row - load->first) * groups + k] = line[nunchaku_interleaved (row, rows, chunks_of (load))];
    }
  return TRUE;
}

gboolean
nunchaku_load_awq_bias (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  guint64 rows = load->layer->rows;
  guint chunks = chunks_of (load);
  g_autofree guint16 *halves = g_new (guint16, rows);
  g_autofree float *all = g_new (float, rows);
  float *dst = load->dst;

  if (!qconv_tensor_read (t, 0, (gsize) rows * sizeof *halves, halves, error)
      || !qconv_floats_from (t->dtype, halves, (gsize) rows, all))
    return FALSE;
  for (guint64 row = load->first; row < load->first + load->n; row++)
    {
      guint chunk = (guint) (row / (rows / chunks));

      dst[row - load->first]
          = all[nunchaku_interleaved (row, rows, chunks)] - (nunchaku_is_raised (chunk, chunks) ? 1.0f : 0.0f);
    }
  return TRUE;
}

/* ---- Costs ---- */

gsize
nunchaku_load_scratch (const NunchakuLook *l)
{
  gsize rows = (gsize) l->rows, cols = (gsize) l->cols;

  if (l->kind == NUNCHAKU_AWQ)
    return MAX (cols * NUNCHAKU_AWQ_ROWS / 2, rows * sizeof (guint16));
  /* "lora_down" and its rows are the largest: a block of codes has as many bytes as a factor of the least rank */
  return 2 * sizeof (guint16) * cols * (gsize) l->rank;
}

gsize
nunchaku_bias_scratch (const NunchakuLook *l)
{
  gsize cols = (gsize) l->cols, codes = cols * NUNCHAKU_BLOCK / 2, scales = cols / NUNCHAKU_GROUP_INT4 * NUNCHAKU_BLOCK;

  if (l->kind == NUNCHAKU_AWQ)
    return (gsize) l->rows * (sizeof (guint16) + sizeof (float));
  return l->shifted ? 2 * codes + (scales + cols) * sizeof (float) + scales * 2 * sizeof (guint16) : 0;
}
