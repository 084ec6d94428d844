/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names the symbols of a source by the level of the instruction set. The build compiles such sources once for each
   level. */
#pragma once
#include "qconv-backend.h"

/* QCONV_LEVEL_NAME (x) is x_avx2 for the level avx2. Every symbol of such a source that is not static must be named by
   it */
#define QCONV_LEVEL_PASTE(x, level) x##_##level
#define QCONV_LEVEL_EXPAND(x, level) QCONV_LEVEL_PASTE (x, level)
#define QCONV_LEVEL_NAME(x) QCONV_LEVEL_EXPAND (x, QCONV_LEVEL)

/* QCONV_VECTOR, which the build gives: width in bits of the vectors that a level may use through intrinsics, 0 for the
   reference in plain C. Sources must ask for it and not for __AVX2__, which -march=native defines for all levels */
#ifndef QCONV_VECTOR
#error "compile this with -DQCONV_LEVEL=name -DQCONV_VECTOR=bits"
#endif

/* The operations of the level. Both tables end with { NULL } */
extern const QconvOp QCONV_LEVEL_NAME (qconv_plain_ops)[];
extern const QconvOp QCONV_LEVEL_NAME (qconv_ggml_ops)[];
