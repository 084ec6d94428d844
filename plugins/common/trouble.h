/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is wrong with the layers that a reader found. claim() stops at the first trouble that it cannot read past;
   check() lists all. */
#pragma once
#include "qconv-reader.h"

/* NOTE: only the format's own loader has a problem. WARN: claim() warns, too. BROKEN: the layer cannot be read.
   FOREIGN: the layer is well formed, but of a kind that qconv cannot read. NON_FINITE: it has Inf or NaN in the place
   of a number */
typedef enum {
  QCONV_TROUBLE_NOTE,
  QCONV_TROUBLE_WARN,
  QCONV_TROUBLE_BROKEN,
  QCONV_TROUBLE_FOREIGN,
  QCONV_TROUBLE_NON_FINITE
} QconvTroubleWeight;
/* Returns the weight of @error, because of which a layer cannot be read. */
QconvTroubleWeight qconv_trouble_weight (const GError *error);

/**
 * QconvTrouble: one problem.
 *
 * @layer: (nullable): NULL: the file as a whole
 * @code: as in qconv_problems_add()
 */
typedef struct {
  QconvTroubleWeight weight;
  char *layer;
  const char *code;
  char *message;
} QconvTrouble;

/* Returns: (transfer full) (element-type QconvTrouble): an empty list. */
GPtrArray *qconv_troubles_new (void);
/* Adds a trouble. @layer: (nullable): NULL: the file as a whole; @code: a literal */
void qconv_trouble_add (GPtrArray *troubles, QconvTroubleWeight weight, const char *layer, const char *code,
                        const char *format, ...) G_GNUC_PRINTF (5, 6);
/* Returns: (transfer none) (nullable): the first trouble because of which a layer cannot be read. */
const QconvTrouble *qconv_troubles_fatal (const GPtrArray *troubles);
/* Sets @error to QCONV_ERROR_INPUT, or to the code of FOREIGN or NON_FINITE, and returns FALSE. */
gboolean qconv_trouble_fail (const QconvTrouble *t, GError **error);
/* Adds all troubles to @problems. */
void qconv_troubles_report (const GPtrArray *troubles, QconvProblems *problems);
/* Does the same, but adds those of QCONV_TROUBLE_WARN as warnings, with which the file still passes. */
void qconv_troubles_report_mildly (const GPtrArray *troubles, QconvProblems *problems);
/* Repeats those of QCONV_TROUBLE_WARN as warnings of @claims. Fails with the first trouble because of which a layer
   cannot be read. */
gboolean qconv_troubles_claim (const GPtrArray *troubles, QconvClaims *claims, GError **error);
