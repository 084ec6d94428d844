/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The components of a layer in memory, and which rows of them are meant. */
#pragma once
#include "base/buffer.h"
#include "layer/source-layer.h"
#include "schedule/arena.h"

/**
 * Components: the components of @layer in memory.
 *
 * @buffers: by index of the component; data NULL: absent or not loaded
 * @sources: (nullable): of a composed layer: the components of its @n_sources sources
 * @kept: (nullable): what the layer's deltas keep, DELTA_KEPT for each
 */
typedef struct _Components Components;
struct _Components {
  const Layer *layer;
  QconvBuffer *buffers;
  Components **sources;
  QconvBuffer *kept;
  guint n_sources;
};

/* Which components are meant: those of the whole layer, or those that follow rows */
typedef enum { SCOPE_LAYER, SCOPE_ROWS } Scope;

/**
 * Rows: a run of rows and what working on it takes.
 *
 * @first, @n: rows [first, first + n); with SCOPE_LAYER they do not matter
 * @arena: where the results go
 * @cancellable: (nullable)
 */
typedef struct {
  guint64 first, n;
  Arena *arena;
  GCancellable *cancellable;
} Rows;

/* Returns: (transfer full): no data yet */
Components *qconv_components_new (const Layer *layer);
/* Returns: (transfer full): the same for a source, with those of its own sources if it is composed */
Components *qconv_components_new_source (const SourceLayer *s);
void qconv_components_free (Components *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Components, qconv_components_free)

/* Returns: (transfer none): a copy of @whole in @arena, whose row components a task may set */
Components *qconv_components_view (const Components *whole, Arena *arena);
/* Returns: bytes that a view of the components of @l takes in an arena */
gsize qconv_components_view_cost (const Layer *l);

/* Returns: bytes that buffers for @scope of @n_rows rows take in an arena */
gsize qconv_components_cost (const Layer *l, Scope scope, guint64 n_rows);
/* Gives @c buffers for @scope of @rows; those of the whole layer are zeros. QCONV_ERROR_BUG: the arena is too small */
gboolean qconv_components_place (Components *c, Scope scope, const Rows *rows, GError **error);
/* Returns: whether component @c belongs to @scope */
gboolean qconv_component_in (const QconvComponent *c, Scope scope);
/* Fails with QCONV_ERROR_BUG because the scheme of @l takes more memory than it declared; returns FALSE */
gboolean qconv_components_exhausted (const Layer *l, GError **error);
