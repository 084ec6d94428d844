/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checksums of a plan. plan.c checks those of the input and lays the output out, run/ sets those of the output. */
#pragma once
#include "base/checksum.h"
#include "plan/plan.h"

/* Fails with QCONV_ERROR_INPUT if the input states checksums that are damaged, or that its names, types or shapes of
   tensors contradict: the output would state new ones, and nobody could see the damage again. Warns of metadata that
   another program changed */
gboolean qconv_plan_check_stated (const QconvPlan *p, GError **error);
/* Lays the files out. @sums: (nullable): of the tensors, by index; NULL: checksums of the same length are laid out.
   Returns: (transfer full) (element-type PlannedFile) */
GPtrArray *qconv_plan_lay_out (QconvPlan *p, const Checksum *sums, GError **error);
/* Puts the checksums of the tensors, by their index in the planned directory, into the header. No tensor moves. Does
   nothing if the plan goes without checksums */
gboolean qconv_plan_set_checksums (QconvPlan *p, const Checksum *sums, GError **error);
