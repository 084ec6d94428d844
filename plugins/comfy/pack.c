/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packs components into tensors. */
#include "pack.h"

#include <math.h>
#include <string.h>

#include "marker.h"
#include "swizzle.h"

/* Widens rows to the padded columns. Rows of padding behind the last row stay zero. */
gboolean
comfy_pack_bytes (const QconvPack *pack, GError **error)
{
  gsize cols = pack->layer->cols, stride = comfy_round_up (cols, 32);

  for (guint64 row = 0; row < pack->n_rows; row++)
    memcpy (pack->dst + row * stride, (const guint8 *) pack->src + row * cols, cols);
  return TRUE;
}

gboolean
comfy_pack_nibbles_high (const QconvPack *pack, GError **error)
{
  guint64 cols = pack->layer->cols;
  gsize used = cols / 2, stride = comfy_round_up (cols, 16) / 2, row_bytes = used + cols % 2;

  for (guint64 row = 0; row < pack->n_rows; row++)
    {
      const guint8 *src = (const guint8 *) pack->src + row * row_bytes;
      guint8 *dst = pack->dst + row * stride;

      for (gsize i = 0; i < used; i++)
        dst[i] = (guint8) (src[i] << 4 | src[i] >> 4);
      if (cols % 2 != 0)
        dst[used] = (guint8) (src[used] << 4);
    }
  return TRUE;
}

gboolean
comfy_pack_nibbles_low (const QconvPack *pack, GError **error)
{
  memcpy (pack->dst, pack->src, pack->n_dst);
  return TRUE;
}

gboolean
comfy_pack_sixes (const QconvPack *pack, GError **error)
{
  gsize cols = pack->layer->cols, low = cols / 2, stride = low + cols / 4;

  for (guint64 row = 0; row < pack->n_rows; row++)
    {
      const guint8 *src = (const guint8 *) pack->src + row * cols;
      guint8 *dst = pack->dst + row * stride;

      for (gsize col = 0; col < low * 2; col++)
        {
          dst[col / 2] |= (guint8) ((src[col] & 15) << col % 2 * 4);
          dst[low + col / 4] |= (guint8) ((src[col] >> 4 & 3) << col % 4 * 2);
        }
    }
  return TRUE;
}

/* Packs rows without gaps. A row with an odd number of columns shares a byte with the next row; tiles of such layers
   start at even rows. */
static void
pack_flat (const QconvPack *pack, gboolean high)
{
  guint64 cols = pack->layer->cols, at = 0;
  gsize row_bytes = (gsize) (cols / 2 + cols % 2);

  for (guint64 row = 0; row < pack->n_rows; row++)
    {
      const guint8 *src = (const guint8 *) pack->src + row * row_bytes;

      for (guint64 col = 0; col < cols; col++, at++)
        {
          guint code = src[col / 2] >> col % 2 * 4 & 15, shift = (at % 2 == 0) == high ? 4 : 0;

          pack->dst[at / 2] |= (guint8) (code << shift);
        }
    }
}

gboolean
comfy_pack_flat_high (const QconvPack *pack, GError **error)
{
  pack_flat (pack, TRUE);
  return TRUE;
}

gboolean
comfy_pack_flat_low (const QconvPack *pack, GError **error)
{
  pack_flat (pack, FALSE);
  return TRUE;
}

gboolean
comfy_pack_across (const QconvPack *pack, GError **error)
{
  guint64 rows = pack->layer->rows;
  const QconvComponent *scale = qconv_layer_component (pack->layer, "scale");
  gsize width = qconv_dtype_bits (scale->dtype) / 8;
  guint64 groups = pack->n_dst / width / rows;
  const guint8 *src = pack->src;

  for (guint64 row = 0; row < rows; row++)
    for (guint64 group = 0; group < groups; group++, src += width)
      memcpy (pack->dst + (group * rows + row) * width, src, width);
  return TRUE;
}

gboolean
comfy_pack_scales_swizzled (const QconvPack *pack, GError **error)
{
  const QconvComponent *scales = qconv_layer_component (pack->layer, "block_scale");

  comfy_swizzle (pack->src, pack->n_rows, scales->shape.dim[1], pack->dst);
  return TRUE;
}

/* Appends the shortest text that is the same F32 again. JSON has no minus on a whole zero */
static void
append_number (GString *out, float value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  if (value == 0.0f && signbit (value))
    {
      g_string_append (out, "-0.0");
      return;
    }
  for (guint digits = 6; digits <= 9; digits++)
    {
      char format[] = "%.6g";

      format[2] = (char) ('0' + digits);
      g_ascii_formatd (text, sizeof text, format, (double) value);
      if ((float) g_ascii_strtod (text, NULL) == value)
        break;
    }
  g_string_append (out, text);
}

gboolean
comfy_pack_marker (const QconvPack *pack, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const float *map = pack->src;
  gsize n = 0;
  const char *start = g_bytes_get_data (pack->data, &n);

  g_string_append_len (text, start, (gssize) n);
  g_string_append (text, ", \"" COMFY_MAP "\": [");
  for (guint i = 0; i < COMFY_MAP_SIZE; i++)
    {
      if (!isfinite (map[i]))
        return qconv_fail (error, QCONV_ERROR_NON_FINITE, "the code book holds Inf or NaN");
      g_string_append (text, i > 0 ? ", " : "");
      append_number (text, map[i]);
    }
  g_string_append (text, "]}");
  if (text->len > pack->n_dst)
    return qconv_fail (error, QCONV_ERROR_BUG, "the marker of %s is longer than planned", pack->layer->name);
  memset (pack->dst, ' ', pack->n_dst);
  memcpy (pack->dst, text->str, text->len);
  return TRUE;
}
