/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Included by the sources that the build compiles once for each level of the instruction set: names their symbols by
   level. */
#pragma once
#include "qconv-backend.h"

/* QCONV_LEVEL_NAME (x): x_avx2 for the level avx2; every symbol of such a source that is not static is named by it */
#define QCONV_LEVEL_PASTE(x, level) x##_##level
#define QCONV_LEVEL_EXPAND(x, level) QCONV_LEVEL_PASTE (x, level)
#define QCONV_LEVEL_NAME(x) QCONV_LEVEL_EXPAND (x, QCONV_LEVEL)

/* QCONV_VECTOR, given by the build: width in bits of the vectors that a level may use through intrinsics, 0 for the
   reference in plain C. Asked instead of __AVX2__, which -march=native defines for all levels */
#ifndef QCONV_VECTOR
#error "compile this with -DQCONV_LEVEL=name -DQCONV_VECTOR=bits"
#endif

/* The operations of the level; both tables end with { NULL } */
extern const QconvOp QCONV_LEVEL_NAME (qconv_plain_ops)[];
extern const QconvOp QCONV_LEVEL_NAME (qconv_ggml_ops)[];
