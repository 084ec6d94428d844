/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Relates the rows of a LoRA to the rows of a mapped layer; lora.c makes a Delta of them. */
#pragma once
#include "layer/delta.h"
#include "lora/lora-names.h"

/* Appends to @runs (element-type DeltaRun) the runs of rows of @layer, and their columns, to which rows of the LoRA for
   @n are added. Returns FALSE if a part of @layer is transposed */
gboolean qconv_lora_runs (const LoraName *n, const SourceLayer *layer, GArray *runs);
