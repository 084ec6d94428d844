/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Symmetric integers of 8 or 4 bits under F32 scales, and the rotation that may come before. */
#pragma once
#include "kernels/items/weights.h"

/* A number below 2^22 plus this has the nearest integer, ties to even, in its lowest bits */
#define INTEGERS_ROUND 0x1.8p23f

QCONV_ITEM float
clamp_float (float y, float lowest, float highest)
{
  y = y < highest ? y : highest;
  return y > lowest ? y : lowest;
}

/* Returns the integer nearest to @w / @scale, within the limits, which are integers */
QCONV_ITEM gint8
integer_code (float w, float scale, float lowest, float highest)
{
  return (gint8) bits_of_f32 (clamp_float (w / scale, lowest, highest) + INTEGERS_ROUND);
}

/* ---- ConvRot ---- */

#define QCONV_ROTATE_LARGEST 1024 /* columns of the largest group */

/* The rotation of a group of G = 4^k columns multiplies them with H4 ⊗ … ⊗ H4 / 2^k, k factors of
   H4 = [1 1 1 -1; 1 1 -1 1; 1 -1 1 1; -1 1 1 1]. It takes k steps. Each multiplies the highest base-4 digit of the
   column's number by H4 and makes it the lowest one, so after all steps the digits are back in their places: column i
   of the first quarter and its fellows of the other quarters give columns 4·i … 4·i + 3 */
QCONV_ITEM void
rotate_quartet (float a, float b, float c, float d, float y[4])
{
  float sum = a + b, difference = a - b, last_sum = c + d, last_difference = c - d;

  y[0] = sum + last_difference;
  y[1] = sum - last_difference;
  y[2] = last_sum + difference;
  y[3] = last_sum - difference;
}

/* Returns what weights are multiplied with before the steps: halved for each, so that sums overflow only for weights
   near the largest F32. Subnormal weights lose bits that are far below the least scale */
QCONV_ITEM float
rotate_factor (gsize group)
{
  return group == 1024  ? 0x1p-5f
         : group == 256 ? 0x1p-4f
         : group == 64  ? 0x1p-3f
         : group == 16  ? 0.25f
         : group == 4   ? 0.5f
                        : 1.0f;
}

typedef struct {
  QconvDType dtype;
  const void *src;
  float *dst;
  gsize n, group;
} QconvRotateJob;

/* ---- INT8 and INT4 with a scale for a tensor, a row or a block ---- */

/* @scratch: one row
   @group: columns that are rotated together; 1: none are
   @block: rows and columns that share a scale, for "int8-encode-block" only; @across: how many blocks a row has */
typedef struct {
  QconvDType dtype;
  const void *src;
  guint8 *codes;
  float *scales, *scratch;
  gsize rows, cols, group, block, across;
} QconvIntegerJob;

/* @top: the largest magnitude of a row or block */
QCONV_ITEM float
int8_row_scale (float top)
{
  float scale = top / 127.0f;

  return scale < 1e-30f ? 1e-30f : scale;
}

QCONV_ITEM float
int8_block_scale (float top)
{
  return top / 127.0f < 1e-8f ? 1e-8f : top / 127.0f;
}

QCONV_ITEM float
int4_row_scale (float top)
{
  return (top < 1e-10f ? 1e-10f : top) / 7.0f;
}

QCONV_ITEM gint8
int8_code (float w, float scale)
{
  return integer_code (w, scale, -128.0f, 127.0f);
}

QCONV_ITEM guint8
int4_code (float w, float scale)
{
  return (guint8) (integer_code (w, scale, -7.0f, 7.0f) & 15);
}

/* Codes under a number for each row.
   @scales: of rows; for "int8-decode-largest", their largest magnitudes
   @runs: of 8 columns, of a row; a unit is one of them */
typedef struct {
  const guint8 *codes;
  const float *scales;
  float *dst;
  gsize rows, cols, runs;
} QconvRowDecodeJob;

QCONV_ITEM float
int4_item (guint code, float scale)
{
  return (float) ((gint) (code ^ 8) - 8) * scale;
}

QCONV_ITEM void
int4_decode_unit (const QconvRowDecodeJob *job, gsize unit)
{
  gsize row = unit / job->runs, col = unit % job->runs * 8, n = job->cols - col;
  guint32 codes = load_eight_codes (job->codes + row * (job->cols / 2 + job->cols % 2) + col / 2, n);
  float y[8];

  QCONV_UNROLL
  for (guint i = 0; i < 8; i++)
    y[i] = int4_item (codes >> (4 * i) & 15, job->scales[row]);
  store_run (QCONV_F32, y, n, 8, job->dst, row * job->cols + col);
}

/* Multiplies in this order, as bitsandbytes does: @largest / 127 would be rounded first, which changes results */
QCONV_ITEM float
int8_item_of_largest (float code, float largest)
{
  return code * largest * (1.0f / 127.0f);
}

QCONV_ITEM void
int8_largest_unit (const QconvRowDecodeJob *job, gsize unit)
{
  gsize row = unit / job->runs, col = unit % job->runs * 8, n = job->cols - col, at = row * job->cols + col;
  float y[8];

  load_run (QCONV_I8, job->codes, at, n, y, 8);
  QCONV_UNROLL
  for (guint i = 0; i < 8; i++)
    y[i] = int8_item_of_largest (y[i], job->scales[row]);
  store_run (QCONV_F32, y, n, 8, job->dst, at);
}

/* ---- INT4 with a scale for a group of columns, which is stored in 16 bits ---- */

#define INT4_SUMS 16 /* partial sums of an error: weight i of a group goes to sum i modulo 16 */
#define INT4_SCALES 13
/* The scales that a search tries are the first one times these */
QCONV_TABLE float int4_factors[INT4_SCALES] = { 1.0f,     0.96875f, 0.9375f,  0.90625f, 0.875f,  0.84375f, 0.8125f,
                                                0.78125f, 0.75f,    0.71875f, 1.03125f, 1.0625f, 1.09375f };

/* @n_groups: of all rows; a unit is a group
   @stored: F16 or BF16, the type in which scales are stored */
typedef struct {
  const float *src;
  guint8 *codes;
  float *scales;
  gsize rows, cols, group, n_groups;
  QconvDType stored;
  gboolean search;
} QconvInt4GroupJob;

/* Rounds a scale to the type in which it is stored. A scale of zero becomes 1: all codes are zero then */
QCONV_ITEM float
int4_stored_scale (QconvDType dtype, float scale)
{
  float stored = dtype == QCONV_F16 ? f32_of_f16 (f16_of_f32 (scale)) : f32_of_bf16 (bf16_of_f32 (scale));

  return stored > 0.0f ? stored : 1.0f;
}

/* Returns scale @i of a search. @first: the scale of round-to-nearest */
QCONV_ITEM float
int4_scale_to_try (const QconvInt4GroupJob *job, guint i, float first)
{
  return i == 0 ? first : int4_stored_scale (job->stored, first * int4_factors[i]);
}

/* Returns the squared error of a weight */
QCONV_ITEM float
int4_error (float w, float scale)
{
  float code = (clamp_float (w / scale, -7.0f, 7.0f) + INTEGERS_ROUND) - INTEGERS_ROUND, d = w - code * scale;

  return d * d;
}
