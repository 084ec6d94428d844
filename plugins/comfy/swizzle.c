/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves block scales between rows and tiles. */
#include "swizzle.h"

#include <string.h>

/* Returns the place of the first four columns of a row. The next four are one tile further. */
static gsize
row_offset (gsize row, gsize tiles_per_row)
{
  return row / COMFY_TILE_ROWS * tiles_per_row * COMFY_TILE_BYTES + row % 32 * 16 + row % COMFY_TILE_ROWS / 32 * 4;
}

void
comfy_swizzle (const guint8 *src, gsize n_rows, gsize cols, guint8 *dst)
{
  gsize tiles = cols / COMFY_TILE_COLS, rest = cols % COMFY_TILE_COLS;

  for (gsize row = 0; row < n_rows; row++)
    {
      const guint8 *from = src + row * cols;
      guint8 *to = dst + row_offset (row, tiles + (rest != 0));

      for (gsize tile = 0; tile < tiles; tile++)
        memcpy (to + tile * COMFY_TILE_BYTES, from + tile * COMFY_TILE_COLS, COMFY_TILE_COLS);
      memcpy (to + tiles * COMFY_TILE_BYTES, from + tiles * COMFY_TILE_COLS, rest);
    }
}

void
comfy_unswizzle (const guint8 *src, gsize first, gsize n_rows, gsize cols, guint8 *dst)
{
  gsize tiles = cols / COMFY_TILE_COLS, rest = cols % COMFY_TILE_COLS;

  for (gsize row = 0; row < n_rows; row++)
    {
      const guint8 *from = src + row_offset (first + row, tiles + (rest != 0));
      guint8 *to = dst + row * cols;

      for (gsize tile = 0; tile < tiles; tile++)
        memcpy (to + tile * COMFY_TILE_COLS, from + tile * COMFY_TILE_BYTES, COMFY_TILE_COLS);
      memcpy (to + tiles * COMFY_TILE_COLS, from + tiles * COMFY_TILE_BYTES, rest);
    }
}
