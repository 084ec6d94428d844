/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1 in one pass, and the ternary types. ggml-encode.c calls it. */
#include "kernels/ggml-encode.h"
#include "kernels/ggml-pack.h"

enum { BLOCK = 32 };

/* Returns the first number of the largest magnitude; +0 for a block of zeros */
static inline float
largest_signed (const float *x)
{
  float top = largest_magnitude (x, BLOCK);

  for (gsize i = 0; i < BLOCK && top > 0.0f; i++)
    if (x[i] == top || x[i] == -top)
      return x[i];
  return 0.0f;
}

/* Sets @codes to the integers below x·@factor + @offset, at most @top */
static inline void
cut_codes (const float *restrict x, float factor, float offset, float top, guint8 *restrict codes)
{
  for (gsize i = 0; i < BLOCK; i++)
    codes[i] = (guint8) (gint) clamp (x[i] * factor + offset, 0.0f, top);
}

/* Encodes blocks whose value is d·(code - @half): the largest weight gets the code 0 */
static inline void
find_symmetric (const float *x, float half, guint8 *codes, guint8 *scale)
{
  float d = largest_signed (x) / -half;

  store_half (scale, d);
  cut_codes (x, inverse_or_zero (d), half + 0.5f, 2.0f * half - 1.0f, codes);
}

/* Encodes blocks whose value is d·code + m */
static inline void
find_affine (const float *x, float top, guint8 *codes, guint8 *scale)
{
  float low = x[0], high = x[0], d, shifted[BLOCK];

  for (gsize i = 1; i < BLOCK; i++)
    {
      low = x[i] < low ? x[i] : low;
      high = x[i] > high ? x[i] : high;
    }
  /* the sign of zero is that of the first one */
  for (gsize i = 0; i < BLOCK && low == 0.0f; i++)
    if (x[i] == 0.0f)
      {
        low = x[i];
        break;
      }
  d = (high - low) / top;
  store_half (scale, d);
  store_half (scale + 2, low);
  for (gsize i = 0; i < BLOCK; i++)
    shifted[i] = x[i] - low;
  cut_codes (shifted, inverse_or_zero (d), 0.5f, top, codes);
}

#define EACH_BLOCK(items, bytes) \
  for (gsize block_ = 0; block_ < QCONV_GGML_LANES; block_++, x += (items), dst += (bytes))

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q8_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;

  EACH_BLOCK (BLOCK, 34)
  {
    float d = largest_magnitude (x, BLOCK) / 127.0f, inverse = inverse_or_zero (d);
    gint8 *codes = (gint8 *) dst + 2;

    store_half (dst, d);
    for (gsize i = 0; i < BLOCK; i++)
      codes[i] = (gint8) round_away (clamp (x[i] * inverse, -127.0f, 127.0f));
  }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q4_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;
  guint8 codes[BLOCK];

  if (group->importance != NULL)
    {
      QCONV_LEVEL_NAME (qconv_ggml_weighted_q4_0) (group, dst);
      return;
    }
  EACH_BLOCK (BLOCK, 18)
  {
    find_symmetric (x, 8.0f, codes, dst);
    pack_nibbles (codes, dst + 2, BLOCK);
  }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q4_1) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;
  guint8 codes[BLOCK];

  if (group->importance != NULL)
    {
      QCONV_LEVEL_NAME (qconv_ggml_weighted_q4_1) (group, dst);
      return;
    }
  EACH_BLOCK (BLOCK, 20)
  {
    find_affine (x, 15.0f, codes, dst);
    pack_nibbles (codes, dst + 4, BLOCK);
  }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q5_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;
  guint8 codes[BLOCK];

  if (group->importance != NULL)
    {
      QCONV_LEVEL_NAME (qconv_ggml_weighted_q5_0) (group, dst);
      return;
    }
  EACH_BLOCK (BLOCK, 22)
  {
    find_symmetric (x, 16.0f, codes, dst);
    store_five_bits (codes, dst + 2);
  }
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_q5_1) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;
  guint8 codes[BLOCK];

  if (group->importance != NULL)
    {
      QCONV_LEVEL_NAME (qconv_ggml_weighted_q5_1) (group, dst);
      return;
    }
  EACH_BLOCK (BLOCK, 24)
  {
    find_affine (x, 31.0f, codes, dst);
    store_five_bits (codes, dst + 4);
  }
}

/* Sets @codes to 0, 1, 2 for -d, 0, d, and returns d */
static float
find_ternary (const float *x, guint8 codes[QCONV_GGML_SUPER])
{
  float d = largest_magnitude (x, QCONV_GGML_SUPER), inverse = inverse_or_zero (d);

  for (gsize i = 0; i < QCONV_GGML_SUPER; i++)
    codes[i] = (guint8) (round_away (clamp (x[i] * inverse, -1.0f, 1.0f)) + 1);
  return d;
}

void
QCONV_LEVEL_NAME (qconv_ggml_encode_tq1_0) (const QconvGgmlGroup *group, guint8 *dst)
{
  const float *x = group->x;
  guint8 codes[QCONV_GGML_SUPER];

  EACH_BLOCK (QCONV_GGML_SUPER, 54)
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

  EACH_BLOCK (QCONV_GGML_SUPER, 66)
  {
    float d = find_ternary (x, codes);

    store_tq2_0 (codes, d, dst);
  }
}
