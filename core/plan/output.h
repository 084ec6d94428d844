/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The planned output, to which a writer adds tensors and metadata. The plan fills it, the run and the check read it. */
#pragma once
#include "base/warn.h"
#include "graph/model.h"
#include "plan/planned.h"

/* OutputName: a file of the output that the writer named. @bytes: (nullable): all of it; NULL: it holds tensors */
typedef struct {
  char *name;
  GBytes *bytes;
} OutputName;

/**
 * QconvOutput: the planned output.
 *
 * @model: the model that it is made from
 * @writer: plans the tensors
 * @target: the name of the target without the writer's
 * @directory: the planned tensors and the metadata
 * @options: of the writer
 * @layers: (element-type PlannedLayer): in order
 * @tensors: (element-type PlannedTensor): by index in @directory
 * @files: (element-type OutputName): by number; empty: there is one file, or a set that the container names
 * @facts: (nullable): name → text of what is known about the model, see qconv_output_fact()
 * @warn: listener of the writer's warnings
 * @current: (nullable): the layer whose tensors the writer is planning; NULL in end()
 */
struct _QconvOutput {
  const QconvModel *model;
  const QconvWriter *writer;
  const char *target;
  QconvDirectory *directory;
  QconvValues *options;
  GPtrArray *layers, *tensors, *files;
  GHashTable *facts;
  Warn warn;
  PlannedLayer *current;
};

/* Starts with the metadata of @model and the defaults of the writer's options. Leaves out metadata that readers
   dropped, unless @target copies every tensor */
void qconv_output_init (QconvOutput *o, const QconvModel *model, const QconvTargetInfo *target);
void qconv_output_clear (QconvOutput *o);
/* Lets the writer plan the tensors of @l. @l: (transfer full), also on failure */
gboolean qconv_output_plan_layer (QconvOutput *o, PlannedLayer *l, GError **error);
/* Takes back the last planned layer; @n_tensors: the number of tensors before it */
void qconv_output_take_back (QconvOutput *o, guint n_tensors);
/* Returns: (transfer none): name, dtype, shape and place of @t */
const QconvTensor *qconv_planned_tensor (const QconvOutput *o, const PlannedTensor *t);
