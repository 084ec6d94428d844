/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "graph/model.h"

/* Code of a layer whose source holds Inf or NaN */
#define QCONV_PROBLEM_NON_FINITE "non-finite"

QconvReport *qconv_report_new (void);
void qconv_report_problem (QconvReport *r, const char *layer, const char *code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
/* @relmse < 0: no reference */
void qconv_report_layer (QconvReport *r, const char *name, const char *scheme, double relmse);
/* Asks every reader of @m what its loader would trip over */
void qconv_report_structure (QconvReport *r, const QconvModel *m);
