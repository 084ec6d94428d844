/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of a source as components and floats in memory. */
#pragma once
#include "base/buffer.h"
#include "layer/source-layer.h"
#include "schedule/arena.h"

/* A tile that stays in the processor's second-level cache between its steps is the fastest */
#define TILE_TARGET ((gsize) 2 << 20)
/* Buffers that describe buffers */
#define TILE_SLACK ((gsize) 8 << 10)
/* Rows of one partial result, more where rows are short: from the layer alone, so that results never depend on
   memory or threads */
#define CHUNK_ROWS(cols) MAX (512, ((guint64) 1 << 18) / MAX (cols, 1))

/* The components of @layer in memory, by index; data NULL: absent or not loaded. @sources: (nullable) those of the
   layers that it is composed of; @kept: (nullable) what deltas of the layer keep */
typedef struct _Components Components;
struct _Components {
  const Layer *layer;
  QconvBuffer *buffers;
  Components **sources;
  QconvBuffer *kept;
  guint n_sources;
};

/* What qconv_tile_component() and its sisters look into; the public part comes first */
typedef struct {
  QconvTile pub;
  const Components *components, *source;
  Arena *arena;
  GCancellable *cancellable;
} Tile;

/* Which components: those of the whole layer, or the share of some rows */
typedef enum { PARTS_WHOLE, PARTS_ROWS } Parts;

/* Returns: (transfer full): no data yet */
Components *qconv_components_new (const Layer *layer);
Components *qconv_components_new_source (const SourceLayer *s);
void qconv_components_free (Components *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Components, qconv_components_free)

/* Returns: (transfer none): a copy of @whole in @arena, whose row components a task may set */
Components *qconv_components_view (const Components *whole, Arena *arena);

/* Returns: bytes that buffers for @parts of @n_rows rows take in an arena */
gsize qconv_parts_cost (const Layer *l, Parts parts, guint64 n_rows);
/* Returns: what qconv_parts_load() takes */
gsize qconv_source_cost (const SourceLayer *s, Parts parts, guint64 n_rows);
/* Gives @c buffers for @parts of rows [first, first + n) */
gboolean qconv_parts_place (Components *c, Parts parts, guint64 first, guint64 n, Arena *arena, GError **error);
/* The same, and fills them from @s */
gboolean qconv_parts_load (const SourceLayer *s, Components *c, Parts parts, guint64 first, guint64 n, Arena *arena,
                           GError **error);

/* Returns: bytes in an arena that loading @n_rows rows as floats takes; @as_is: plain floats that need no conversion */
gsize qconv_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is);
/* Rows [first, first + n) of @s as floats: in their own type with @as_is, else F32. @c: of @s, with whole-layer
   components loaded */
gboolean qconv_floats_load (const SourceLayer *s, Components *c, guint64 first, guint64 n, gboolean as_is, Arena *arena,
                            GCancellable *cancellable, QconvBuffer *floats, GError **error);
/* QCONV_ERROR_NON_FINITE, naming @s, where @floats hold Inf or NaN */
gboolean qconv_floats_check (const SourceLayer *s, QconvBuffer *floats, GError **error);
/* Swaps @n bytes of items of @dtype */
void qconv_swap_items (guint8 *data, gsize n, QconvDType dtype);
