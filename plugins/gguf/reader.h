/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "qconv-plugin.h"

extern const QconvReader qconv_gguf_reader;
