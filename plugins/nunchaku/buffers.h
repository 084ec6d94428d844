/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fills, copies and cuts buffers where the stream of a tile works. The encoder and its codes call it. */
#pragma once
#include "qconv-plugin.h"

/* Fills all of @b with F32 @number; 0 suits any type. */
gboolean nunchaku_fill (const QconvTile *t, QconvBuffer *b, float number, GError **error);
/* Copies @from to @to, which has as many numbers, in its own type. Runs the operation "convert" version 1. */
gboolean nunchaku_copy (const QconvTile *t, QconvBuffer *from, QconvBuffer *to, GError **error);

/**
 * NunchakuThin: a thin matrix, of which another one takes the first columns.
 *
 * @from: F32 [@rows, @width]
 * @to: F32 [@rows, @rank], or [@rank, @rows] if it is @transposed; columns that @from lacks become zero
 */
typedef struct {
  const QconvTile *t;
  QconvBuffer *from, *to;
  gsize rows, width, rank;
  gboolean transposed;
} NunchakuThin;

/* Takes the columns. If the matrices lie on a device, 1 MiB of host memory takes them there piece by piece. */
gboolean nunchaku_take_columns (const NunchakuThin *thin, GError **error);
