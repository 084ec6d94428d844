/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of the features of the plugin, which nunchaku.c puts into its descriptor. */
#pragma once
#include "qconv-plugin.h"

extern const QconvQuantizer nunchaku_svdq_fp4, nunchaku_svdq_int4;
extern const QconvReader nunchaku_reader;
