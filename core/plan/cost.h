/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts layers into tiles that keep their memory within the limits. */
#pragma once
#include "plan/output.h"
#include "schedule/schedule.h"

/* Bytes that each thread of the check holds while it reads the written file back */
#define READ_BACK_PIECE (256u << 10)

/* Fills the tiling of @l. @verify: the check afterwards must fit, too. QCONV_ERROR_LIMIT: the layer does not fit
   @limits; the error names the memory that it needs */
gboolean qconv_cost_layer (const QconvOutput *o, PlannedLayer *l, const Limits *limits, gboolean verify,
                           GError **error);
/* Returns whether the row components of @s are loaded once and held, because rows would be read @again or in small
   pieces otherwise. They take half of the memory at most. @whole: bytes of a tile of all rows; @least: the bytes that
   the work needs besides */
gboolean qconv_cost_holds (const SourceLayer *s, gboolean again, gsize whole, gsize least, guint64 memory);
/* Fails with QCONV_ERROR_LIMIT if @layer needs more than @memory. @need: the bytes that it needs */
gboolean qconv_cost_check (const char *layer, gsize need, guint64 memory, GError **error);
