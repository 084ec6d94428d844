/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes components as the bytes of planned tensors. convert-layers.c calls it. */
#pragma once
#include "io/save.h"
#include "layer/components.h"
#include "plan/plan.h"

/* The planned output, and the file that gets it */
typedef struct {
  const QconvOutput *output;
  Save *save;
} OutputFile;

/* Writes the tensors of @l that belong to @scope of @rows, from the components @made. Copied tensors are left out */
gboolean qconv_write_tensors (const OutputFile *file, const PlannedLayer *l, Scope scope, const Components *made,
                              const Rows *rows, GError **error);
/* Writes the tensors of the whole file: the header and tensors without a layer */
gboolean qconv_write_header (const QconvPlan *plan, Save *save, GError **error);
