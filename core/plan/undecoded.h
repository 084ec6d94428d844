/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The refusal of a layer that no loaded plugin decodes. plan-layer.c calls it. */
#pragma once
#include "plan/plan.h"

/* Fails with QCONV_ERROR_UNSUPPORTED. The text names the layer, its tensors, what is missing, and the target that
   copies the file as it is. Returns FALSE */
gboolean qconv_fail_undecoded (const QconvPlan *p, const SourceLayer *s, GError **error);
