/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hooks of the container that name the parts of a set and say what metadata they have. */
#pragma once
#include "qconv-container.h"

extern const QconvSplit qconv_gguf_split;
