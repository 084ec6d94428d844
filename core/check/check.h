/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares a written file with its source. The run and qconv_model_verify() call it. */
#pragma once
#include "plan/plan.h"
#include "schedule/progress.h"

/* Checks the file at @path, which @p planned: its structure, and with p->verify the numbers of every layer. Adds
   problems to the report; fails only if the check itself cannot be done. Returns: (transfer full) */
QconvReport *qconv_check_plan (const QconvPlan *p, const char *path, const Listener *listener, GError **error);
