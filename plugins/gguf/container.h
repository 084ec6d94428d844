/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container of GGUF files, for the plugin's table. */
#pragma once
#include "qconv-plugin.h"

extern const QconvContainer qconv_gguf_container;
