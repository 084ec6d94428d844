/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The numbers of the 4-bit tables of bitsandbytes. */
#include "levels.h"

const float qconv_levels_nf4[16]
    = { -1.0f,        -0.69619280f, -0.52507305f, -0.39491749f, -0.28444138f, -0.18477343f, -0.091050036f, 0.0f,
        0.079580300f, 0.16093020f,  0.24611230f,  0.33791524f,  0.44070983f,  0.56261700f,  0.72295684f,   1.0f };

const float qconv_levels_fp4[16] = { 0.0f, 0.0625f / 12,  8.0f / 12,  1.0f,  4.0f / 12,  0.5f,  2.0f / 12,  0.25f,
                                     0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f };
