/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "comfy.h"

/* Rows as they are stored, less the padding behind them */
static gboolean
read_rows (const QconvLoad *load, gsize row_bytes, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  gsize stride = t->shape.dim[1];

  if (stride == row_bytes)
    return qconv_tensor_read (t, load->first * stride, load->n * stride, load->dst, error);
  for (guint64 row = 0; row < load->n; row++)
    if (!qconv_tensor_read (t, (load->first + row) * stride, row_bytes, (guint8 *) load->dst + row * row_bytes, error))
      return FALSE;
  return TRUE;
}

/* The nibble behind an odd last column is nobody's */
static void
clear_rest (const QconvLoad *load, gsize row_bytes)
{
  guint8 *dst = load->dst;

  if (load->component->shape.dim[1] % 2 == 0)
    return;
  for (guint64 row = 0; row < load->n; row++)
    dst[(row + 1) * row_bytes - 1] &= 0x0f;
}

gboolean
comfy_load_codes_low (const QconvLoad *load, GError **error)
{
  guint64 cols = load->component->shape.dim[1];
  gsize row_bytes = cols / 2 + cols % 2;

  if (!read_rows (load, row_bytes, error))
    return FALSE;
  clear_rest (load, row_bytes);
  return TRUE;
}

gboolean
comfy_load_codes_high (const QconvLoad *load, GError **error)
{
  guint64 cols = load->component->shape.dim[1];
  gsize row_bytes = cols / 2 + cols % 2, n = load->n * row_bytes;
  guint8 *dst = load->dst;

  if (!read_rows (load, row_bytes, error))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    dst[i] = (guint8) (dst[i] << 4 | dst[i] >> 4);
  clear_rest (load, row_bytes);
  return TRUE;
}

gboolean
comfy_load_scales_plain (const QconvLoad *load, GError **error)
{
  return read_rows (load, load->component->shape.dim[1], error);
}

gboolean
comfy_load_scales_swizzled (const QconvLoad *load, GError **error)
{
  gsize cols = load->component->shape.dim[1];
  gsize band = COMFY_TILE_ROWS * comfy_round_up (cols, COMFY_TILE_COLS);
  g_autofree guint8 *tiles = g_try_malloc (band);
  guint64 done = 0;

  if (tiles == NULL)
    return qconv_fail (error, QCONV_ERROR_LIMIT, "no memory for %" G_GSIZE_FORMAT " bytes of block scales", band);
  while (done < load->n)
    {
      guint64 row = load->first + done, inside = row % COMFY_TILE_ROWS;
      guint64 n = MIN (load->n - done, COMFY_TILE_ROWS - inside);

      if (!qconv_tensor_read (load->tensors[0], row / COMFY_TILE_ROWS * band, band, tiles, error))
        return FALSE;
      comfy_unswizzle (tiles, inside, n, cols, (guint8 *) load->dst + done * cols);
      done += n;
    }
  return TRUE;
}
