/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What most quantizers ask of a layer and of its numbers. */
#pragma once
#include "finite.h"
#include "qconv-quantizer.h"

/* QCONV_ERROR_UNSUPPORTED unless @layer is a matrix that is not empty */
gboolean qconv_check_matrix (const QconvLayer *layer, GError **error);
/* QCONV_ERROR_NON_FINITE where a component of F32 holds numbers that are Inf, NaN or not of @sign. One that is absent,
   or in memory of a device, passes */
gboolean qconv_check_numbers (const QconvTile *t, const char *component, QconvSign sign, GError **error);
