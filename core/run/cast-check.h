/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds values that a cast to another float type loses. convert-layers.c calls it for every tile of a plain layer. */
#pragma once
#include "base/buffer.h"

/**
 * CastSeen: what the casts of one layer have found so far. Threads set the members with atomic functions.
 * @before, @after: whether a value other than 0 was there before and after the cast
 */
typedef struct {
  gint before, after;
} CastSeen;

/* Fails with QCONV_ERROR_NON_FINITE if the cast of @from to @to made Inf or NaN of a finite value. Notes in @seen
   whether there are values other than 0 */
gboolean qconv_cast_check (QconvBuffer *from, QconvBuffer *to, CastSeen *seen, GError **error);
/* Fails with QCONV_ERROR_NON_FINITE if the casts of a layer to @dtype made 0 of every value, although not all were 0 */
gboolean qconv_cast_check_layer (CastSeen *seen, QconvDType dtype, GError **error);
