/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks layers and their numbers. Most quantizers call it. */
#pragma once
#include "finite.h"
#include "qconv-quantizer.h"

/* Returns whether the user asked for the reference formula instead of a search. */
gboolean qconv_effort_is_rtn (const QconvLayer *layer);
/* Fails with QCONV_ERROR_UNSUPPORTED unless @layer is a matrix with at least one row and one column. */
gboolean qconv_check_matrix (const QconvLayer *layer, GError **error);
/* Fails with QCONV_ERROR_NON_FINITE if a number of the F32 @component is Inf, NaN or not of @sign. A component that is
   absent, or in the memory of a device, passes. */
gboolean qconv_check_numbers (const QconvTile *t, const char *component, QconvSign sign, GError **error);
