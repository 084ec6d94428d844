/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "comfy.h"

/* Rows become as wide as the padded columns; rows of padding behind the last one stay zero */
gboolean
comfy_pack_codes_high (const QconvPack *pack, GError **error)
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
comfy_pack_scales_swizzled (const QconvPack *pack, GError **error)
{
  comfy_swizzle (pack->src, pack->n_rows, comfy_round_up (pack->layer->cols, 16) / 16, pack->dst);
  return TRUE;
}
