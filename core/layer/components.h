/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declares Components, the components of one layer in memory, and Rows, the rows to work on. */
#pragma once
#include "base/buffer.h"
#include "kernels/device.h"
#include "layer/source-layer.h"
#include "schedule/arena.h"

/**
 * Components: the components of @layer in memory.
 *
 * @buffers: by index of the component; its data are NULL if the component is absent or not loaded
 * @sources: (nullable): the components of the @n_sources sources, if the layer is composed
 * @kept: (nullable): the kept buffers of the layer's deltas, DELTA_KEPT for each delta
 * @held_first, @n_held: rows [held_first, held_first + n_held) whose row components are in memory, so that loading rows
 *   reads nothing; @n_held 0: none
 */
typedef struct _Components Components;
struct _Components {
  const Layer *layer;
  QconvBuffer *buffers;
  Components **sources;
  QconvBuffer *kept;
  guint n_sources;
  guint64 held_first, n_held;
};

/* SCOPE_LAYER: components that the layer has once (layer components). SCOPE_ROWS: components with a share for each
   row (row components) */
typedef enum { SCOPE_LAYER, SCOPE_ROWS } Scope;

/**
 * Rows: consecutive rows, and the memory to work on them.
 *
 * @first, @n: rows [first, first + n); loading and placing with SCOPE_LAYER ignore them
 * @arena: holds the results
 * @cancellable: (nullable)
 * @device: (nullable): where hooks run if it has their operations. Floats that a hook decodes there stay there, until
 *   qconv_device_fetch()
 */
typedef struct {
  guint64 first, n;
  Arena *arena;
  GCancellable *cancellable;
  DeviceTask *device;
} Rows;

/* Returns: (transfer full): the components of @layer, without data */
Components *qconv_components_new (const Layer *layer);
/* Returns: (transfer full): the components of @s, and of its sources if @s is composed, without data */
Components *qconv_components_new_source (const SourceLayer *s);
void qconv_components_free (Components *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Components, qconv_components_free)

/* Returns: (transfer none): a copy of @whole in @arena; a task may set the row components of the copy */
Components *qconv_components_view (const Components *whole, Arena *arena);
/* Returns the bytes that a view of the components of @l takes in an arena */
gsize qconv_components_view_cost (const Layer *l);

/* Returns the bytes that the @scope components of @n_rows rows take in an arena */
gsize qconv_components_cost (const Layer *l, Scope scope, guint64 n_rows);
/* Places buffers for the @scope components of @rows in the arena. Fills layer components with zeros. Fails with
   QCONV_ERROR_BUG if the arena is too small */
gboolean qconv_components_place (Components *c, Scope scope, const Rows *rows, GError **error);
/* Returns whether component @c belongs to @scope */
gboolean qconv_component_in (const QconvComponent *c, Scope scope);
/* Fails with QCONV_ERROR_BUG because the scheme of @l takes more memory than it declared; returns FALSE */
gboolean qconv_components_exhausted (const Layer *l, GError **error);
