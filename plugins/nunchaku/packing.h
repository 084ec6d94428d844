/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How nunchaku's kernels want numbers to lie in memory, and the way back to plain rows. Load functions and the tests
   call it. Nothing here knows tensors or files.

   Source of the orders: deepcompressor's packer (deepcompressor/backend/nunchaku/utils.py: NunchakuWeightPacker,
   backend/tinychat/utils.py: pack_w4) and the kernels that read them (nunchaku: src/kernels/zgemm/gemm_base.cuh,
   src/kernels/awq/gemv_awq.cu). */
#pragma once
#include <glib.h>
G_BEGIN_DECLS

/* Rows of one block of W4A4 weights, scales and vectors */
#define NUNCHAKU_BLOCK 128
/* Rows and columns of a tile of the low-rank factors */
#define NUNCHAKU_FACTOR 16
/* Rows of one block of AWQ weights */
#define NUNCHAKU_AWQ_ROWS 4
/* Columns that share a scale in INT4 and AWQ layers, and in FP4 layers */
#define NUNCHAKU_GROUP_INT4 64
#define NUNCHAKU_GROUP_FP4 16

/**
 * NunchakuLayout: an order of items. A matrix is cut into tiles. The items of one tile lie together in the order of
 * place(); tiles lie row of tiles by row of tiles, or @by_columns column of tiles by column of tiles.
 *
 * @rows, @items: of one tile; an item is @item_size bytes (2 or 4) of a row
 * @place: returns the number of the item within its tile
 */
typedef struct {
  guint rows, items, item_size;
  gboolean by_columns;
  guint (*place) (guint row, guint item);
} NunchakuLayout;

/* "qweight": rows of 4-bit codes, the even column in the low half of a byte. A tile has 128 rows and 64 columns */
extern const NunchakuLayout nunchaku_codes;
/* "wscales" of INT4: rows of 16-bit numbers, one for each group. A tile has 128 rows and one group. Rows of one number
   are the vectors "bias", "smooth", "smooth_orig" and "wcscales" */
extern const NunchakuLayout nunchaku_numbers;
/* "wscales" of FP4: rows of E4M3 bytes, one for each group. A tile has 128 rows and 4 groups */
extern const NunchakuLayout nunchaku_micro_scales;
/* "lora_down", rows of which are ranks, and "lora_up", rows of which are outputs: 16-bit numbers, tiles of 16 × 16 */
extern const NunchakuLayout nunchaku_factor_down, nunchaku_factor_up;

/* Returns the bytes of one tile. */
gsize nunchaku_tile_size (const NunchakuLayout *l);

/**
 * NunchakuRows: @n rows of @row_bytes bytes each, back to back at @data, which start at row @first of the tiles.
 */
typedef struct {
  guint8 *data;
  gsize row_bytes;
  guint64 first, n;
} NunchakuRows;

/* The tiles of a packed matrix: @across side by side, @down rows of them. */
typedef struct {
  gsize across, down;
} NunchakuGrid;
/* Returns the fewest tiles that hold @n_rows rows of @row_bytes bytes. */
NunchakuGrid nunchaku_grid (const NunchakuLayout *l, guint64 n_rows, gsize row_bytes);

/* Packs @rows, which start at row 0, into the tiles of @grid at @dst. Rows and items that do not exist become @fill, a
   little-endian pattern of four bytes. */
void nunchaku_pack (const NunchakuLayout *l, const NunchakuRows *rows, const NunchakuGrid *grid, guint32 fill,
                    guint8 *dst);
/* Unpacks @rows from the tiles of @grid at @src. */
void nunchaku_unpack (const NunchakuLayout *l, const guint8 *src, const NunchakuGrid *grid, const NunchakuRows *rows);

/* Packs one row of @cols 4-bit AWQ codes, a multiple of 64, as row @place (0 … 3) of the block at @block, which has
   2 * @cols bytes for four rows. */
void nunchaku_pack_awq_row (const guint8 *codes, gsize cols, guint place, guint8 *block);
/* Unpacks row @place of the block. */
void nunchaku_unpack_awq_row (const guint8 *block, gsize cols, guint place, guint8 *codes);

/* Returns the row of the file that holds row @row of a modulation layer of @rows rows in @chunks chunks (shift, scale,
   gate …): files hold the rows of all chunks in turn (nunchaku/models/normalization.py). */
guint64 nunchaku_interleaved (guint64 row, guint64 rows, guint chunks);
/* Does the reverse. */
guint64 nunchaku_deinterleaved (guint64 file_row, guint64 rows, guint chunks);
/* Returns whether biases of chunk @chunk are larger by 1 in files, because the kernels multiply by the scale itself
   instead of 1 + scale. */
gboolean nunchaku_is_raised (guint chunk, guint chunks);
G_END_DECLS
