/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Editing: a conversion into the format that a file has. Components are moved; markers and metadata may change. */
#pragma once
#include "plan/plan.h"

typedef struct _Edit Edit;

/* Prepares an edit. QCONV_ERROR_OPTION: a change lacks a key, is not text or nests too deeply, or no loaded plugin
   writes the format. Returns: (transfer full) */
Edit *qconv_edit_new (const QconvModel *model, const QconvJob *job, GError **error);
void qconv_edit_free (Edit *e);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Edit, qconv_edit_free)
/* Returns: (transfer none): the writer of the model's format, as a target that keeps the schemes of layers */
const QconvTargetInfo *qconv_edit_target (const Edit *e);
/* Changes the hints that @l gives its writer. The components of @l must be moved. QCONV_ERROR_OPTION: the writer's
   files cannot store a changed hint */
gboolean qconv_edit_hints (Edit *e, PlannedLayer *l, GError **error);
/* Changes the metadata of @o. QCONV_ERROR_OPTION: @o lacks a key that is to be removed */
gboolean qconv_edit_metadata (const Edit *e, QconvOutput *o, GError **error);
/* Fails with QCONV_ERROR_OPTION if the hook end() of the writer, which has run, gave a key another value */
gboolean qconv_edit_check_metadata (const Edit *e, const QconvOutput *o, GError **error);
/* Fails with QCONV_ERROR_OPTION if an option for the whole file is set and the job is for some layers only */
gboolean qconv_edit_check_options (const Edit *e, const QconvOutput *o, GError **error);
/* Lets tensors of @l be copied if they do not change. The writer must have planned them */
void qconv_edit_settle (PlannedLayer *l, QconvOutput *o);
/* Fails with QCONV_ERROR_OPTION if a change had no effect */
gboolean qconv_edit_check (const Edit *e, GError **error);
/* Lists what the planned edit @p changes, one line each: "layers.0, layers.1 (2 in all): KEY: OLD -> NEW". Returns:
   (transfer full) (element-type utf8): empty if nothing changes */
GPtrArray *qconv_edit_changes (const QconvPlan *p);
/* Returns: (transfer none) (nullable): the changes of metadata that the user asked for, as in QconvEditOptions */
const char *const *qconv_edit_metadata_changes (const Edit *e);
/* Returns whether the edit replaces the file that was opened. QCONV_ERROR_OPTION: the model is a set of files */
gboolean qconv_edit_in_place (const QconvModel *model, const QconvJob *job, GError **error);
