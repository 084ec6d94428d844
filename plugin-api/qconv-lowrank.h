/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Approximates a matrix by a product of two thin ones, for quantizers with a low-rank branch. */
#pragma once
#include "qconv-backend.h"
G_BEGIN_DECLS

/* The largest #QconvLowRank.width */
#define QCONV_LOW_RANK_MAX_WIDTH 1024

/**
 * QconvLowRank: the approximation up·downᵀ of a matrix [@rows, @cols]. Its columns are in the order of the singular
 * values, largest first, so the first r columns of @up and @down are the approximation of rank r.
 *
 * @width: number of columns, from 1 to QCONV_LOW_RANK_MAX_WIDTH. A few columns more than the rank that is wanted (8 or
 *   10) make the first ones converge in fewer steps. It may be larger than @rows or @cols: columns that the matrix has
 *   no direction for are zero in both factors
 * @up: F32 [@rows, @width]: left singular vectors times singular values
 * @down: F32 [@cols, @width]: right singular vectors; column j belongs to column j of @up
 * @scratch: of any type, with at least qconv_low_rank_scratch() bytes; its content does not matter. The steps take
 *   less than 1 MiB of other memory; on a device they also take 12 · width² bytes of the host's
 *
 * All buffers must lie where the stream works, in host memory or on its device, aligned to 8 bytes.
 */
typedef struct {
  guint64 rows, cols;
  guint width;
  QconvBuffer *up, *down, *scratch;
} QconvLowRank;

/* Returns how many bytes of scratch a step needs, or G_MAXUINT64 if that is beyond 64 bits. */
QCONV_API guint64 qconv_low_rank_scratch (guint64 rows, guint64 cols, guint width);

/* The operations that a step runs, for the list of an encoder. */
#define QCONV_LOW_RANK_OPERATIONS                         \
  { "convert", 1 }, { "gram", 1 }, { "thin-product", 1 }, \
  {                                                       \
    "thin-product-transposed", 1                          \
  }

/* Fills @l->down, in host memory, with pseudo-random numbers between -1 and 1, a basis for the first step. They depend
   on nothing but its shape; a step gives the same numbers to a basis that is all zero. Fails with QCONV_ERROR_BUG if a
   buffer is too small, QCONV_ERROR_UNSUPPORTED if it lies on a device. */
QCONV_API gboolean qconv_low_rank_start (const QconvLowRank *l, GError **error);

/* Improves the approximation of @matrix by one step of subspace iteration: two products of the matrix with a thin one.
   @matrix: F32 [@l->rows, @l->cols]; only read. Magnitudes up to 1e30 cannot overflow
   @l: only @l->down counts before the step: qconv_low_rank_start() filled it, or a step did, for this matrix or for one
     that resembles it. Afterwards up·downᵀ is the best approximation whose columns lie in the space that
     matrix·down spanned

   Two or three steps from a random basis come within 1 % of the least error. Later steps after small changes of the
   matrix can start from the last basis. A column of @l->down that is zero is replaced by pseudo-random numbers first.
   The step uses the threads of qconv_stream_parallel(). The bytes are the same on every processor and with any number
   of threads.
   Fails with QCONV_ERROR_NON_FINITE if the matrix has Inf or NaN, QCONV_ERROR_UNSUPPORTED if a buffer does not lie
   where the stream works, QCONV_ERROR_BUG if a buffer is too small or has another type. */
QCONV_API gboolean qconv_low_rank_step (QconvStream *s, QconvBuffer *matrix, const QconvLowRank *l, GError **error);
G_END_DECLS
