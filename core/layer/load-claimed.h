/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads rows of claimed layers into memory. Other rooms call load.h, which calls this for claimed layers. */
#pragma once
#include "layer/components.h"

/* Returns the bytes that qconv_claimed_load() takes in an arena */
gsize qconv_claimed_cost (const SourceLayer *s, Scope scope, guint64 n_rows);
/* Gives @c buffers for @scope of @rows and fills them from the tensors of @s. A plain layer needs no loading */
gboolean qconv_claimed_load (const SourceLayer *s, Components *c, Scope scope, const Rows *rows, GError **error);

/* Loads the row components of @rows into @c and holds them: see qconv_source_hold() */
gboolean qconv_claimed_hold (const SourceLayer *s, Components *c, const Rows *rows, GError **error);

/* Returns: (transfer full): component @c of @s, which belongs to the whole layer; NULL if it cannot be read */
GBytes *qconv_claimed_component (const SourceLayer *s, const QconvComponent *c);

/* Returns the bytes that qconv_claimed_floats_load() takes in an arena */
gsize qconv_claimed_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is);
/* Loads @rows of @s as floats: in their own type with @as_is (plain layers only), else as F32. @c: the components of
   @s, those of the whole layer loaded; NULL for plain layers */
gboolean qconv_claimed_floats_load (const SourceLayer *s, Components *c, const Rows *rows, gboolean as_is,
                                    QconvBuffer *floats, GError **error);
