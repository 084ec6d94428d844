/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares what was written with what it was made from. */
#pragma once
#include "plan/plan.h"
#include "schedule/progress.h"

/* Checks the file at @path, which @p planned: its structure, and with p->verify the numbers of every layer. Problems
   are in the report; an error means that the check itself failed. Returns: (transfer full) */
QconvReport *qconv_check_plan (const QconvPlan *p, const char *path, const Listener *listener, GError **error);
