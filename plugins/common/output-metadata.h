/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metadata that every safetensors file of ours starts with. Writers call it first in their hook end(). */
#pragma once
#include "qconv-writer.h"

/* Keeps the input's metadata, but removes keys that would be wrong in the output: hashes of other bytes, keys that
   describe a GGUF file, and values that are not text. Sets "format" to "pt" unless the input sets it. */
void qconv_output_inherit_metadata (QconvOutput *o);
