/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Selects the layers of a checkpoint that a run converts. The mapping calls it. */
#pragma once
#include "graph/identify.h"

/* Returns: (transfer container) (element-type SourceLayer): the layers of @component: "diffusion", "text-encoder" or
   "vae"; all layers if it is NULL or "all". QCONV_ERROR_OPTION: the checkpoint lacks the component */
GPtrArray *qconv_select_component (const QconvModel *m, const char *component, GError **error);
/* Removes layers from @layers: those whose short names match one of @patterns (nullable, NULL-terminated), and with @id
   (nullable) those that loaders of the family do not use. QCONV_ERROR_OPTION: an expression is broken or matches
   nothing. *n: how many the family removed */
gboolean qconv_select_drop (GPtrArray *layers, const char *const *patterns, const Identity *id, guint *n,
                            GError **error);
/* Returns whether all names of @layers start with @prefix */
gboolean qconv_select_all_behind (const GPtrArray *layers, const char *prefix);
