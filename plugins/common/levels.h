/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of 16 levels by code, as bitsandbytes has them (functional.py get_4bit_type, csrc/kernels.cu). The plugins nf4
   and bnb share them. */
#pragma once

extern const float qconv_levels_nf4[16];
/* Code 8 is -0 in the table of bitsandbytes; files have +0 there. */
extern const float qconv_levels_fp4[16];
