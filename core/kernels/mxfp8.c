/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations "mxfp8-encode" and "mxfp8-decode": E4M3 codes, a power of two for 32 columns. */
#include "kernels/fp8.h"
#include "kernels/largest.h"
#if QCONV_VECTOR == 256
#include "kernels/fp8-pairs.h"
#endif

#define BLOCK QCONV_MXFP8_BLOCK
#define RUN 16 /* blocks that are encoded at once */

static void
encode_block (const float *w, guint8 *codes, gsize n, float factor)
{
  for (gsize i = 0; i < n; i++)
    codes[i] = fp8_of_f32 (w[i] * factor, FP8_E4M3);
}

/* Limits the code if the next one would decode to infinity. */
static void
clamp_highest (guint8 *codes, gsize n)
{
  for (gsize i = 0; i < n; i++)
    codes[i] = (guint8) ((codes[i] & 0x80) | MIN (codes[i] & 0x7f, MXFP8_LAST_OF_HIGHEST));
}

/* Encodes @n_blocks whole blocks, at most RUN */
static void
encode_blocks (const float *w, gsize n_blocks, guint8 *codes, guint8 *exponents)
{
  guint32 e[RUN] = { 0 };

  for (gsize b = 0; b < n_blocks; b++)
    e[b] = largest_bits (w + b * BLOCK, BLOCK);
  for (guint b = 0; b < RUN; b++)
    e[b] = mxfp8_exponent (e[b]);
  for (gsize b = 0; b < n_blocks; b++)
    {
      exponents[b] = (guint8) e[b];
      if (e[b] == 0)
        memset (codes + b * BLOCK, 0, BLOCK);
      else
        encode_block (w + b * BLOCK, codes + b * BLOCK, BLOCK, f32_of_bits ((254 - e[b]) << 23));
      if (e[b] == MXFP8_HIGHEST)
        clamp_highest (codes + b * BLOCK, BLOCK);
    }
}

#if QCONV_VECTOR == 256
G_STATIC_ASSERT (BLOCK == FP8_RUN);

/* Encodes whole blocks, eight at once. Returns how many it encoded: it leaves the last ones, and everything from eight
   blocks on of which one has the highest exponent. @dtype: a constant */
static inline gsize
encode_octets (QconvDType dtype, const guint8 *src, gsize n_blocks, guint8 *codes, guint8 *exponents)
{
  gsize bytes = BLOCK * (dtype == QCONV_F32 ? 4 : 2), b = 0;

  for (; b + LANES <= n_blocks; b += LANES)
    {
      VecF top = pairs_largest (dtype, src + b * bytes, BLOCK), least = top / 448.0f;
      VecI e = ((VecI) least >> 23) - (((VecI) least & 0x7fffff) != 0);

      e &= top >= MXFP8_LEAST_AMAX;
      if (vec_any (e >= MXFP8_HIGHEST))
        break;
      vec_store_bytes (exponents + b, e);
      for (gsize i = 0; i < LANES; i++)
        {
          VecF factor = vec_set (f32_of_bits ((254u - exponents[b + i]) << 23));

          fp8_encode_run (dtype, src + (b + i) * bytes, codes + (b + i) * BLOCK, factor, FALSE, FP8_E4M3);
          if (exponents[b + i] == 0)
            memset (codes + (b + i) * BLOCK, 0, BLOCK);
        }
    }
  return b;
}

static gsize
encode_most (const QconvMxfp8Job *s, const guint8 *src, gsize n_blocks, guint8 *codes, guint8 *exponents)
{
  if (s->dtype == QCONV_F32)
    return encode_octets (QCONV_F32, src, n_blocks, codes, exponents);
  if (s->dtype == QCONV_F16)
    return encode_octets (QCONV_F16, src, n_blocks, codes, exponents);
  return encode_octets (QCONV_BF16, src, n_blocks, codes, exponents);
}
#else
static gsize
encode_most (const QconvMxfp8Job *s, const guint8 *src, gsize n_blocks, guint8 *codes, guint8 *exponents)
{
  return 0;
}
#endif

static void
encode_row (const QconvMxfp8Job *s, const guint8 *src, guint8 *codes, guint8 *exponents)
{
  gsize item = item_bytes (s->dtype), rest = s->cols % BLOCK, whole = s->blocks - (rest > 0);
  float between[RUN * BLOCK];
  guint8 last[BLOCK];

  for (gsize b = encode_most (s, src, whole, codes, exponents); b < whole; b += RUN)
    {
      gsize n = MIN (whole - b, RUN);
      const float *w = (const float *) (const void *) (src + b * BLOCK * item);

      if (s->dtype != QCONV_F32)
        {
          QCONV_LEVEL_NAME (qconv_widen) (s->dtype, src + b * BLOCK * item, between, n * BLOCK);
          w = between;
        }
      encode_blocks (w, n, codes + b * BLOCK, exponents + b);
    }
  if (rest == 0)
    return;
  memset (between, 0, BLOCK * sizeof *between);
  QCONV_LEVEL_NAME (qconv_widen) (s->dtype, src + whole * BLOCK * item, between, rest);
  encode_blocks (between, 1, last, exponents + whole);
  memcpy (codes + whole * BLOCK, last, rest);
}

gboolean
QCONV_LEVEL_NAME (qconv_op_mxfp8_encode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvMxfp8Job s;

  if (!qconv_job_mxfp8_encode (&s, args, error))
    return FALSE;
  for (gsize r = 0; r < s.rows; r++)
    encode_row (&s, (const guint8 *) s.src + r * s.cols * item_bytes (s.dtype), s.codes + r * s.cols,
                s.exponents + r * s.blocks);
  return TRUE;
}

static inline void
decode_run (const guint8 *codes, float *dst, gsize n, float scale)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = f32_of_e4m3 (codes[i]) * scale;
}

gboolean
QCONV_LEVEL_NAME (qconv_op_mxfp8_decode) (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  QconvMxfp8Job s;

  if (!qconv_job_mxfp8_decode (&s, args, error))
    return FALSE;
  for (gsize r = 0; r < s.rows; r++)
    for (gsize b = 0; b < s.blocks; b++)
      {
        float scale = mxfp8_scale (s.exponents[r * s.blocks + b]);
        gsize at = r * s.cols + b * BLOCK;

        if (s.cols - b * BLOCK >= BLOCK)
          decode_run (s.codes + at, s.dst + at, BLOCK, scale);
        else
          decode_run (s.codes + at, s.dst + at, s.cols % BLOCK, scale);
      }
  return TRUE;
}
