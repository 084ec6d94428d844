/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A grid of scales over a weight: how many rows and columns share a scale, and the load function that lays the scales
   out for each row. fp8-claim.c uses it. */
#pragma once
#include "qconv-reader.h"

/**
 * QconvScaleGrid: a grid of scales. A weight of three axes is a stack of matrices (experts).
 *
 * @rows, @cols: of one matrix; @matrices: their number
 * @block: matrices, rows and columns that share a scale; the last block of an axis may be smaller
 * @down, @across: rows and columns of the grid for one matrix
 * @step: rows of the weight for one row of the component to load
 */
typedef struct {
  guint64 matrices, rows, cols;
  guint64 block[3];
  guint64 down, across;
  guint64 step;
} QconvScaleGrid;

/* Finds the grid that @scale lays over @codes. @block: rows and columns of a block as config.json says, or 0. Returns
   FALSE if the shapes fit no grid. */
gboolean qconv_scale_grid_find (const QconvTensor *codes, const QconvTensor *scale, const guint64 *block,
                                QconvScaleGrid *grid);
/* Loads scales as F32, a row of the grid for each @step rows. Its data are a QconvScaleGrid. U8 are exponents, as
   E8M0. */
gboolean qconv_scale_grid_load (const QconvLoad *load, GError **error);
