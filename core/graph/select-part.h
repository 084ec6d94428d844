/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which layers of a checkpoint are taken along. */
#pragma once
#include "graph/identify.h"

/* @component: (nullable): "diffusion", "text-encoder", "vae"; NULL and "all": everything. QCONV_ERROR_OPTION: there is
   nothing of it. Returns: (transfer container) (element-type SourceLayer) */
GPtrArray *qconv_select_component (const QconvModel *m, const char *component, GError **error);
/* Removes layers whose short names match one of @patterns (nullable, NULL-terminated) from @layers, and with @id
   (nullable) those that loaders of the family have no use for. QCONV_ERROR_OPTION: an expression is broken or matches
   nothing. *n: how many the family removed */
gboolean qconv_select_drop (GPtrArray *layers, const char *const *patterns, const Identity *id, guint *n,
                            GError **error);
/* Whether all names of @layers start with @prefix */
gboolean qconv_select_all_behind (const GPtrArray *layers, const char *prefix);
