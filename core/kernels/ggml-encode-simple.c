/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1 in one pass, and the ternary types. ggml-encode.c calls it. */
#include "kernels/ggml-lanes.h"
#include "kernels/ggml-pack.h"

enum { BLOCK = 32 };

/* The lowest and the highest of the numbers of a block */
typedef struct {
  float low, high;
} Range;

static ALWAYS_INLINE Range
find_range (const float *x)
{
  VecF low = lanes_at (x), high = low;

  for (guint i = LANES; i < BLOCK; i += LANES)
    {
      low = lanes_min (lanes_at (x + i), low);
      high = lanes_max (lanes_at (x + i), high);
    }
  return (Range) { -lanes_highest (-low), lanes_highest (high) };
}

/* Returns the first number of the block that is @a or @b */
static float
first_of (const float *x, float a, float b)
{
  for (guint i = 0; i < BLOCK; i++)
    if (x[i] == a || x[i] == b)
      return x[i];
  return 0.0f;
}

/* Returns the first number of the largest magnitude; +0 for a block of zeros */
static ALWAYS_INLINE float
largest_signed (const float *x)
{
  Range r = find_range (x);

  if (r.high != -r.low)
    return r.high > -r.low ? r.high : r.low;
  return r.high == 0.0f ? 0.0f : first_of (x, r.low, r.high);
}

/* Codes are the integers below (x - base)·factor + offset, at most @top */
typedef struct {
  float base, factor, offset, top;
} Map;

static ALWAYS_INLINE VecI
codes_at (const float *x, const Map *m)
{
  return lanes_cut (lanes_clamp ((lanes_at (x) - m->base) * m->factor + m->offset, 0.0f, m->top));
}

/* Stores the codes of a block: the lower four bits of the first half in the low nibbles of the bytes */
static ALWAYS_INLINE void
store_nibbles (const float *x, const Map *m, guint8 *dst)
{
  for (guint i = 0; i < BLOCK / 2; i += LANES)
    vec_store_bytes (dst + i, (codes_at (x + i, m) & 15) | (codes_at (x + i + BLOCK / 2, m) & 15) << 4);
}

/* Stores the fifth bits of the codes before them */
static ALWAYS_INLINE void
store_fives (const float *x, const Map *m, guint8 *dst)
{
  guint32 high = 0;

  for (guint i = 0; i < BLOCK; i += LANES)
    high |= lanes_signs (codes_at (x + i, m) << 27) << i;
  store_u32 (dst, high);
  store_nibbles (x, m, dst + 4);
}

/* Finds the codes of blocks whose value is d·(code - @half): the largest weight gets the code 0 */
static ALWAYS_INLINE Map
find_symmetric (const float *x, float half, guint8 *scale)
{
  float d = largest_signed (x) / -half;

  store_half (scale, d);
  return (Map) { 0.0f, inverse_or_zero (d), half + 0.5f, 2.0f * half - 1.0f };
}

/* Finds the codes of blocks whose value is d·code + m. A minimum of zero has the sign of the first zero */
static ALWAYS_INLINE Map
find_affine (const float *x, float top, guint8 *scale)
{
  Range r = find_range (x);
  float d = (r.high - r.low) / top;

  store_half (scale, d);
  store_half (scale + 2, r.low == 0.0f ? first_of (x, 0.0f, 0.0f) : r.low);
  return (Map) { r.low, inverse_or_zero (d), 0.5f, top };
}

/* Sets @codes to the integers nearest to x·@factor, ties away from zero, between -@most and @most, plus @add */
static ALWAYS_INLINE void
round_codes (const float *x, guint n, float factor, float most, gint32 add, guint8 *codes)
{
  for (guint i = 0; i < n; i += LANES)
    {
      VecF v = lanes_clamp (lanes_at (x + i) * factor, -most, most);
      VecI whole = lanes_cut (v);
      VecF rest = v - __builtin_convertvector(whole, VecF);

      vec_store_bytes (codes + i, (whole - (rest >= 0.5f) + (rest <= -0.5f) + add) & 255);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q8_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;

  for (guint lane = 0; lane < LANES; lane++, x += BLOCK, dst += 34)
    {
      float d = largest_magnitude (x, BLOCK) / 127.0f;

      store_half (dst, d);
      round_codes (x, BLOCK, inverse_or_zero (d), 127.0f, 0, dst + 2);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q4_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;

  if (group->importance != NULL)
    {
      QCONV_LEVEL_NAME (qconv_ggml_weighted_q4_0) (group, dst);
      return;
    }
  for (guint lane = 0; lane < LANES; lane++, x += BLOCK, dst += 18)
    {
      Map m = find_symmetric (x, 8.0f, dst);

      store_nibbles (x, &m, dst + 2);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q4_1) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;

  if (group->importance != NULL)
    {
      QCONV_LEVEL_NAME (qconv_ggml_weighted_q4_1) (group, dst);
      return;
    }
  for (guint lane = 0; lane < LANES; lane++, x += BLOCK, dst += 20)
    {
      Map m = find_affine (x, 15.0f, dst);

      store_nibbles (x, &m, dst + 4);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q5_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;

  if (group->importance != NULL)
    {
      QCONV_LEVEL_NAME (qconv_ggml_weighted_q5_0) (group, dst);
      return;
    }
  for (guint lane = 0; lane < LANES; lane++, x += BLOCK, dst += 22)
    {
      Map m = find_symmetric (x, 16.0f, dst);

      store_fives (x, &m, dst + 2);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q5_1) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;

  if (group->importance != NULL)
    {
      QCONV_LEVEL_NAME (qconv_ggml_weighted_q5_1) (group, dst);
      return;
    }
  for (guint lane = 0; lane < LANES; lane++, x += BLOCK, dst += 24)
    {
      Map m = find_affine (x, 31.0f, dst);

      store_fives (x, &m, dst + 4);
    }
}

/* Sets @codes to 0, 1, 2 for -d, 0, d, and returns d */
static float
find_ternary (const float *x, guint8 codes[QCONV_GGML_SUPER])
{
  float d = largest_magnitude (x, QCONV_GGML_SUPER), inverse = inverse_or_zero (d);

  round_codes (x, QCONV_GGML_SUPER, inverse, 1.0f, 1, codes);
  return d;
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_tq1_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;
  guint8 codes[QCONV_GGML_SUPER];

  for (guint lane = 0; lane < LANES; lane++, x += QCONV_GGML_SUPER, dst += 54)
    {
      float d = find_ternary (x, codes);

      store_tq1_0 (codes, d, dst);
    }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_tq2_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;
  guint8 codes[QCONV_GGML_SUPER];

  for (guint lane = 0; lane < LANES; lane++, x += QCONV_GGML_SUPER, dst += 66)
    {
      float d = find_ternary (x, codes);

      store_tq2_0 (codes, d, dst);
    }
}
