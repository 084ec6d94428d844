/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unpacks tensors into components. */
#include "load.h"

#include <math.h>
#include <string.h>

#include "json-node.h"
#include "marker.h"
#include "swizzle.h"

static gboolean
no_memory (gsize n, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_LIMIT, "no memory for %" G_GSIZE_FORMAT " bytes of a layer", n);
}

/* Reads rows without the padding behind each one. */
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

static void
swap_nibbles (guint8 *bytes, gsize n)
{
  for (gsize i = 0; i < n; i++)
    bytes[i] = (guint8) (bytes[i] << 4 | bytes[i] >> 4);
}

/* Clears the nibble behind an odd last column, which holds no code. */
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
comfy_load_bytes (const QconvLoad *load, GError **error)
{
  return read_rows (load, load->component->shape.dim[1], error);
}

gboolean
comfy_load_nibbles_low (const QconvLoad *load, GError **error)
{
  guint64 cols = load->component->shape.dim[1];
  gsize row_bytes = cols / 2 + cols % 2;

  if (!read_rows (load, row_bytes, error))
    return FALSE;
  clear_rest (load, row_bytes);
  return TRUE;
}

gboolean
comfy_load_nibbles_high (const QconvLoad *load, GError **error)
{
  guint64 cols = load->component->shape.dim[1];
  gsize row_bytes = cols / 2 + cols % 2;

  if (!read_rows (load, row_bytes, error))
    return FALSE;
  swap_nibbles (load->dst, load->n * row_bytes);
  clear_rest (load, row_bytes);
  return TRUE;
}

/* Loads 6-bit codes. A row is the low nibbles, two to a byte, then the upper two bits, four to a byte (comfy-kitchen:
   tensor/w4a8_int8.py). */
gboolean
comfy_load_sixes (const QconvLoad *load, GError **error)
{
  gsize cols = load->component->shape.dim[1], low = cols / 2, stride = low + cols / 4;
  g_autofree guint8 *row = g_try_malloc (MAX (stride, 1));
  guint8 *dst = load->dst;

  if (row == NULL)
    return no_memory (stride, error);
  for (guint64 i = 0; i < load->n; i++, dst += cols)
    {
      if (!qconv_tensor_read (load->tensors[0], (load->first + i) * stride, stride, row, error))
        return FALSE;
      for (gsize col = 0; col < low * 2; col++)
        dst[col] = (guint8) ((row[col / 2] >> col % 2 * 4 & 15) | (row[low + col / 4] >> col % 4 * 2 & 3) << 4);
    }
  return TRUE;
}

/* Reads one row that starts or ends in the middle of a byte. @bytes: scratch for its bytes */
static gboolean
read_odd_row (const QconvLoad *load, guint64 row, gboolean high, guint8 *bytes, guint8 *dst, GError **error)
{
  guint64 cols = load->component->shape.dim[1], start = row * cols, first = start / 2;
  gsize n = (gsize) ((start + cols + 1) / 2 - first), row_bytes = (gsize) (cols / 2 + cols % 2);

  if (!qconv_tensor_read (load->tensors[0], first, n, bytes, error))
    return FALSE;
  if (high)
    swap_nibbles (bytes, n);
  for (gsize i = 0; i < row_bytes; i++)
    dst[i] = start % 2 == 0 ? bytes[i] : (guint8) (bytes[i] >> 4 | (i + 1 < n ? bytes[i + 1] << 4 : 0));
  dst[row_bytes - 1] &= 0x0f;
  return TRUE;
}

static gboolean
load_flat (const QconvLoad *load, gboolean high, GError **error)
{
  guint64 cols = load->component->shape.dim[1];
  gsize row_bytes = (gsize) (cols / 2 + cols % 2);
  g_autofree guint8 *bytes = NULL;

  if (cols % 2 == 0)
    {
      if (!qconv_tensor_read (load->tensors[0], load->first * row_bytes, load->n * row_bytes, load->dst, error))
        return FALSE;
      if (high)
        swap_nibbles (load->dst, load->n * row_bytes);
      return TRUE;
    }
  bytes = g_try_malloc (row_bytes + 1);
  if (bytes == NULL)
    return no_memory (row_bytes + 1, error);
  for (guint64 i = 0; i < load->n; i++)
    if (!read_odd_row (load, load->first + i, high, bytes, (guint8 *) load->dst + i * row_bytes, error))
      return FALSE;
  return TRUE;
}

gboolean
comfy_load_flat_high (const QconvLoad *load, GError **error)
{
  return load_flat (load, TRUE, error);
}

gboolean
comfy_load_flat_low (const QconvLoad *load, GError **error)
{
  return load_flat (load, FALSE, error);
}

/* Loads a tensor that has one group after the other, each with one number for every row. */
gboolean
comfy_load_across (const QconvLoad *load, GError **error)
{
  const QconvShape *s = &load->component->shape;
  gsize width = qconv_dtype_bits (load->component->dtype) / 8, n = load->tensors[0]->n_bytes;
  g_autofree guint8 *stored = g_try_malloc (MAX (n, 1));
  guint8 *dst = load->dst;

  if (stored == NULL)
    return no_memory (n, error);
  if (load->tensors[0]->dtype != load->component->dtype || n != s->dim[0] * s->dim[1] * width)
    return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\" does not have the size of its layer",
                       load->tensors[0]->name);
  if (!qconv_tensor_read (load->tensors[0], 0, n, stored, error))
    return FALSE;
  for (guint64 row = 0; row < s->dim[0]; row++)
    for (guint64 group = 0; group < s->dim[1]; group++, dst += width)
      memcpy (dst, stored + (group * s->dim[0] + row) * width, width);
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
    return no_memory (band, error);
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

gboolean
comfy_load_map (const QconvLoad *load, GError **error)
{
  const char *text = qconv_layer_hint (load->layer, COMFY_MAP);
  g_autoptr (JsonNode) json = text != NULL ? qconv_json_node_parse (text, strlen (text), error) : NULL;
  JsonArray *map = json != NULL && JSON_NODE_HOLDS_ARRAY (json) ? json_node_get_array (json) : NULL;
  float *dst = load->dst;

  for (guint i = 0; i < COMFY_MAP_SIZE; i++)
    {
      JsonNode *node = map != NULL && i < json_array_get_length (map) ? json_array_get_element (map, i) : NULL;
      gboolean number = node != NULL && (comfy_node_is (node, G_TYPE_INT64) || comfy_node_is (node, G_TYPE_DOUBLE));

      dst[i] = number ? (float) json_node_get_double (node) : NAN;
      if (!isfinite (dst[i]))
        {
          g_clear_error (error);
          return qconv_fail (error, QCONV_ERROR_INPUT, COMFY_MAP " does not hold numbers that fit F32");
        }
    }
  return TRUE;
}
