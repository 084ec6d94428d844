/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of this plugin, which reads GPTQ. */
#pragma once
#include "qconv-plugin.h"

extern const QconvQuantizer gptq_quantizer;
