/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a step of low-rank.c shares with low-rank-rows.c, which works on the rows of thin matrices. */
#pragma once
#include "kernels/stream.h"
#include "qconv-lowrank.h"

/* Bytes of a thin matrix that come from a device at a time */
#define LOW_RANK_PIECE ((gsize) 256 << 10)

/**
 * LowRankWork: one step, with the parts of its scratch.
 *
 * @thin: F32 [MAX (rows, cols), width]; results that then replace their source
 * @turn: F32 [width, width]; the right factor of such a product
 * @small: F64 [MOST_CHUNKS, width, width] or less; the first one counts
 * @copies: (nullable): host memory of what follows, if the scratch lies on a device
 * @host_turn, @host_small: @turn and the first matrix of @small in host memory
 * @piece: (nullable): LOW_RANK_PIECE for some rows of a thin matrix of a device
 * @values, @more: [width]
 * @top, @scale: of all items of a thin matrix: the largest magnitude, and a factor
 */
typedef struct {
  QconvStream *stream;
  const QconvLowRank *l;
  QconvBuffer thin, turn, small;
  guint8 *copies;
  float *host_turn, *piece;
  double *host_small, *values, *more;
  float top;
  double scale;
} LowRankWork;

/* Returns number @i of the start, in -1 … 1 */
float qconv_low_rank_number (guint64 i);
/* Fills columns of the right factor that are zero, so that a matrix that changed can use all of them */
gboolean qconv_low_rank_revive (LowRankWork *w, GError **error);
/* Multiplies the columns of @x, of @rows rows, by @w->values, in FP64: the factor of a tiny column is beyond F32 */
gboolean qconv_low_rank_scale_columns (LowRankWork *w, QconvBuffer *x, guint64 rows, GError **error);
/* Scales the right factor by a power of two so that the largest magnitude is from 0.5 to 1. Sets @inverse to the
   inverse of the factor */
gboolean qconv_low_rank_scale (LowRankWork *w, double *inverse, GError **error);
