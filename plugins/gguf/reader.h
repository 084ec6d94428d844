/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader of GGUF files, for the plugin's table. */
#pragma once
#include "qconv-plugin.h"

extern const QconvReader qconv_gguf_reader;
