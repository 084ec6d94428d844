/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Orders numbers as nunchaku's kernels read them. A 32-bit item is 8 codes, 4 scales of FP4 or 2 numbers of a factor:
   the kernels keep these neighbours together, so that all orders but that of AWQ only move whole items. */
#include "packing.h"

#include <string.h>

/* ---- Orders ---- */

/* A warp reads 16 rows × 64 columns: 32 lanes of 8 rows × 4 columns of 8 codes, for each of which rows 8 apart, then
   columns 32 apart follow each other. */
static guint
place_codes (guint row, guint item)
{
  return ((row / 16 * 8 + row % 8) * 4 + item % 4) * 4 + row / 8 % 2 * 2 + item / 4;
}

static guint
place_number (guint row, guint item)
{
  return row / 16 * 16 + row / 2 % 4 * 4 + row / 8 % 2 * 2 + row % 2;
}

static guint
place_micro_scales (guint row, guint item)
{
  return row % 8 * 16 + row / 8 % 4 * 4 + row / 32;
}

static guint
place_factor (guint row, guint item)
{
  return row % 8 * 16 + item % 4 * 4 + row / 8 * 2 + item / 4;
}

const NunchakuLayout nunchaku_codes = { NUNCHAKU_BLOCK, 8, 4, FALSE, place_codes };
const NunchakuLayout nunchaku_numbers = { NUNCHAKU_BLOCK, 1, 2, FALSE, place_number };
const NunchakuLayout nunchaku_micro_scales = { NUNCHAKU_BLOCK, 1, 4, FALSE, place_micro_scales };
const NunchakuLayout nunchaku_factor_down = { NUNCHAKU_FACTOR, 8, 4, TRUE, place_factor };
const NunchakuLayout nunchaku_factor_up = { NUNCHAKU_FACTOR, 8, 4, FALSE, place_factor };

/* ---- Tiles ---- */

/* Returns the bytes of one row of a tile. */
static gsize
width_of (const NunchakuLayout *l)
{
  return (gsize) l->items * l->item_size;
}

gsize
nunchaku_tile_size (const NunchakuLayout *l)
{
  return l->rows * width_of (l);
}

NunchakuGrid
nunchaku_grid (const NunchakuLayout *l, guint64 n_rows, gsize row_bytes)
{
  return (NunchakuGrid) { .across = row_bytes / width_of (l) + (row_bytes % width_of (l) != 0),
                          .down = (gsize) (n_rows / l->rows + (n_rows % l->rows != 0)) };
}

/* Copies the items of one row of a tile that lie at @at … @row_bytes of the row. @unpack: from the tile to the row */
static void
move_row (const NunchakuLayout *l, guint8 *tile, guint place_row, guint8 *row, gsize n, gboolean unpack)
{
  for (guint item = 0; item < l->items && item * l->item_size < n; item++)
    {
      gsize bytes = MIN (l->item_size, n - item * l->item_size);
      guint8 *packed = tile + (gsize) l->place (place_row, item) * l->item_size, *plain = row + item * l->item_size;

      if (unpack)
        memcpy (plain, packed, bytes);
      else
        memcpy (packed, plain, bytes);
    }
}

/* Copies all items of @rows between them and the tiles at @packed. */
static void
move_rows (const NunchakuLayout *l, guint8 *packed, const NunchakuGrid *grid, const NunchakuRows *rows, gboolean unpack)
{
  for (guint64 i = 0; i < rows->n; i++)
    for (gsize column = 0; column < grid->across && column * width_of (l) < rows->row_bytes; column++)
      {
        gsize row = (gsize) (rows->first + i), at = column * width_of (l);
        gsize number = l->by_columns ? column * grid->down + row / l->rows : row / l->rows * grid->across + column;

        move_row (l, packed + number * nunchaku_tile_size (l), (guint) (row % l->rows),
                  rows->data + i * rows->row_bytes + at, rows->row_bytes - at, unpack);
      }
}

void
nunchaku_pack (const NunchakuLayout *l, const NunchakuRows *rows, const NunchakuGrid *grid, guint32 fill, guint8 *dst)
{
  gsize size = grid->across * grid->down * nunchaku_tile_size (l);
  guint32 pattern = GUINT32_TO_LE (fill);

  for (gsize at = 0; at < size; at += sizeof pattern)
    memcpy (dst + at, &pattern, sizeof pattern);
  move_rows (l, dst, grid, rows, FALSE);
}

void
nunchaku_unpack (const NunchakuLayout *l, const guint8 *src, const NunchakuGrid *grid, const NunchakuRows *rows)
{
  move_rows (l, (guint8 *) src, grid, rows, TRUE);
}

/* ---- AWQ ---- */

/* Sets @row to the bytes that hold the 16 words of one row in a stretch of 64 columns. */
static guint8 *
awq_words (guint8 *block, gsize column, guint place)
{
  return block + column / 64 * 128 + place * 32;
}

/* Word i of a half of 32 columns holds the codes of columns i, i + 8, i + 16 and i + 24, the first in the lowest
   bits. */
static guint
code_at (const guint8 *codes, gsize column)
{
  return codes[column / 2] >> column % 2 * 4 & 15;
}

void
nunchaku_pack_awq_row (const guint8 *codes, gsize cols, guint place, guint8 *block)
{
  for (gsize column = 0; column < cols; column += 64)
    for (guint word = 0; word < 16; word++)
      {
        gsize at = column + word / 8 * 32 + word % 8;
        guint8 *dst = awq_words (block, column, place) + word * 2;

        dst[0] = (guint8) (code_at (codes, at) | code_at (codes, at + 8) << 4);
        dst[1] = (guint8) (code_at (codes, at + 16) | code_at (codes, at + 24) << 4);
      }
}

void
nunchaku_unpack_awq_row (const guint8 *block, gsize cols, guint place, guint8 *codes)
{
  for (gsize column = 0; column < cols; column += 64)
    {
      const guint8 *words = awq_words ((guint8 *) block, column, place);

      for (gsize pair = 0; pair < 32; pair++) /* columns 2 * pair and 2 * pair + 1 */
        {
          gsize low = pair / 16 * 16 + pair * 2 % 8 * 2 + pair / 8 % 2, shift = pair / 4 % 2 * 4;

          codes[column / 2 + pair] = (guint8) ((words[low] >> shift & 15) | (words[low + 2] >> shift & 15) << 4);
        }
    }
}

/* ---- Modulation ---- */

guint64
nunchaku_interleaved (guint64 row, guint64 rows, guint chunks)
{
  guint64 width = rows / chunks;

  return row % width * chunks + row / width;
}

guint64
nunchaku_deinterleaved (guint64 file_row, guint64 rows, guint chunks)
{
  return file_row % chunks * (rows / chunks) + file_row / chunks;
}

gboolean
nunchaku_is_raised (guint chunk, guint chunks)
{
  return chunk == 1 || (chunks == 6 && chunk == 4);
}
