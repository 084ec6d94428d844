/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads a layer, claimed or composed. The plan asks for the costs, the run and the check load. */
#pragma once
#include "layer/components.h"

/* Returns the bytes that qconv_components_load() takes in an arena */
gsize qconv_source_cost (const SourceLayer *s, Scope scope, guint64 n_rows);
/* Gives @c buffers for @scope of @rows and fills them from @s. @c: of qconv_components_new_source() or a view of it */
gboolean qconv_components_load (const SourceLayer *s, Components *c, Scope scope, const Rows *rows, GError **error);

/* Returns the bytes in an arena that qconv_source_hold() takes; 0: nothing of @s is stored as codes */
gsize qconv_hold_cost (const SourceLayer *s);
/* Loads the row components of @s into @c and holds them: views of @c then load rows without reading. Plain numbers are
   not held */
gboolean qconv_source_hold (const SourceLayer *s, Components *c, const Rows *rows, GError **error);

/* Returns the bytes in an arena that @n_rows rows take when they are loaded as floats. @as_is: plain floats that need
   no conversion */
gsize qconv_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is);
/* Loads @rows of @s as floats: in their own type with @as_is, else as F32. @c: the components of @s, those of the whole
   layer loaded */
gboolean qconv_floats_load (const SourceLayer *s, Components *c, const Rows *rows, gboolean as_is, QconvBuffer *floats,
                            GError **error);
/* Returns the bytes in an arena that qconv_errors_load() takes */
gsize qconv_errors_cost (const SourceLayer *s, guint64 n_rows);
/* Loads the largest error of each item of @rows, as F32. @errors: without data if the reader of @s states none */
gboolean qconv_errors_load (const SourceLayer *s, const Rows *rows, QconvBuffer *errors, GError **error);
/* Counts the items of @floats that are Inf or NaN */
gboolean qconv_floats_nonfinite (QconvBuffer *floats, guint64 *n, GError **error);
/* Fails with QCONV_ERROR_NON_FINITE if @floats hold Inf or NaN. @t: (nullable): where they may have been decoded */
gboolean qconv_floats_check (QconvBuffer *floats, DeviceTask *t, GError **error);
