/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Identifies the model in a file. The plan, the rules and the check call it. */
#pragma once
#include "families/identity.h"
#include "families/knowledge.h"
#include "families/layer-name.h"
#include "graph/model.h"

/* Returns the identity of the model, or the generic family if no other fits. Identifies the model at the first call.
   (transfer none) */
const Identity *qconv_model_identity (const QconvModel *m, GError **error);
/* Returns the identity of the model, or NULL if it is of no known family. (transfer none) */
const Identity *qconv_model_known (const QconvModel *m, GError **error);
/* Returns the families in which the model is looked up. (transfer none) */
const Families *qconv_model_families (const QconvModel *m, GError **error);
/* Returns the identity of @layers, a part of @m, as a model of their own. @start: the start of its names in the
   checkpoint, or "". (transfer full) */
Identity *qconv_layers_identify (const QconvModel *m, const GPtrArray *layers, const char *start, GError **error);
/* Returns TRUE unless @id is the generic family */
gboolean qconv_identity_known (const Identity *id);
/* Returns the JSON that loaders of this variant need in the metadata, or NULL if the family file has none. (transfer
   full) */
char *qconv_identity_config (const Identity *id);
/* Fails with QCONV_ERROR_UNSUPPORTED because names of @id, the identity of @m or of a part of it, cannot become those
   of @naming; names the families that can. Returns FALSE */
gboolean qconv_identity_lacks_naming (const QconvModel *m, const Identity *id, const char *naming, GError **error);
/* Fails with QCONV_ERROR_OPTION if a loader that looks at the names and stored shapes of @planned takes it for another
   model than @is. @is: the identity of @m or of a part of it */
gboolean qconv_model_check_recognised (const QconvModel *m, const Identity *is, const QconvDirectory *planned,
                                       GError **error);
/* Returns: (transfer none) (nullable): the first of @namings (nullable), which ends with NULL, that the family of @id
   can write; if there is none, "original" if it is one of them, else the first */
const char *qconv_identity_choose_naming (const Identity *id, const char *const *namings);
/* Returns the names and logical shapes of @layers behind the model's prefix. (transfer full) */
Names *qconv_layers_names (const GPtrArray *layers, const Identity *id);
/* Returns the tensors that loaders of @id's family need and @layers, a part of @m, lack. If the family is not known,
   returns those by which the file differs from the family to which nearly all of its names belong. Sets @of to the
   family, or NULL. (transfer full) (element-type utf8) */
GPtrArray *qconv_layers_missing (const QconvModel *m, const GPtrArray *layers, const Identity *id, const Family **of);
/* Returns the architecture that the file states, or NULL. (transfer none) */
const char *qconv_model_architecture (const QconvModel *m);
/* Returns the architecture that the file states, else the one that files of the model @id state, or NULL. (transfer
   none) */
const char *qconv_model_architecture_of (const QconvModel *m, const Identity *id);
/* Returns "plain" or "permuted" if the user stated the order of rows in attention heads, or NULL. (transfer none) */
const char *qconv_model_row_order (const QconvModel *m);
/* Returns whether the file or the user states the rows of an attention head, or the number of heads. @id: with
   dimensions */
gboolean qconv_model_states_heads (const QconvModel *m, const Identity *id);
