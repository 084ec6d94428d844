/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantizers of the block types, for the table of the module. */
#pragma once
#include "qconv-plugin.h"

/* One for every block type; ends with NULL */
extern const QconvQuantizer *const qconv_gguf_quantizers[];
