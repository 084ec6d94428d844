/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copies tensors from file to file, in pieces of the layer's task_cost bytes. convert-layers.c calls it. */
#pragma once
#include "run/write-tensors.h"

/* Returns the number of pieces of the copied tensors of @l, at least 1 */
guint64 qconv_copy_n_pieces (const PlannedLayer *l);
/* Copies one piece. The file system does it if it can, else @arena holds the piece; so it does if Inf and NaN are
   an error */
gboolean qconv_copy_piece (OutputFile *file, const PlannedLayer *l, guint64 piece, Arena *arena, GError **error);
