/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares a written layer with its source. expected.c calls it for all layers of a file
   at once. */
#pragma once
#include "check/report.h"
#include "layer/source-layer.h"
#include "schedule/progress.h"
#include "schedule/schedule.h"

/**
 * Pair: a layer, @got, and its source, @reference; both are the same layer if nothing but its own weights is checked.
 * @bound: the largest relative MSE that passes; negative: every MSE passes
 * @moved: the components of @reference were moved or adopted, so that @bound is not that of encoding
 * @finite: the weights of @got must be finite if those of @reference are, whatever the bound
 * @equal: every weight by itself must be that of @reference, but for a relative error of @bound, one of @floor, and the
 *   one that the reader of @got states
 * @unequal: their bytes are known to differ, if only in the sign of a zero
 */
typedef struct {
  const SourceLayer *reference, *got;
  double bound, floor;
  gboolean moved, equal, unequal, finite;
} Pair;

/* Returns the bytes that qconv_compare_pairs() counts in its progress */
guint64 qconv_compare_bytes (const GArray *pairs);
/**
 * CompareReports: where results go.
 * @own: gets what the components of @got hold by themselves
 * @differences: gets the errors of all pairs, and the problem of each that differs too much
 */
typedef struct {
  QconvReport *own, *differences;
} CompareReports;
/* Compares all @pairs (element-type Pair). Fails if a layer cannot be loaded within @limits */
gboolean qconv_compare_pairs (const GArray *pairs, const Limits *limits, Progress *progress, const CompareReports *to,
                              GError **error);
