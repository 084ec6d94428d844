/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that layers take, and the tiles that keep it within the limits. */
#pragma once
#include "plan/output.h"
#include "schedule/schedule.h"

/* Fills the tiling of @l. @verify: the check afterwards must fit, too. QCONV_ERROR_LIMIT: the layer does not fit
   @limits; the error names the memory that it needs */
gboolean qconv_cost_layer (const QconvOutput *o, PlannedLayer *l, const Limits *limits, gboolean verify,
                           GError **error);
/* Fails with QCONV_ERROR_LIMIT if the @need bytes of @layer are more than @memory */
gboolean qconv_cost_check (const char *layer, gsize need, guint64 memory, GError **error);
