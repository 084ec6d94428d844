/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file of GGUF may consist of: one type for all weights, or a mixture of types by the role of a layer. */
#pragma once
#include "qconv-writer.h"

extern const QconvTarget qconv_gguf_targets[];

/* Returns the value of general.file_type for the target called @name (gguf-py: constants.py LlamaFileType), or -1 if it
   has none. */
gint qconv_gguf_file_type (const char *name);
