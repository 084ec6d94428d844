/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which model a file holds. The plan, the rules and the check ask here. */
#pragma once
#include "families/identity.h"
#include "families/knowledge.h"
#include "families/layer-name.h"
#include "graph/model.h"

/* Returns: (transfer none): found at the first call; the generic family where no other fits */
const Identity *qconv_model_identity (const QconvModel *m, GError **error);
/* Returns: (transfer none) (nullable): NULL where nothing is known of the model */
const Identity *qconv_model_known (const QconvModel *m, GError **error);
/* Returns: (transfer none): those that the model was looked for in */
const Families *qconv_model_families (const QconvModel *m, GError **error);
/* What @layers of @m alone are. Returns: (transfer full) */
Identity *qconv_layers_identify (const QconvModel *m, const GPtrArray *layers, GError **error);
/* Returns: whether it is of a family that has a file */
gboolean qconv_identity_known (const Identity *id);
/* Returns: (transfer full) (nullable): JSON that loaders of this variant need in the metadata, by its family file */
char *qconv_identity_config (const Identity *id);
/* QCONV_ERROR_OPTION: a loader that looks at the names and stored shapes of @planned takes it for another model than
   @is, which @m or a part of it is */
gboolean qconv_model_check_recognised (const QconvModel *m, const Identity *is, const QconvDirectory *planned,
                                       GError **error);
/* Returns: (transfer full): all names and logical shapes behind the model's prefix */
Names *qconv_layers_names (const GPtrArray *layers, const Identity *id);
/* Returns: (transfer none) (nullable): the architecture that the file says it has */
const char *qconv_model_architecture (const QconvModel *m);
