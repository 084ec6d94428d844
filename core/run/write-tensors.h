/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes components as the bytes of planned tensors. convert-layers.c calls it. */
#pragma once
#include "layer/components.h"
#include "run/output-file.h"

/* Writes the tensors of @l that belong to @scope of @rows, from the components @made. Copied tensors are left out */
gboolean qconv_write_tensors (OutputFile *file, const PlannedLayer *l, Scope scope, const Components *made,
                              const Rows *rows, GError **error);
/* Writes the tensors that belong to no layer */
gboolean qconv_write_given (OutputFile *file, GError **error);
