/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fills and copies buffers where the stream of a tile works. The encoder and its codes call it. */
#pragma once
#include "qconv-plugin.h"

/* Fills all of @b with F32 @number; 0 suits any type. */
gboolean nunchaku_fill (const QconvTile *t, QconvBuffer *b, float number, GError **error);
/* Copies @from to @to, which has as many numbers, in its own type. Runs the operation "convert" version 1. */
gboolean nunchaku_copy (const QconvTile *t, QconvBuffer *from, QconvBuffer *to, GError **error);
