/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes floats as F32, F16 and BF16, and lists the types of synthetic models. */
#include "encode.h"

#include <string.h>

static guint32
float_bits (float x)
{
  guint32 u;

  memcpy (&u, &x, sizeof u);
  return u;
}

static void
put16 (guint8 *dst, guint16 v)
{
  dst[0] = (guint8) v;
  dst[1] = (guint8) (v >> 8);
}

/* Rounds to nearest, ties to even; @x must be finite */
guint16
encode_half (float x)
{
  guint32 u = float_bits (x), sign = (u >> 16) & 0x8000;
  gint32 exponent = (gint32) ((u >> 23) & 0xff) - 112;
  guint32 mantissa = (u & 0x7fffff) | 0x800000, shift = 13, kept, rest, half;

  if (exponent <= 0)
    {
      if (exponent < -10)
        return (guint16) sign;
      shift += 1 - exponent;
      exponent = 1;
    }
  kept = mantissa >> shift;
  rest = mantissa & ((1u << shift) - 1);
  half = 1u << (shift - 1);
  kept += rest > half || (rest == half && (kept & 1));
  kept += ((guint32) exponent - 1) << 10;
  return (guint16) (sign | MIN (kept, 0x7c00));
}

static void
encode_f16 (const float *src, gsize n, guint8 *dst)
{
  for (gsize i = 0; i < n; i++)
    put16 (dst + 2 * i, encode_half (src[i]));
}

static void
encode_bf16 (const float *src, gsize n, guint8 *dst)
{
  for (gsize i = 0; i < n; i++)
    {
      guint32 u = float_bits (src[i]);

      put16 (dst + 2 * i, (guint16) ((u + 0x7fff + ((u >> 16) & 1)) >> 16));
    }
}

static void
encode_f32 (const float *src, gsize n, guint8 *dst)
{
  for (gsize i = 0; i < n; i++)
    {
      guint32 u = GUINT32_TO_LE (float_bits (src[i]));

      memcpy (dst + 4 * i, &u, 4);
    }
}

/* The numbers are those of the GGUF specification. The second-level scale of NVFP4 may be any constant */
static const ModelType types[] = {
  { "f32", "F32", 0, 0, 1, 4, 1, encode_f32 },          { "f16", "F16", 1, 1, 1, 2, 1, encode_f16 },
  { "bf16", "BF16", 30, 32, 1, 2, 1, encode_bf16 },     { "q4_0", NULL, 2, 2, 32, 18, 1, encode_q4_0 },
  { "q4_1", NULL, 3, 3, 32, 20, 1, encode_q4_1 },       { "q5_0", NULL, 6, 8, 32, 22, 1, encode_q5_0 },
  { "q5_1", NULL, 7, 9, 32, 24, 1, encode_q5_1 },       { "q8_0", NULL, 8, 7, 32, 34, 1, encode_q8_0 },
  { "mxfp4", NULL, 39, 1024, 32, 17, 1, encode_mxfp4 }, { "nvfp4", NULL, 40, 1024, 64, 36, 1.0f / 1024, encode_nvfp4 },
};

const ModelType *
model_type_find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (g_str_equal (types[i].name, name))
      return &types[i];
  return NULL;
}
