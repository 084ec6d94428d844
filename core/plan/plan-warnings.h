/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Warns of what a user should know about a finished plan before it runs. qconv_plan_new() calls it. */
#pragma once
#include "plan/plan.h"

/* Warns of surprises: general rules, missing metadata, two lossy formats, nothing to do. @scales: the user gave input
   scales */
void qconv_plan_warn (const QconvPlan *p, gboolean scales);
