/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer of plain weights, for the plugin's table. */
#pragma once
#include "qconv-plugin.h"

extern const QconvWriter qconv_safetensors_writer;
