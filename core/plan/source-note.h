/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metadata that say which lossy schemes the weights of a file were decoded from. The plan writes them, verify reads
   them. */
#pragma once
#include "plan/plan.h"

/* Metadata key: JSON {"version": of qconv, "target": that was written, "scheme": [names of schemes]} */
#define QCONV_SOURCE "qconv_source"

/* Sets QCONV_SOURCE in the output if layers are decoded from codes, or if the input was made of such layers */
void qconv_source_note_set (QconvPlan *p);
/* Returns whether the metadata of @d say that weights were decoded from codes, so that they are not those of a model
   that was never quantized */
gboolean qconv_source_note_is_lossy (const QconvDirectory *d);
