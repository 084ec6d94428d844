/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan: for every layer what happens to it, for every output tensor its place. */
#pragma once
#include "graph/mapping.h"
#include "qconv-writer.h"

#define QCONV_DEFAULT_MEMORY ((guint64) 1 << 30)

/**
 * How:
 * @HOW_COPY: the tensor's bytes as they are
 * @HOW_CAST: a plain float in another float type
 * @HOW_DECODE: a quantized layer becomes plain
 * @HOW_MOVE: components of the same scheme and parameters
 * @HOW_ENCODE: into another scheme, through floats or by adopting components
 */
typedef enum { HOW_COPY, HOW_CAST, HOW_DECODE, HOW_MOVE, HOW_ENCODE } How;

typedef struct _PlannedLayer PlannedLayer;

/**
 * PlannedTensor: one tensor of the output and where its bytes come from.
 * @layer: (nullable): NULL: of the whole file
 * @component: index in the planned layer, -1: none
 * @copied: (nullable): the source's tensor whose bytes these are
 * @planned: as the writer said it
 */
typedef struct {
  PlannedLayer *layer;
  guint tensor; /* index in the planned directory */
  gint component;
  const QconvTensor *copied;
  QconvPlanned planned;
} PlannedTensor;

/**
 * PlannedLayer:
 * @layer: as planned
 * @input_scale: with @has_input_scale: value of the component "input_scale"
 * @tensors: PlannedTensor, owned by the output
 * @copies: every tensor that follows rows is copied, so there are no tiles
 * @options: (nullable): of its scheme, that a rule gave this layer
 * @packable: the target's scheme can hold it
 * @align: rows at which tiles may be cut
 * @tile_rows: rows of one tile of the last phase; @pass_rows: of one reading of a pass
 * @task_cost: bytes one task takes; @kept_cost: bytes kept while the layer is worked on
 */
struct _PlannedLayer {
  Layer *layer;
  SourceLayer *source;
  How how;
  const char *rule;
  GPtrArray *tensors;
  char *options;
  gboolean has_input_scale, copies, packable;
  float input_scale;
  guint64 align, tile_rows, pass_rows;
  gsize task_cost, kept_cost;
  guint64 bytes; /* in the output, but for its bias */
};

/* Everything a writer adds to */
struct _QconvOutput {
  const QconvModel *model;
  QconvDirectory *directory; /* planned tensors and the output's metadata */
  QconvValues *options;
  GPtrArray *layers;     /* PlannedLayer */
  GPtrArray *tensors;    /* PlannedTensor, by index in the directory */
  PlannedLayer *current; /* whose tensors the writer is planning */
};

struct _QconvPlan {
  QconvModel *model;
  struct _Edit *edit;   /* (nullable): owns @target */
  Mapping *mapping;     /* (nullable): NULL for edits and verbatim copies */
  struct _Loras *loras; /* (nullable): what @mapping holds besides the model */
  GPtrArray *verbatim;  /* (nullable): SourceLayer: every tensor by itself, for targets that ask no reader */
  const QconvTargetInfo *target;
  QconvOutput output;
  char *path;
  GByteArray *header;
  guint64 file_size, memory;
  guint n_threads;
  gboolean no_verify, force, allow_nonfinite, in_place;
  QconvWarnFunc warn;
  gpointer warn_data;
};

/* core/output.c */
void qconv_output_init (QconvOutput *o, const QconvModel *model, QconvValues *options);
void qconv_output_clear (QconvOutput *o);
/* Plans @l, which is @o's from now on, by the writer; the last @l may be taken back */
gboolean qconv_output_plan_layer (QconvOutput *o, const QconvWriter *w, PlannedLayer *l, GError **error);
void qconv_output_take_back (QconvOutput *o, guint n_tensors);
void qconv_planned_layer_free (PlannedLayer *l);
/* Bytes [*first, *first + *n) of @t that rows [first_row, first_row + n_rows) own; all for a whole-layer tensor */
void qconv_planned_share (const PlannedTensor *t, const QconvTensor *tensor, guint64 first_row, guint64 n_rows,
                          guint64 *first, guint64 *n);
const QconvTensor *qconv_planned_tensor (const QconvOutput *o, const PlannedTensor *t);
/* Whether tensor @t follows the rows of its layer */
gboolean qconv_planned_by_rows (const PlannedTensor *t);

/* core/plan-info.c: whether plans and reports list @l: weights, not biases and buffers */
gboolean qconv_planned_is_weight (const PlannedLayer *l);

/* core/cost.c: cuts the layer into tiles that fit, those of the check afterwards (@verify) too. QCONV_ERROR_LIMIT names
   the size that a layer needs */
gboolean qconv_cost_layer (const QconvOutput *o, PlannedLayer *l, guint64 memory, guint n_threads, gboolean verify,
                           GError **error);
/* QCONV_ERROR_LIMIT where @need bytes for @layer are more than @memory */
gboolean qconv_cost_check (const char *layer, gsize need, guint64 memory, GError **error);
/* Returns: whether a cast goes from type to type in one step; FP8 goes through F32 */
gboolean qconv_casts_directly (const PlannedLayer *l);
/* Returns: whether floats of @dtype go into @q as they are */
gboolean qconv_takes_floats (const QconvQuantizer *q, QconvDType dtype);
/* Returns: what encoder number @i of the planned layer takes */
QconvWork qconv_encoder_work (const PlannedLayer *l, guint i);
/* Whether passes read the rows before encode() does */
#define QCONV_WORK_READS(work) ((work)->n_passes > 0 && (work)->partial_size > 0)
/* Returns: (nullable): encoder number @i, in the order in which they are tried for this source */
const QconvEncoder *qconv_encoder (const PlannedLayer *l, guint i);
