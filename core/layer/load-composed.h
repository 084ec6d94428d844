/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads rows of composed layers into memory, by the functions of load-claimed.h. Other rooms call load.h; its comments
   hold here, too. */
#pragma once
#include "layer/components.h"

gsize qconv_composed_cost (const SourceLayer *s, Scope scope, guint64 n_rows);
gboolean qconv_composed_load (const SourceLayer *s, Components *c, Scope scope, const Rows *rows, GError **error);
gsize qconv_composed_floats_cost (const SourceLayer *s, guint64 n_rows, gboolean as_is);
gboolean qconv_composed_floats_load (const SourceLayer *s, Components *c, const Rows *rows, gboolean as_is,
                                     QconvBuffer *floats, GError **error);

/* The same as qconv_hold_cost() and qconv_source_hold(): holds the rows of each source that any part needs */
gsize qconv_composed_hold_cost (const SourceLayer *s);
gboolean qconv_composed_hold (const SourceLayer *s, Components *c, const Rows *rows, GError **error);
