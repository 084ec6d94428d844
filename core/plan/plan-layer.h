/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Planning one layer. qconv_plan_new() calls it for each. */
#pragma once
#include "plan/plan.h"
#include "rules/input-scale.h"
#include "rules/rules.h"

/* What planning one layer looks at. @scales: (nullable): what --input-scale gave */
typedef struct {
  QconvPlan *plan;
  const QconvJob *job;
  Schemes schemes;
  Rules rules;
  InputScales *scales;
} Planning;

/* Decides what becomes of @s, has the writer plan its tensors and adds both to the plan */
gboolean qconv_plan_layer (Planning *pl, SourceLayer *s, GError **error);
