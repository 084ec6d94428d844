/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "plan/plan.h"
#include "rules/input-scale.h"
#include "rules/rules.h"

/* What planning one layer looks at. @scales: (nullable) */
typedef struct {
  QconvPlan *plan;
  const QconvJob *job;
  Schemes schemes;
  Rules rules;
  InputScales *scales;
} Planning;

/* Decides what becomes of @s and has the writer plan its tensors */
gboolean qconv_plan_layer (Planning *pl, SourceLayer *s, GError **error);
