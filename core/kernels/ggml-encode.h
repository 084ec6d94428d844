/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes blocks of the ggml types. ggml-encode.c walks over the weights, one source for each kind of type encodes the
   blocks. */
#pragma once
#include "kernels/ggml.h"
#include "kernels/ops.h"

#if QCONV_VECTOR >= 256
#include <immintrin.h>
#endif

#define QCONV_GGML_SUPER 256 /* items of the largest block */

/* Blocks that are encoded at once: one to a lane of a vector, so that a lane does what the scalar formula says */
#if QCONV_VECTOR == 0
#define QCONV_GGML_LANES 4
#else
#define QCONV_GGML_LANES (QCONV_VECTOR / 32)
#endif

/**
 * QconvGgmlGroup: QCONV_GGML_LANES blocks of weights that follow each other.
 *
 * @x: the weights, block after block
 * @importance: (nullable): one number for each weight, not negative
 * @row_square: with @importance: the mean square of the row, for each block
 */
typedef struct {
  const float *x, *importance;
  float row_square[QCONV_GGML_LANES];
} QconvGgmlGroup;

/* Encodes all blocks of @group to @dst. Gives ggml's bytes, except that a scale that F16 lacks becomes the largest
   finite one */
typedef void QconvGgmlEncode (const QconvGgmlGroup *group, guint8 *dst);
/* Encodes all blocks of @group to @dst. The blocks at @rtn are what QconvGgmlEncode made of them. The caller compares
   the errors and keeps the better ones */
typedef void QconvGgmlSearch (const QconvGgmlGroup *group, const guint8 *rtn, guint8 *dst);

/* The types that have an encoder: type, name of the scheme, items and bytes of a block */
/* clang-format off */
#define QCONV_GGML_ENCODED(X) \
  X (q8_0, "q8_0", 32, 34) \
  X (q4_0, "q4_0", 32, 18) \
  X (q4_1, "q4_1", 32, 20) \
  X (q5_0, "q5_0", 32, 22) \
  X (q5_1, "q5_1", 32, 24) \
  X (mxfp4, "mxfp4_blocks", 32, 17) \
  X (nvfp4, "nvfp4_blocks", 64, 36) \
  X (tq1_0, "tq1_0", 256, 54) \
  X (tq2_0, "tq2_0", 256, 66) \
  X (q2_k, "q2_k", 256, 84) \
  X (q3_k, "q3_k", 256, 110) \
  X (q4_k, "q4_k", 256, 144) \
  X (q5_k, "q5_k", 256, 176) \
  X (q6_k, "q6_k", 256, 210) \
  X (iq4_nl, "iq4_nl", 32, 18) \
  X (iq4_xs, "iq4_xs", 256, 136)
/* clang-format on */

#define QCONV_GGML_DECLARE(type, name, items, bytes)                  \
  extern QconvGgmlEncode QCONV_LEVEL_NAME (qconv_ggml_encode_##type); \
  extern QconvGgmlSearch QCONV_LEVEL_NAME (qconv_ggml_search_##type); \
  extern QconvOpRun QCONV_LEVEL_NAME (qconv_op_ggml_encode_##type);
QCONV_GGML_ENCODED (QCONV_GGML_DECLARE)

/* Encode blocks with importance, for the encoders of the same types */
extern QconvGgmlEncode QCONV_LEVEL_NAME (qconv_ggml_weighted_q4_0), QCONV_LEVEL_NAME (qconv_ggml_weighted_q4_1),
    QCONV_LEVEL_NAME (qconv_ggml_weighted_q5_0), QCONV_LEVEL_NAME (qconv_ggml_weighted_q5_1);

static inline void
store_u16 (guint8 *p, guint16 v)
{
  memcpy (p, &v, sizeof v);
}

static inline void
store_u32 (guint8 *p, guint32 v)
{
  memcpy (p, &v, sizeof v);
}

/* Returns the F16 nearest to @x. The largest finite one replaces Inf, and 0 replaces NaN, which searches give if
   squares overflow: either would make all weights of the block useless */
static inline guint16
finite_half (float x)
{
#if QCONV_VECTOR >= 256
  guint16 h = _cvtss_sh (x, _MM_FROUND_TO_NEAREST_INT), magnitude = h & 0x7fff;
#else
  guint16 h = f16_of_f32 (x), magnitude = h & 0x7fff;
#endif

  return magnitude < 0x7c00 ? h : magnitude == 0x7c00 ? h - 1 : 0;
}

/* Stores a scale or a minimum */
static inline void
store_half (guint8 *p, float x)
{
  store_u16 (p, finite_half (x));
}

/* Returns the value nearest to @v from @low to @high; @low for NaN */
static inline float
clamp (float v, float low, float high)
{
  v = v > low ? v : low;
  return v < high ? v : high;
}

/* Rounds to the nearest integer, ties to even, as ggml's nearest_int() does for numbers below 2^22 */
static inline float
round_even (float v)
{
  return (v + 0x1.8p23f) - 0x1.8p23f;
}

/* Returns 1 / @d, or 0 for a block of zeros */
static inline float
inverse_or_zero (float d)
{
  return d != 0.0f ? 1.0f / d : 0.0f;
}
