/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans one layer. qconv_plan_new() calls it for each. */
#pragma once
#include "plan/plan.h"
#include "rules/input-scale.h"
#include "rules/rules.h"

/* The arguments that are the same for all layers. @scales: the scales of --input-scale, or NULL */
typedef struct {
  QconvPlan *plan;
  const QconvJob *job;
  Schemes schemes;
  Rules rules;
  InputScales *scales;
} Planning;

/* Plans the output of @s: decides what becomes of it, has the writer plan its tensors and adds both to the plan */
gboolean qconv_plan_layer (Planning *pl, SourceLayer *s, GError **error);
