/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deltas are added to rows of a layer while it is loaded: LoRAs make them, load-composed.c adds them. */
#pragma once
#include "layer/components.h"

/**
 * DeltaKind: how the factors of a delta make its rows.
 *
 * @DELTA_PRODUCT: factor 0 · factor 1
 * @DELTA_TUCKER: factor 0 · (factor 2 · factor 1), for a convolution: factor 2 has rank × rank kernels, and
 *   the product of the two has a kernel for each column of factor 1
 * @DELTA_FULL: factor 0
 * @DELTA_REPLACE: factor 0, which takes the place of the rows instead of being added
 * @DELTA_HADAMARD: (factor 0 · factor 1) ∘ (factor 2 · factor 3)
 * @DELTA_KRONECKER: (factor 0 · factor 1) ⊗ (factor 2 · factor 3); factors 1 and 3 may be missing
 * @DELTA_CONSTANT: a matrix of ones, without factors
 */
typedef enum {
  DELTA_PRODUCT,
  DELTA_TUCKER,
  DELTA_FULL,
  DELTA_REPLACE,
  DELTA_HADAMARD,
  DELTA_KRONECKER,
  DELTA_CONSTANT
} DeltaKind;

/* Rows to, to + 1 … (@n of them) of the layer get rows from, from + 1 … of the delta: in @n_cols columns, from
   column @to_col of the layer and @from_col of the delta on */
typedef struct {
  guint64 to, from, n;
  guint64 to_col, from_col, n_cols;
} DeltaRun;

/**
 * Delta: @scale times the matrix that @kind makes is added to @runs of a layer, in FP32: sums of products in the order
 * of the rank.
 *
 * @factors: (nullable): plain tensors, which outlive the delta
 * @runs: (element-type DeltaRun)
 * @rows, @cols: of the whole delta
 */
typedef struct {
  DeltaKind kind;
  const SourceLayer *factors[4];
  float scale;
  GArray *runs;
  guint64 rows, cols;
} Delta;
void qconv_delta_free (Delta *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Delta, qconv_delta_free)

/* The buffers of one delta that stay from the first tile to the last */
#define DELTA_KEPT 2

/* Returns: (transfer full): a delta without runs, which the caller adds; NULL with QCONV_ERROR_INPUT if the shapes of
   @factors do not fit together. @factors: plain claimed layers, as many as @kind needs, else NULL */
Delta *qconv_delta_new (DeltaKind kind, const SourceLayer *const factors[4], GError **error);

/* Returns: (transfer full): adds @number to every item of a layer of @rows × @cols */
Delta *qconv_delta_constant (float number, guint64 rows, guint64 cols);
/* Returns: (transfer full): the same delta */
Delta *qconv_delta_copy (const Delta *d);

/* Returns the bytes in an arena that qconv_deltas_keep() takes. @deltas: (element-type Delta): of one layer */
gsize qconv_deltas_kept_cost (const GPtrArray *deltas);
/* Returns the bytes in an arena that qconv_deltas_add() takes for @n_rows rows of a layer of @cols columns */
gsize qconv_deltas_rows_cost (const GPtrArray *deltas, guint64 n_rows, guint64 cols);
/* Loads the buffers that the deltas need for every row. @kept: DELTA_KEPT buffers for each of @deltas */
gboolean qconv_deltas_keep (const GPtrArray *deltas, QconvBuffer *kept, Arena *arena, GError **error);
/* Adds to @rows, which @floats holds as F32. rows->device may have newer bytes of @floats then */
gboolean qconv_deltas_add (const GPtrArray *deltas, QconvBuffer *kept, const Rows *rows, QconvBuffer *floats,
                           GError **error);
