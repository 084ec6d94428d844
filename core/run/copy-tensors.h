/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tensors whose bytes go from file to file as they are, in pieces of the layer's task_cost bytes. */
#pragma once
#include "run/write-tensors.h"

/* Returns: how many pieces the copied tensors of @l have, at least 1 */
guint64 qconv_copy_n_pieces (const PlannedLayer *l);
/* Copies one piece. The file system does it if it can, else @arena holds the piece */
gboolean qconv_copy_piece (const OutputFile *file, const PlannedLayer *l, guint64 piece, Arena *arena, GError **error);
