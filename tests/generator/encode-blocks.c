/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes GGUF blocks as ggml's reference quantizers do (quantize_row_*_ref): in F32, with the scale before it is
   rounded. encode.c lists the types. */
#include <math.h>
#include <string.h>

#include "encode.h"

static void
put_half (guint8 *dst, float x)
{
  guint16 h = encode_half (x);

  dst[0] = (guint8) h;
  dst[1] = (guint8) (h >> 8);
}

/* Returns the first value of largest magnitude, with its sign */
static float
extreme (const float *x, guint n)
{
  float best = 0, magnitude = 0;

  for (guint i = 0; i < n; i++)
    if (fabsf (x[i]) > magnitude)
      {
        magnitude = fabsf (x[i]);
        best = x[i];
      }
  return best;
}

static void
range (const float *x, guint n, float *min, float *max)
{
  *min = *max = x[0];
  for (guint i = 1; i < n; i++)
    {
      *min = MIN (*min, x[i]);
      *max = MAX (*max, x[i]);
    }
}

static float
inverse (float d)
{
  return d != 0 ? 1.0f / d : 0.0f;
}

/* Packs 32 codes: the first half of the block in low nibbles; bit 4 of each code in @high (nullable) */
static void
put_codes (const guint8 *codes, guint8 *nibbles, guint8 *high)
{
  guint32 bits = 0;

  for (guint i = 0; i < 16; i++)
    nibbles[i] = (guint8) ((codes[i] & 15) | (codes[i + 16] & 15) << 4);
  for (guint i = 0; i < 32; i++)
    bits |= (guint32) (codes[i] >> 4) << i;
  for (guint i = 0; high != NULL && i < 4; i++)
    high[i] = (guint8) (bits >> (8 * i));
}

/* Makes codes around zero, which has the code @half: 8 or 16 */
static void
symmetric (const float *x, int half, guint8 *codes, guint8 *scale)
{
  float d = extreme (x, 32) / (float) -half, id = inverse (d);

  for (guint i = 0; i < 32; i++)
    codes[i] = (guint8) MIN (2 * half - 1, (int) (x[i] * id + ((float) half + 0.5f)));
  put_half (scale, d);
}

/* Makes codes from 0 for the minimum to @top for the maximum */
static void
affine (const float *x, int top, guint8 *codes, guint8 *scale)
{
  float min, max, d, id;

  range (x, 32, &min, &max);
  d = (max - min) / (float) top;
  id = inverse (d);
  for (guint i = 0; i < 32; i++)
    codes[i] = (guint8) MIN (top, (int) ((x[i] - min) * id + 0.5f));
  put_half (scale, d);
  put_half (scale + 2, min);
}

void
encode_q4_0 (const float *src, gsize n, guint8 *dst)
{
  guint8 codes[32];

  for (gsize i = 0; i < n; i += 32, dst += 18)
    {
      symmetric (src + i, 8, codes, dst);
      put_codes (codes, dst + 2, NULL);
    }
}

void
encode_q4_1 (const float *src, gsize n, guint8 *dst)
{
  guint8 codes[32];

  for (gsize i = 0; i < n; i += 32, dst += 20)
    {
      affine (src + i, 15, codes, dst);
      put_codes (codes, dst + 4, NULL);
    }
}

void
encode_q5_0 (const float *src, gsize n, guint8 *dst)
{
  guint8 codes[32];

  for (gsize i = 0; i < n; i += 32, dst += 22)
    {
      symmetric (src + i, 16, codes, dst);
      put_codes (codes, dst + 6, dst + 2);
    }
}

void
encode_q5_1 (const float *src, gsize n, guint8 *dst)
{
  guint8 codes[32];

  for (gsize i = 0; i < n; i += 32, dst += 24)
    {
      affine (src + i, 31, codes, dst);
      put_codes (codes, dst + 8, dst + 4);
    }
}

void
encode_q8_0 (const float *src, gsize n, guint8 *dst)
{
  for (gsize i = 0; i < n; i += 32, dst += 34)
    {
      float d = fabsf (extreme (src + i, 32)) / 127.0f, id = inverse (d);

      put_half (dst, d);
      for (guint k = 0; k < 32; k++)
        dst[2 + k] = (guint8) (gint8) roundf (src[i + k] * id);
    }
}

/* The values of E2M1 times two, by code; code 8 is a second +0 */
static const gint8 e2m1[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* Returns the code whose value times @scale is nearest to @x; the lower of two */
static guint8
nearest_e2m1 (float x, float scale)
{
  guint best = 0;

  for (guint i = 1; i < 16; i++)
    if (fabsf ((float) e2m1[i] * scale - x) < fabsf ((float) e2m1[best] * scale - x))
      best = i;
  return (guint8) best;
}

void
encode_mxfp4 (const float *src, gsize n, guint8 *dst)
{
  for (gsize i = 0; i < n; i += 32, dst += 17)
    {
      float max = fabsf (extreme (src + i, 32));
      guint8 codes[32];

      dst[0] = max > 0 ? (guint8) (int) (floorf (log2f (max)) - 2 + 127) : 0;
      for (guint k = 0; k < 32; k++)
        codes[k] = nearest_e2m1 (src[i + k], ldexpf (1, (int) dst[0] - 128));
      put_codes (codes, dst + 1, NULL);
    }
}

/* Encodes a scale as ggml's positive E4M3: ties round up, numbers from 248 on become the largest code */
static guint8
encode_ue4m3 (float v)
{
  int exponent;
  float mantissa;

  if (v >= 248)
    return 0x7e;
  if (v < 0x1p-6f)
    return (guint8) MIN (7, (int) (v * 512 + 0.5f));
  mantissa = frexpf (v, &exponent);
  return (guint8) (((exponent + 6) << 3) + (int) (mantissa * 16 + 0.5f) - 8);
}

static float
decode_ue4m3 (guint8 code)
{
  int exponent = code >> 3, mantissa = code & 7;

  return exponent == 0 ? ldexpf ((float) mantissa, -9) : ldexpf ((float) (8 + mantissa), exponent - 10);
}

void
encode_nvfp4 (const float *src, gsize n, guint8 *dst)
{
  for (gsize i = 0; i < n; i += 64, dst += 36)
    for (guint s = 0; s < 4; s++)
      {
        const float *x = src + i + 16 * s;
        float scale;

        dst[s] = encode_ue4m3 (fabsf (extreme (x, 16)) / 6.0f);
        /* The table has the values times two */
        scale = decode_ue4m3 (dst[s]) / 2;
        for (guint k = 0; k < 8; k++)
          dst[4 + 8 * s + k] = (guint8) (nearest_e2m1 (x[k], scale) | nearest_e2m1 (x[k + 8], scale) << 4);
      }
}
