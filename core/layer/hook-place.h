/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a hook of a quantizer runs: on the processor, or on the device of its task. hooks.c asks for every hook that
   works on a tile. */
#pragma once
#include "layer/tile.h"

/**
 * HookBuffers: what a hook does with its buffers. It reads all others.
 *
 * @operations: (nullable): the list of the hook
 * @fills_components: it fills the components of the tile that follow rows, and those of the whole layer if the tile has
 *   all rows
 * @fills_floats: it fills the floats of the tile
 * @partial: (nullable): it adds to this
 */
typedef struct {
  const QconvOpName *operations;
  gboolean fills_components, fills_floats;
  QconvBuffer *partial;
} HookBuffers;

/* Limits @tile to the operations of @use. If the device of @tile has them all, the hook gets mirrors of its buffers
   there; else floats that only the device has come back to the host */
gboolean qconv_hook_place (Tile *tile, const HookBuffers *use, GError **error);
/* Returns: (transfer none) (nullable): use->partial as the hook of @tile gets it */
QconvBuffer *qconv_hook_partial (const Tile *tile, const HookBuffers *use);
/* Brings to the host what the hook of @tile made on the device. Floats that it decoded stay there until a hook on the
   processor needs them, or qconv_device_fetch(). @host: the tile before qconv_hook_place() */
gboolean qconv_hook_collect (const Tile *tile, const Tile *host, const HookBuffers *use, GError **error);
