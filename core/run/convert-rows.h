/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One layer while it is converted, and the work on its rows. convert-layers.c takes the layers through their phases. */
#pragma once
#include "plan/plan.h"
#include "run/cast-check.h"
#include "run/long-task.h"
#include "run/output-file.h"

/* @PHASE_BEGIN: loads the layer components of the source, and its row components if they are held; @PHASE_PASS: runs
   one pass of an encoder; @PHASE_LAST: makes and writes tiles */
typedef enum { PHASE_BEGIN, PHASE_PASS, PHASE_LAST } Phase;

/**
 * LayerRun: one layer while it is worked on.
 * @number: of the layer in the plan
 * @kept: holds the layer components, in its first @components bytes, and the partial results of one pass
 * @source, @made: components of the source and of the planned layer
 * @encoder, @pass: the pass that PHASE_PASS runs
 * @partials: results of the chunks of this pass, in order, arena_cost() of one result apart
 * @seen: what the casts of a plain layer have found
 */
typedef struct {
  PlannedLayer *plan;
  guint number;
  Phase phase;
  Arena kept;
  gsize components;
  Components *source, *made;
  guint encoder, pass;
  QconvWork work;
  guint8 *partials;
  CastSeen seen;
} LayerRun;

typedef struct {
  QconvPlan *plan;
  OutputFile *file;
  Progress *progress;
  GCancellable *cancellable;
  LayerRun *runs;
} Conversion;

/* Attempt: task @number of a phase of a layer, which a device may take several tries to do.
   @first: the first row of a tile that is not done yet */
typedef struct {
  Conversion *conversion;
  LayerRun *run;
  guint number;
  LongTask *task;
  Arena *arena;
  guint64 first;
} Attempt;

/* Runs the task of an Attempt, @data, on the rows of its chunk or tile that are not done: the function of a
   DeviceWork */
gboolean qconv_convert_rows (gpointer data, guint64 most, DeviceTask *device, GError **error);
/* Returns the tile of all rows of the layer for finish(), which gets no floats. @arena: empty */
Tile qconv_layer_run_tile (const LayerRun *r, Arena *arena, GCancellable *cancellable);
/* Returns: (transfer none): the result of chunk @chunk in the pass */
guint8 *qconv_layer_run_partial (const LayerRun *r, guint64 chunk);
