/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Selects the layers of a checkpoint that a run converts. The mapping calls it. */
#pragma once
#include "graph/identify.h"

/* Returns: (transfer container) (element-type SourceLayer): the layers of @from, a file identified as @id, that belong
   to @component: "diffusion", "text-encoder", "text-encoder:NAME" or "vae"; all layers if it is "all"; all but those of
   an averaged copy if it is NULL. QCONV_ERROR_OPTION: the checkpoint lacks the component, or has several of it */
GPtrArray *qconv_select_component (const QconvModel *m, const GPtrArray *from, const Identity *id,
                                   const char *component, GError **error);
/* Returns: (transfer none) (nullable): the part of an all-in-one checkpoint that tensor @name belongs to, such as
   "vae"; NULL: the model itself */
const char *qconv_select_part (const QconvModel *m, const char *name);
/* Returns: (transfer full): the name of the model that tensor @name belongs to, such as "t5xxl", or NULL. Sets *length
   to the length of the start of its names in the checkpoint */
char *qconv_select_root (const QconvModel *m, const char *name, gsize *length);
/* Returns the end of @name that a loader of one part wants: behind the prefix of the model @id, or behind the start
   that the names of another model have in a checkpoint: "text_encoders.t5xxl.transformer.". (transfer none) */
const char *qconv_select_bare (const QconvModel *m, const Identity *id, const char *name);
/* Returns: (transfer full) (element-type SourceLayer): every tensor of @component (nullable: of the file) by itself,
   whatever it encodes. The tensors of a part have the names that its loader wants */
GPtrArray *qconv_select_verbatim (const QconvModel *m, const char *component, GError **error);
/* Returns the start of this kind that most of @layers have, or "". (transfer full) */
char *qconv_select_start (const QconvModel *m, const GPtrArray *layers);
/* Removes layers from @layers: those whose short names match one of @patterns (nullable, NULL-terminated), and with @id
   (nullable) those that loaders of the family do not use. QCONV_ERROR_OPTION: an expression is broken or matches
   nothing. *n: how many the family removed */
gboolean qconv_select_drop (GPtrArray *layers, const char *const *patterns, const Identity *id, guint *n,
                            GError **error);
/* Removes layers from @layers whose names behind the prefix of @id match one of @patterns (nullable, NULL-terminated).
   Returns how many */
guint qconv_select_leave_out (GPtrArray *layers, const char *const *patterns, const Identity *id);
