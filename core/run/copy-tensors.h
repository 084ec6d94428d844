/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tensors whose bytes go from file to file as they are, in pieces of the layer's task_cost bytes. */
#pragma once
#include "io/save.h"
#include "plan/plan.h"
#include "schedule/arena.h"

guint64 qconv_copy_n_pieces (const PlannedLayer *l);
/* The file system copies where it can; @arena holds one piece where it cannot */
gboolean qconv_copy_piece (const QconvOutput *o, const PlannedLayer *l, guint64 piece, Arena *arena, Save *save,
                           GError **error);
