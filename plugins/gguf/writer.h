/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer: types, names and metadata as the loaders of diffusion models and text encoders take them. */
#pragma once
#include "qconv-writer.h"

extern const QconvWriter qconv_gguf_writer;
