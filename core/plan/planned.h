/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The planned layers and tensors of the output. The plan fills them; the run and the check read them. */
#pragma once
#include "layer/source-layer.h"
#include "qconv-writer.h"

/**
 * How: what happens to a layer.
 *
 * @HOW_COPY: the bytes of its tensor are copied
 * @HOW_CAST: plain floats become floats of another type
 * @HOW_DECODE: a quantized layer becomes plain
 * @HOW_MOVE: its components are moved: same scheme, same parameters
 * @HOW_ENCODE: it is encoded in another scheme, from floats or from components that the scheme adopts
 */
typedef enum { HOW_COPY, HOW_CAST, HOW_DECODE, HOW_MOVE, HOW_ENCODE } How;

typedef struct _PlannedLayer PlannedLayer;

/**
 * PlannedTensor: one tensor of the output and the source of its bytes.
 *
 * @layer: (nullable): the layer of the tensor; NULL: it belongs to the whole file
 * @tensor: index in the planned directory
 * @component: index in the planned layer; -1: none
 * @copied: (nullable): the tensor of the source whose bytes are copied
 * @dtype, @pack, @run, @data, @load: as the writer planned it, see #QconvPlanned
 */
typedef struct {
  PlannedLayer *layer;
  guint tensor;
  gint component;
  const QconvTensor *copied;
  QconvDType dtype;
  QconvPackFunc pack;
  QconvRun run;
  GBytes *data;
  QconvLoadFunc load;
} PlannedTensor;

/**
 * Tiling: the tasks into which a layer is cut, and their memory. cost.c fills it.
 *
 * @align: rows at which tiles may be cut
 * @rows: of one tile of the last phase; a pass reads as many at once
 * @holds: the row components of the source are loaded once, before the first tile
 * @n_threads: threads that a hook of one task may use: 1 unless a tile is the whole layer
 * @task_cost: bytes that one task takes
 * @kept_cost: bytes that are kept from the layer's first task to its last
 * @check_task_cost, @check_kept_cost: the same of the check; 0: the layer is not checked
 * @check_least: the bytes without which the check cannot run
 */
typedef struct {
  guint64 align, rows;
  gboolean holds;
  guint n_threads;
  gsize task_cost, kept_cost;
  gsize check_task_cost, check_kept_cost, check_least;
} Tiling;

/**
 * PlannedLayer: one layer of the output.
 *
 * @layer: the layer of the output
 * @source: the layer that it is made from
 * @rule: the name of the rule that decided, as plans show it
 * @tensors: (element-type PlannedTensor): owned by the output
 * @options: (nullable): "key=value,…" of its scheme, that a rule gave to this layer
 * @input_scale: value of the component "input_scale", if @has_input_scale
 * @copies: every tensor that follows rows is copied, so there are no tiles
 * @packable: the target's scheme can hold it
 * @finite: the run fails if a plain layer holds Inf or NaN
 * @bias: (nullable): fills the component QCONV_BIAS of @layer
 * @adopted: the run took the components of another scheme, which changes a value at most by rounding
 * @bytes: of its tensors in the output, without the bias
 */
struct _PlannedLayer {
  Layer *layer;
  SourceLayer *source, *bias;
  How how;
  const char *rule;
  GPtrArray *tensors;
  char *options;
  gboolean has_input_scale, copies, packable, finite, adopted;
  float input_scale;
  Tiling tiling;
  guint64 bytes;
};

/* Returns: (transfer full): a planned layer without tensors. @layer: (transfer full) */
PlannedLayer *qconv_planned_layer_new (Layer *layer, SourceLayer *source, How how, const char *rule);
void qconv_planned_layer_free (PlannedLayer *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PlannedLayer, qconv_planned_layer_free)
/* Returns whether plans and reports list @l: weights, not biases and buffers */
gboolean qconv_planned_is_weight (const PlannedLayer *l);

/* Returns whether the bytes of tensor @t follow the rows of its layer */
gboolean qconv_planned_by_rows (const PlannedTensor *t);
/* Finds the bytes [*first, *first + *n) of @t, @n_bytes long, that rows [first_row, first_row + n_rows) own: all bytes
   if @t belongs to the whole layer */
void qconv_planned_share (const PlannedTensor *t, guint64 n_bytes, guint64 first_row, guint64 n_rows, guint64 *first,
                          guint64 *n);
