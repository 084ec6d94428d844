/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoder of both SVDQuant schemes. svdq.c puts it into its tables and provides the arithmetic of the codes. */
#pragma once
#include "qconv-plugin.h"

/* The encoder takes the layer as a whole: a product of two thin matrices has no rows of its own. */
extern const QconvEncoder nunchaku_encoder;

/* Options of the encoder, in the tables of the quantizers. */
#define NUNCHAKU_ROUNDS "rounds"
