/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that is compared with one file: checksums, equal tensors and the numbers of layers. check.c and verify.c fill it.
 */
#pragma once
#include "check/compare.h"

/**
 * Expected:
 * @model: the file
 * @sums: (nullable) (owned): name → CRC-32 of its tensors as GUINT_TO_POINTER
 * @same: (element-type Pair) (owned): layers of one tensor each, which must have the bytes of the reference. Those that
 *   have others are moved to @pairs, if their numbers can be compared
 * @pairs: (element-type Pair) (owned): layers whose numbers are compared
 * @report: gets the problems of the file by itself
 * @differences: gets what the comparison with references finds
 */
typedef struct {
  const QconvModel *model;
  GHashTable *sums;
  GArray *same, *pairs;
  QconvReport *report, *differences;
} Expected;

void qconv_expected_init (Expected *e, const QconvModel *model, QconvReport *report, QconvReport *differences);
void qconv_expected_clear (Expected *e);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Expected, qconv_expected_clear)
/* Gets the largest relative MSE that the scheme of @got allows; -1: it states none. Fails if the hook does */
gboolean qconv_expected_bound (const SourceLayer *got, double *bound, GError **error);
/* Adds a pair of layers whose numbers are compared, or the problem that their shapes do not fit */
void qconv_expected_add (Expected *e, const Pair *p);
/* Compares all. Fails only if a file cannot be read, or a layer cannot be loaded within @limits */
gboolean qconv_expected_compare (Expected *e, const Limits *limits, const Listener *listener, GError **error);
