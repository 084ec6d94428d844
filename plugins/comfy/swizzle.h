/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block scales as tensor cores read them: tiles of 128 rows and 4 columns, 512 bytes each (cuBLAS: 1D block scaling
   factors layout). Load and pack functions use them. */
#pragma once
#include <glib.h>

#define COMFY_TILE_ROWS 128
#define COMFY_TILE_COLS 4
#define COMFY_TILE_BYTES 512

static inline guint64
comfy_round_up (guint64 n, guint64 multiple)
{
  return n / multiple * multiple + (n % multiple != 0) * multiple;
}

/* Puts rows into tiles. @src: [n_rows, cols], from a row that is a multiple of 128; @dst: whole tiles, all zero */
void comfy_swizzle (const guint8 *src, gsize n_rows, gsize cols, guint8 *dst);
/* Takes rows [first, first + n_rows) out of the tiles of 128 rows at @src. @dst: [n_rows, cols] */
void comfy_unswizzle (const guint8 *src, gsize first, gsize n_rows, gsize cols, guint8 *dst);
