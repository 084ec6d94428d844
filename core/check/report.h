/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report of a check: problems, and the error of every layer. */
#pragma once
#include "graph/model.h"

/* Code of a layer whose source holds Inf or NaN */
#define QCONV_PROBLEM_NON_FINITE "non-finite"
/* Code of a tensor, a module or a block that the file lacks. Readers use it, too */
#define QCONV_PROBLEM_MISSING "missing"

/* Returns: (transfer full): without problems */
QconvReport *qconv_report_new (void);
/* Adds a problem. @layer: NULL if the problem is of the whole file; @code: for programs */
void qconv_report_problem (QconvReport *r, const char *layer, const char *code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
/* Returns: (transfer full): the set of layers that have problems of @code; @r owns the names. @code: (nullable): NULL:
   of any code */
GHashTable *qconv_report_names (const QconvReport *r, const char *code);
/* Adds a warning about @name; those of one @code become one line. Both may be NULL, see qconv_gather_add() */
void qconv_report_warning (QconvReport *r, const char *name, const char *code, const char *text);
/* Adds the error of a layer. @relmse: < 0 if there is no reference */
void qconv_report_layer (QconvReport *r, const char *name, const char *scheme, double relmse);
/* Adds what @differences (transfer full) has found by comparing @n tensors with an original. If most of them differ,
   one problem says so: it is another model */
void qconv_report_differences (QconvReport *r, QconvReport *differences, guint n);
/* Fails with the first problem of @r, which is not ok: QCONV_ERROR_NON_FINITE if the source is to blame, else
   QCONV_ERROR_CHECK. @path: of the checked file */
gboolean qconv_report_fail (const QconvReport *r, const char *path, GError **error);
/* Adds the problems that each reader of @m finds: those that its loader would have. @of_run: a run has just written
   @m */
void qconv_report_structure (QconvReport *r, const QconvModel *m, gboolean of_run);
