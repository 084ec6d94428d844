/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads items of any type as F32, and stores F32 as any type: one item, or a short run that a device moves in words of
   16 bytes. Callers give constants for types and lengths, for each of which the compiler makes code. */
#pragma once
#include "kernels/numbers.h"
#include "qconv-dtype.h"

/* The bytes that a thread of a device loads or stores at once */
#ifdef __CUDACC__
#define QCONV_MAY_ALIAS
#else
#define QCONV_MAY_ALIAS , may_alias
#endif
typedef struct {
  guint32 word[4];
} __attribute__ ((aligned (16) QCONV_MAY_ALIAS)) QconvSixteen;
typedef struct {
  guint32 word[2];
} __attribute__ ((aligned (8) QCONV_MAY_ALIAS)) QconvEight;
typedef struct {
  guint32 word;
} __attribute__ ((aligned (4) QCONV_MAY_ALIAS)) QconvFour;

QCONV_ITEM gboolean
is_aligned (const void *p, gsize to)
{
  return ((gsize) p & (to - 1)) == 0;
}

/* Returns the size of an item in bytes. @dtype: any that widen_item() takes */
QCONV_SIZE guint
item_bytes (QconvDType dtype)
{
  switch ((int) dtype)
    {
    case QCONV_F64:
    case QCONV_I64:
    case QCONV_U64:
      return 8;
    case QCONV_F32:
    case QCONV_I32:
    case QCONV_U32:
      return 4;
    case QCONV_F16:
    case QCONV_BF16:
    case QCONV_I16:
    case QCONV_U16:
      return 2;
    default:
      return 1;
    }
}

/* Returns an item of up to 32 bits as F32 */
QCONV_ITEM float
widen_bits (QconvDType dtype, guint32 bits)
{
  switch ((int) dtype)
    {
    case QCONV_F16:
      return f32_of_f16 ((guint16) bits);
    case QCONV_BF16:
      return f32_of_bf16 ((guint16) bits);
    case QCONV_F8_E4M3:
      return f32_of_e4m3 ((guint8) bits);
    case QCONV_F8_E5M2:
      return f32_of_e5m2 ((guint8) bits);
    case QCONV_F8_E8M0:
      return f32_of_e8m0 ((guint8) bits);
    case QCONV_I8:
      return (float) (gint8) bits;
    case QCONV_I16:
      return (float) (gint16) bits;
    case QCONV_I32:
      return (float) (gint32) bits;
    case QCONV_U8:
      return (float) (guint8) bits;
    case QCONV_U16:
      return (float) (guint16) bits;
    case QCONV_U32:
      return (float) bits;
    case QCONV_BOOL:
      return (guint8) bits != 0 ? 1.0f : 0.0f;
    default:
      return f32_of_bits (bits);
    }
}

/* Returns item @i of @src as F32. @dtype: any that "convert" takes */
QCONV_ITEM float
widen_item (QconvDType dtype, const void *src, gsize i)
{
  switch ((int) dtype)
    {
    case QCONV_F64:
      return (float) ((const double *) src)[i];
    case QCONV_I64:
      return f32_of_i64 (((const gint64 *) src)[i]);
    case QCONV_U64:
      return f32_of_u64 (((const guint64 *) src)[i]);
    case QCONV_F32:
      return ((const float *) src)[i];
    default:
      return widen_bits (dtype, item_bytes (dtype) == 4   ? ((const guint32 *) src)[i]
                                : item_bytes (dtype) == 2 ? ((const guint16 *) src)[i]
                                                          : ((const guint8 *) src)[i]);
    }
}

/* Stores @x as item @i of @dst. @dtype: F64, F32, F16 or BF16 */
QCONV_ITEM void
narrow_item (QconvDType dtype, float x, void *dst, gsize i)
{
  if (dtype == QCONV_F64)
    ((double *) dst)[i] = (double) x;
  else if (dtype == QCONV_F32)
    ((float *) dst)[i] = x;
  else
    ((guint16 *) dst)[i] = dtype == QCONV_F16 ? f16_of_f32 (x) : bf16_of_f32 (x);
}

/* Loads 8 items of up to 32 bits, which begin at a multiple of 16 bytes, or of 8 if they are bytes */
QCONV_ITEM void
load_eight (QconvDType dtype, const void *from, float w[8])
{
  guint bytes = item_bytes (dtype), per_word = 4 / bytes;
  guint32 word[8];

  if (bytes == 1)
    {
      QconvEight e = *(const QconvEight *) from;

      word[0] = e.word[0];
      word[1] = e.word[1];
    }
  QCONV_UNROLL
  for (guint k = 0; bytes > 1 && k < 2 * bytes; k++)
    word[k] = ((const QconvSixteen *) from)[k / 4].word[k % 4];
  QCONV_UNROLL
  for (guint k = 0; k < 8; k++)
    w[k] = widen_bits (dtype, word[k / per_word] >> (8 * bytes * (k % per_word)));
}

/* Loads @count items, a multiple of 8, of which @n exist, from item @at on; zeros follow these. @w: @count floats */
QCONV_ITEM void
load_run (QconvDType dtype, const void *src, gsize at, gsize n, float *w, guint count)
{
  guint bytes = item_bytes (dtype);
  const guint8 *from = (const guint8 *) src + at * bytes;

  if (n >= count && bytes <= 4 && is_aligned (from, bytes == 1 ? 8 : 16))
    {
      QCONV_UNROLL
      for (guint i = 0; i < count; i += 8)
        load_eight (dtype, from + i * bytes, w + i);
      return;
    }
  QCONV_UNROLL
  for (guint i = 0; i < count; i++)
    w[i] = i < n ? widen_item (dtype, src, at + i) : 0.0f;
}

/* Stores four floats as @dtype, F32, F16 or BF16; @to must be a multiple of their bytes */
QCONV_ITEM void
store_four (QconvDType dtype, const float y[4], void *to)
{
  if (dtype == QCONV_F32)
    {
      QconvSixteen s = { { bits_of_f32 (y[0]), bits_of_f32 (y[1]), bits_of_f32 (y[2]), bits_of_f32 (y[3]) } };

      *(QconvSixteen *) to = s;
    }
  else
    {
      QconvEight e;

      QCONV_UNROLL
      for (guint k = 0; k < 2; k++)
        if (dtype == QCONV_F16)
          e.word[k] = f16_of_f32 (y[2 * k]) | (guint32) f16_of_f32 (y[2 * k + 1]) << 16;
        else
          e.word[k] = bf16_of_f32 (y[2 * k]) | (guint32) bf16_of_f32 (y[2 * k + 1]) << 16;
      *(QconvEight *) to = e;
    }
}

/* Stores the first @n of @count floats, a multiple of 4, from item @at of @dst on. @dtype: F64, F32, F16 or BF16 */
QCONV_ITEM void
store_run (QconvDType dtype, const float *y, gsize n, guint count, void *dst, gsize at)
{
  guint8 *to = (guint8 *) dst + at * item_bytes (dtype);

  if (n >= count && dtype != QCONV_F64 && is_aligned (to, 16))
    {
      QCONV_UNROLL
      for (guint i = 0; i < count; i += 4)
        store_four (dtype, y + i, to + i * item_bytes (dtype));
      return;
    }
  QCONV_UNROLL
  for (guint i = 0; i < count; i++)
    if (i < n)
      narrow_item (dtype, y[i], dst, at + i);
}

/* Stores the first @n of 8 bytes */
QCONV_ITEM void
store_eight_bytes (const guint32 word[2], gsize n, guint8 *dst)
{
  if (n >= 8 && is_aligned (dst, 8))
    {
      QconvEight e = { { word[0], word[1] } };

      *(QconvEight *) dst = e;
      return;
    }
  QCONV_UNROLL
  for (guint i = 0; i < 8; i++)
    if (i < n)
      dst[i] = (guint8) (word[i / 4] >> (i % 4 * 8));
}

/* Loads 8 codes of 4 bits of a row, or the last @n */
QCONV_ITEM guint32
load_eight_codes (const guint8 *codes, gsize n)
{
  guint32 word = 0;

  if (n >= 8 && is_aligned (codes, 4))
    return ((const QconvFour *) codes)->word;
  QCONV_UNROLL
  for (guint i = 0; i < 4; i++)
    if (2 * i < n)
      word |= (guint32) codes[i] << (8 * i);
  return word;
}
