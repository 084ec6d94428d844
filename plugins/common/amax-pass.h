/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pass that finds the largest magnitude of a layer; its partial result is one F32. */
#pragma once
#include "qconv-quantizer.h"

/* For QconvEncoder, which lists the operation "amax" version 1 */
void qconv_amax_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work);
gboolean qconv_amax_accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial,
                                GError **error);
/* The same for floats that were made of the tile's */
gboolean qconv_amax_add (const QconvTile *t, QconvBuffer *floats, QconvBuffer *partial, GError **error);
/* Returns: the largest of the @n partial results */
float qconv_amax_of_partials (gconstpointer partials, gsize n);
