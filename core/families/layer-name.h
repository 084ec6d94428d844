/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of layers for rules, LoRA files and comparisons: without a container's prefix and without ".weight". */
#pragma once
#include "base/names.h"

/* Returns the part of @name behind the first prefix of the generic family that fits, or @name. (transfer none) */
const char *qconv_strip_prefix (const char *name);
/* Returns the short name of a layer: @name without the prefix of a container and without ".weight".
   "model.diffusion_model.blocks.0.q.weight" becomes "blocks.0.q". (transfer full) */
char *qconv_short_name (const char *name);
