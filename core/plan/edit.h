/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Editing: a conversion into the form that a file has. Components move; what is said about layers may change. */
#pragma once
#include "plan/plan.h"

typedef struct _Edit Edit;

/* QCONV_ERROR_OPTION: a change without key or that is no text, a value that nests too deeply, or a writer that is not
   there.
   Returns: (transfer full) */
Edit *qconv_edit_new (const QconvModel *model, const QconvJob *job, GError **error);
void qconv_edit_free (Edit *e);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Edit, qconv_edit_free)
/* Returns: (transfer none): as if it were one: the writer of the model's form, the scheme of each layer as it is */
const QconvTargetInfo *qconv_edit_target (const Edit *e);
/* Changes what @l, whose components move, tells its writer */
void qconv_edit_hints (Edit *e, PlannedLayer *l);
/* Changes the metadata of @o. QCONV_ERROR_OPTION: there is no such key */
gboolean qconv_edit_metadata (const Edit *e, QconvOutput *o, GError **error);
/* After the writer's end: QCONV_ERROR_OPTION: it has the last word on a key */
gboolean qconv_edit_check_metadata (const Edit *e, const QconvOutput *o, GError **error);
/* QCONV_ERROR_OPTION: an option of the writer is for the whole file, and the job for some layers */
gboolean qconv_edit_check_options (const Edit *e, const QconvOutput *o, GError **error);
/* After the writer has planned @l: tensors that stay the same are copied, padded or not */
void qconv_edit_settle (PlannedLayer *l, QconvOutput *o);
/* QCONV_ERROR_OPTION: a change that found nothing to change */
gboolean qconv_edit_check (const Edit *e, GError **error);
/* Whether the one file that the model was read from is written again */
gboolean qconv_edit_in_place (const QconvModel *model, const QconvJob *job, GError **error);
