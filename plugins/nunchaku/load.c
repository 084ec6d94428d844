/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unpacks tensors block by block: 128 rows of codes, scales and vectors, 16 rows of a factor, 4 rows of AWQ codes. */
#include "load.h"

#include <string.h>

#include "packing.h"

/* ---- Rows of tiles ---- */

gboolean
nunchaku_read_rows (const QconvTensor *t, const NunchakuLayout *l, const NunchakuRows *rows, GError **error)
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

gboolean
nunchaku_read_floats (const QconvTensor *t, const NunchakuLayout *l, const NunchakuRows *where, float *dst,
                      GError **error)
{
  gsize per_row = where->row_bytes / sizeof (guint16);
  g_autofree guint16 *halves = g_new (guint16, l->rows * per_row);
  NunchakuRows rows = { (guint8 *) halves, where->row_bytes, where->first, 0 };

  for (guint64 end = where->first + where->n; rows.first < end; rows.first += rows.n, dst += rows.n * per_row)
    {
      rows.n = MIN (l->rows, end - rows.first);
      if (!nunchaku_read_rows (t, l, &rows, error)
          || !qconv_floats_from (t->dtype, halves, (gsize) rows.n * per_row, dst))
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

  return nunchaku_read_rows (load->tensors[0], &nunchaku_codes, &rows, error);
}

gboolean
nunchaku_load_block_scale (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = rows_asked (load, 8);

  return nunchaku_read_rows (load->tensors[0], &nunchaku_micro_scales, &rows, error);
}

gboolean
nunchaku_load_numbers (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = rows_asked (load, 16);

  return nunchaku_read_floats (load->tensors[0], &nunchaku_numbers, &rows, load->dst, error);
}

gboolean
nunchaku_load_up (const QconvLoad *load, GError **error)
{
  NunchakuRows rows = rows_asked (load, 16);

  return nunchaku_read_floats (load->tensors[0], &nunchaku_factor_up, &rows, load->dst, error);
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

/* ---- Modulation layers ---- */

GBytes *
nunchaku_chunk_data (const NunchakuLook *l)
{
  return g_bytes_new (&l->chunks, sizeof l->chunks);
}

guint
nunchaku_chunks (const QconvLoad *load)
{
  return *(const guint *) g_bytes_get_data (load->data, NULL);
}

gboolean
nunchaku_load_awq_codes (const QconvLoad *load, GError **error)
{
  guint64 rows = load->layer->rows, first = 0, last = rows - 1;
  guint chunks = nunchaku_chunks (load);
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
        dst[(row - load->first) * groups + k] = line[nunchaku_interleaved (row, rows, nunchaku_chunks (load))];
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
