/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metadata that every safetensors file of ours begins with. */
#pragma once
#include "qconv-writer.h"

/* Takes the input's metadata over but for what would be wrong in the output: hashes of other bytes, keys that describe
   a GGUF file, values that a safetensors header cannot hold. Says "format": "pt" where nothing was said */
void qconv_output_inherit_metadata (QconvOutput *o);
