/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the error LoRA of a plan. run.c calls it when the output is written and checked. */
#pragma once
#include "io/save.h"
#include "plan/plan.h"
#include "schedule/progress.h"

/* Writes the error LoRA of @p into @save. Loads all its layers from the source and from @written, the paths of the
   output as it was written. Sets lora_before and lora_after of @report */
gboolean qconv_write_error_lora (const QconvPlan *p, const char *const *written, Save *save, const Listener *listener,
                                 QconvReport *report, GError **error);
