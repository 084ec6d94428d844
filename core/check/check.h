/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares what was written with what it was made from. */
#pragma once
#include "plan/plan.h"

/* Returns: (transfer full): report on the file at @path, which @p planned; without numbers under --no-verify */
QconvReport *qconv_check_plan (const QconvPlan *p, const char *path, QconvProgressFunc progress, gpointer user_data,
                               GCancellable *cancellable, GError **error);
