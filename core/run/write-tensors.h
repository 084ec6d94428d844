/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Components become the bytes of planned tensors. */
#pragma once
#include "io/save.h"
#include "layer/tile.h"
#include "plan/plan.h"

/* Packs and writes all tensors of @l that are @parts of rows [first, first + n), from the components @made */
gboolean qconv_pack_tensors (const QconvOutput *o, const PlannedLayer *l, Parts parts, const Components *made,
                             guint64 first, guint64 n, Arena *arena, Save *save, GError **error);
/* Writes what belongs to the whole file: the header and tensors without layer */
gboolean qconv_pack_file (const QconvPlan *plan, Save *save, GError **error);
