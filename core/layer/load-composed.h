/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of composed layers in memory. What tile.h says holds here, too. */
#pragma once
#include "layer/tile.h"

gsize qconv_composed_whole_cost (const SourceLayer *s);
gsize qconv_composed_rows_cost (const SourceLayer *s, guint64 n_rows);
gsize qconv_composed_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is);
gboolean qconv_composed_load_whole (const SourceLayer *s, Components *c, Arena *arena, GError **error);
gboolean qconv_composed_load_rows (const SourceLayer *s, Components *c, guint64 first, guint64 n, Arena *arena,
                                   GError **error);
gboolean qconv_composed_load_floats (const SourceLayer *s, Components *c, guint64 first, guint64 n, gboolean as_is,
                                     Arena *arena, GCancellable *cancellable, QconvBuffer *floats, GError **error);
