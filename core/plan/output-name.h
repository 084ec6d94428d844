/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Derives the name of the output if the user gives none. The plan calls it. */
#pragma once
#include "qconv.h"

/* Returns: (transfer full): STEM-TARGET.SUFFIX beside @input, a file or a folder as the user spelled it. STEM is its
   name without the extension, the number of the shard and the target of an earlier conversion:
   "dir/flux1-dev-Q8_0.gguf" becomes "dir/flux1-dev-nvfp4-comfy.safetensors" */
char *qconv_output_name (const QconvTargetInfo *t, const char *input);
