/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds codes and scales for the two depths of asym_w4a8_int8. Rows are rotated and their codes stand for levels; a
   level times its group's scale is a whole number of -127 … 127, and that times the row's scale is the weight. */
#pragma once
#include <math.h>

#include "qconv-plugin.h"

#define W4A8_LEVELS 16
#define W6A8_LEVELS 63
#define W4A8_MOST_LEVELS W6A8_LEVELS
#define W4A8_LARGEST_GROUP 256

/**
 * W4a8Form: the settings for the codes and scales of one matrix.
 *
 * @levels: @n_levels of them, ascending
 * @uniform: levels are consecutive whole numbers; codes for a group's own scale are found by rounding
 * @fitted: the scale is fitted to the codes, and codes are chosen once more for the rounded scales
 * @search: neighbouring E4M3 scales are tried
 */
typedef struct {
  const float *levels;
  guint n_levels, group;
  gboolean uniform, fitted, search;
} W4a8Form;

extern const float w4a8_table[W4A8_LEVELS], w4a8_eighths[W4A8_LEVELS];

/* Finds codes (indices of levels, one a byte) and scales of one rotated row. @scales: one for each group; with @e4m3
   (nullable) they are scratch, and its codes count. Returns the row's scale */
float w4a8_encode_row (const W4a8Form *form, const float *row, guint64 cols, guint8 *codes, float *scales,
                       guint8 *e4m3);

/* Returns the nearest whole number, ties to even, of up to 2^21: the sum has no room for a fraction. NaN stays NaN */
static inline float
w4a8_nearest (float x)
{
  return (x + 0x1.8p23f) - 0x1.8p23f;
}

/* Returns the value of a level in a group, in units of the row's scale */
static inline float
w4a8_step (float level, float scale)
{
  float x = level * scale;

  return w4a8_nearest (x < -127.0f ? -127.0f : x > 127.0f ? 127.0f : x);
}

/* Returns the number of an E4M3 code ("fn" variant) */
static inline float
w4a8_scale_of_code (guint8 code)
{
  static const float steps[16] = { 0x1p-9f, 0x1p-9f, 0x1p-8f, 0x1p-7f, 0x1p-6f, 0x1p-5f, 0x1p-4f, 0x1p-3f,
                                   0x1p-2f, 0x1p-1f, 0x1p0f,  0x1p1f,  0x1p2f,  0x1p3f,  0x1p4f,  0x1p5f };
  guint exponent = code >> 3 & 15;
  float magnitude = (float) ((exponent > 0 ? 8 : 0) + (code & 7)) * steps[exponent];

  if ((code & 0x7f) == 0x7f)
    return NAN;
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}
