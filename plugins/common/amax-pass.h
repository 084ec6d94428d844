/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pass that finds the largest magnitude of a layer. Quantizers with one scale a tensor share it. Its partial result
   is one F32. */
#pragma once
#include "qconv-quantizer.h"

/* Hooks of QconvEncoder, whose operations must contain "amax" version 1. */
void qconv_amax_work (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work);
gboolean qconv_amax_accumulate (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial,
                                GError **error);
/* Adds @floats, which were made from the tile's, to @partial. */
gboolean qconv_amax_add (const QconvTile *t, QconvBuffer *floats, QconvBuffer *partial, GError **error);
/* Returns the largest of the @n partial results. */
float qconv_amax_of_partials (gconstpointer partials, gsize n);
