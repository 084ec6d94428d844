/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of the features of the plugin, which nunchaku.c puts into its descriptor. */
#pragma once
#include "qconv-plugin.h"

extern const QconvQuantizer nunchaku_svdq_fp4, nunchaku_svdq_int4;
/* Returns the type in which files store scales and factors of @layer, whose values are settled. */
QconvDType nunchaku_scale_dtype (const QconvLayer *layer);
/* What nunchaku_examine() counts */
extern const QconvFinding nunchaku_fp4_findings[], nunchaku_int4_findings[];
void nunchaku_examine (const QconvQuantizer *self, const QconvTile *t, guint64 *counts);
extern const QconvReader nunchaku_reader;
extern const QconvWriter nunchaku_writer;
