/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One tile: some rows of a layer as the hooks of a quantizer see them. Loading and converting make tiles. */
#pragma once
#include "layer/components.h"

/* Bytes of a tile that stays in the processor's second-level cache between its steps, which is the fastest */
#define TILE_TARGET ((gsize) 2 << 20)
/* Bytes of the structs that describe buffers */
#define TILE_SLACK ((gsize) 8 << 10)
/* Rows of one partial result, more if rows are short. The number follows from the layer alone, so that results never
   depend on memory or threads */
#define CHUNK_ROWS(cols) MAX (512, ((guint64) 1 << 18) / MAX (cols, 1))

/**
 * Tile: a tile as core keeps it, for qconv_tile_component() and its sisters; the public part comes first.
 *
 * @components: of the tile's layer
 * @source: (nullable): of the layer whose components are adopted
 * @kept: (nullable): holds the layer components
 * @device: (nullable): where the hook may run
 * @mirrored: the hook runs there, and gets the mirrors of all buffers
 * @stream: while the hook runs: pub.stream, limited to the operations that it lists
 * @report: (nullable): gets @report_data and the share of the tile's work that is done, from 0 to 1; any thread
 * @note_round: (nullable): gets @report_data and what qconv_tile_round() was told
 */
typedef struct {
  QconvTile pub;
  const Components *components, *source;
  Arena *arena;
  const Arena *kept;
  GCancellable *cancellable;
  DeviceTask *device;
  gboolean mirrored;
  QconvStream stream;
  void (*report) (gpointer data, double share);
  void (*note_round) (gpointer data, guint round, guint n_rounds);
  gpointer report_data;
} Tile;

/* Returns a tile of @rows of @layer for one thread on the CPU, without floats and source */
Tile qconv_tile (const Layer *layer, const Components *components, const Rows *rows);
