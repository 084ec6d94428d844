/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans the layers of the output, one by one. qconv_plan_new() calls it. */
#pragma once
#include "plan/plan.h"
#include "rules/input-scale.h"
#include "rules/rules.h"

/* The arguments that are the same for all layers. @scales: the scales of --input-scale, or NULL; @biases: (nullable):
   name → SourceLayer: the biases that the writer takes with their layers */
typedef struct {
  QconvPlan *plan;
  const QconvJob *job;
  Schemes schemes;
  Rules rules;
  InputScales *scales;
  GHashTable *biases;
} Planning;

/* Plans what becomes of @layers (element-type SourceLayer). Those that may be biases come last if the writer takes
   biases: only then is it known which ones belong to encoded layers */
gboolean qconv_plan_each_layer (Planning *pl, const GPtrArray *layers, GError **error);
