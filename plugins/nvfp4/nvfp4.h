/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of the quantizer nvfp4: E2M1 codes, an E4M3 scale for 16 columns, an F32 scale for the tensor. */
#pragma once
#include "qconv-plugin.h"

#define NVFP4_BLOCK 16

/* Takes the components of "mxfp4" if the exponents of all non-zero blocks lie within the range of E4M3. */
extern const QconvEncoder nvfp4_from_mxfp4;
