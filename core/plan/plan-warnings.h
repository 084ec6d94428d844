/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user should know about a finished plan before it runs. */
#pragma once
#include "plan/plan.h"

/* Warns of what may not be meant: general rules, missing metadata, two lossy formats, nothing to do. @scales: the user
   gave input scales */
void qconv_plan_warn (const QconvPlan *p, gboolean scales);
