/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the bias that a layer takes with it. convert-layers.c calls it. */
#pragma once
#include "layer/components.h"
#include "plan/planned.h"

/* Fills the component QCONV_BIAS of @made, the components of @l, if @l takes a bias; @kept: holds what that takes.
   QCONV_ERROR_NON_FINITE: the bias has Inf or NaN */
gboolean qconv_load_bias (const PlannedLayer *l, const Components *made, Arena *kept, GError **error);
