/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sums over the layers of each scheme: sizes, ways and errors. Plans and reports show them, to people and as JSON. */
#pragma once
#include "qconv.h"

/* The number of layers that are made in one way. @how: as in QconvPlannedInfo */
typedef struct {
  const char *how;
  guint n;
} CliWay;

/**
 * CliSchemeSum: the layers of one scheme.
 *
 * @n_compared: layers with a reference; @n_finite: those of them with a finite SQNR
 * @input_bytes: of the weights that they are made from; @bytes: of the written weights and their scales
 * @sum, @worst, @sum_db, @worst_db: of relative MSE and SQNR
 * @ways: (element-type CliWay)
 */
typedef struct {
  const char *scheme;
  guint n_layers, n_compared, n_finite;
  guint64 input_bytes, bytes;
  double sum, worst, sum_db, worst_db;
  GArray *ways;
} CliSchemeSum;

/* Sums up a plan, a report, or both. @weights: (nullable) (element-type QconvPlannedInfo); @report: (nullable); their
   strings must stay. Returns: (transfer full) (element-type CliSchemeSum) */
GPtrArray *cli_scheme_sums (const GArray *weights, const QconvReport *report);
