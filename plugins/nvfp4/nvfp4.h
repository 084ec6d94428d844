/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NVFP4: E2M1 codes, an E4M3 scale for 16 columns of a row, an F32 scale for the tensor. */
#pragma once
#include "qconv-plugin.h"

#define NVFP4_BLOCK 16

/* From the components of "mxfp4", where all block exponents that count lie close enough */
extern const QconvEncoder nvfp4_from_mxfp4;
