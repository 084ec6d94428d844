/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which model a file holds. The plan, the rules and the check ask here. */
#pragma once
#include "families/identity.h"
#include "families/knowledge.h"
#include "families/layer-name.h"
#include "graph/model.h"

/* Returns what the model is, or the generic family if no other fits. Identifies it at the first call. (transfer none)
 */
const Identity *qconv_model_identity (const QconvModel *m, GError **error);
/* Returns what the model is, or NULL if it is of no known family. (transfer none) */
const Identity *qconv_model_known (const QconvModel *m, GError **error);
/* Returns the families that the model is looked up in. (transfer none) */
const Families *qconv_model_families (const QconvModel *m, GError **error);
/* Returns what @layers, a part of @m, are by themselves. (transfer full) */
Identity *qconv_layers_identify (const QconvModel *m, const GPtrArray *layers, GError **error);
/* Returns TRUE unless @id is the generic family */
gboolean qconv_identity_known (const Identity *id);
/* Returns the JSON that loaders of this variant need in the metadata, or NULL if the family file has none. (transfer
 * full)
 */
char *qconv_identity_config (const Identity *id);
/* Fails with QCONV_ERROR_OPTION if a loader that looks at the names and stored shapes of @planned takes it for another
   model than @is. @is: what @m or a part of it is */
gboolean qconv_model_check_recognised (const QconvModel *m, const Identity *is, const QconvDirectory *planned,
                                       GError **error);
/* Returns the names and logical shapes of @layers behind the model's prefix. (transfer full) */
Names *qconv_layers_names (const GPtrArray *layers, const Identity *id);
/* Returns the architecture that the file states, or NULL. (transfer none) */
const char *qconv_model_architecture (const QconvModel *m);
