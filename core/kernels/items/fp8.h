/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes FP8: with one scale for a tensor, with a scale for every tile, and MXFP8. Without branches, so that compilers
   make vectors of loops over it. */
#pragma once
#include <float.h>

#include "kernels/items/weights.h"

/* The finite numbers of a format. @mantissa: bits of it; @normal: the F32 exponent field of its smallest normal
   number */
typedef struct {
  guint32 mantissa, normal;
  float largest;
} Fp8;

#define FP8_E4M3 (fp8_format (3, 127 - 6, 448.0f))
#define FP8_E5M2 (fp8_format (2, 127 - 14, 57344.0f))

QCONV_ITEM Fp8
fp8_format (guint32 mantissa, guint32 normal, float largest)
{
  Fp8 f = { mantissa, normal, largest };

  return f;
}

/* Returns the F32 whose last place is the step of the format at magnitude @t: adding it rounds @t to nearest, ties to
   even */
QCONV_ITEM guint32
fp8_rounder (float t, Fp8 f)
{
  float smallest = f32_of_bits (f.normal << 23);

  return (bits_of_f32 (t > smallest ? t : smallest) & 0x7f800000) + ((23 - f.mantissa) << 23);
}

/* Returns the code nearest to @y, saturated: never Inf or NaN */
QCONV_ITEM guint8
fp8_of_f32 (float y, Fp8 f)
{
  guint32 u = bits_of_f32 (y), shift = 23 - f.mantissa, rounder;
  float magnitude = f32_of_bits (u & 0x7fffffff), t = magnitude < f.largest ? magnitude : f.largest;

  rounder = fp8_rounder (t, f);
  return (guint8) (bits_of_f32 (t + f32_of_bits (rounder)) - rounder
                   + (((rounder - (shift << 23)) >> shift) - (f.normal << f.mantissa)) + (u >> 24 & 0x80));
}

/* ---- One scale for a tensor ---- */

#define QCONV_FP8_RUN 8 /* weights of a unit */

/* @scale: one number; @n: rows × columns */
typedef struct {
  QconvDType dtype, format;
  const void *src;
  guint8 *dst;
  const float *scale;
  gsize n;
} QconvFp8Job;

QCONV_ITEM void
fp8_encode_unit (const QconvFp8Job *job, gsize unit, QconvDType dtype)
{
  gsize at = unit * QCONV_FP8_RUN;
  float w[QCONV_FP8_RUN], scale = *job->scale;
  guint32 codes[2] = { 0, 0 };

  load_run (dtype, job->src, at, job->n - at, w, QCONV_FP8_RUN);
  QCONV_UNROLL
  for (guint i = 0; i < QCONV_FP8_RUN; i++)
    {
      float y = w[i] / scale;
      guint32 code = job->format == QCONV_F8_E4M3 ? fp8_of_f32 (y, FP8_E4M3) : fp8_of_f32 (y, FP8_E5M2);

      codes[i / 4] |= code << (i % 4 * 8);
    }
  store_eight_bytes (codes, job->n - at, job->dst + at);
}

/* ---- A scale for every tile ---- */

#define FP8_SUMS 16             /* partial sums of an error: column c of a tile goes to sum c modulo 16 */
#define FP8_N_SCALES 32         /* within one octave */
#define FP8_STEP 0x1.f50766p-1f /* 2^(-1/32) */
#define FP8_LEAST_AMAX 1e-12f
#define FP8_LARGEST_FACTOR 0x1p126f /* its reciprocal is still a normal number */

/**
 * QconvTiles: how a matrix is cut; the last ones in a row or column may be smaller.
 *
 * @height, @width: of a tile
 * @across, @down: how many tiles there are
 */
typedef struct {
  gsize rows, cols, height, width, across, down;
} QconvTiles;

/* One tile: the place of its upper left weight, and its size */
typedef struct {
  gsize row, col, height, width;
} QconvTile;

typedef struct {
  QconvDType dtype;
  const void *src;
  guint8 *codes;
  float *scales;
  QconvTiles tiles;
  gboolean search;
} QconvFp8TileJob;

/* Returns tile @i, counted along rows of tiles */
QCONV_ITEM QconvTile
tile_at (const QconvTiles *t, gsize i)
{
  QconvTile tile;

  tile.row = i / t->across * t->height;
  tile.col = i % t->across * t->width;
  tile.height = MIN (t->height, t->rows - tile.row);
  tile.width = MIN (t->width, t->cols - tile.col);
  return tile;
}

/* Returns what round-to-nearest multiplies weights with; @amax: the largest magnitude of the tile */
QCONV_ITEM float
fp8_factor (float amax)
{
  return 448.0f * (1.0f / (amax > FP8_LEAST_AMAX ? amax : FP8_LEAST_AMAX));
}

/* Sets the factors that the search tries: one octave below that of round-to-nearest, which clip nothing. If the weights
   are so small that round-to-nearest makes them all zero, the search starts with a factor for this tile instead */
QCONV_ITEM void
fp8_candidates (float amax, float candidates[FP8_N_SCALES])
{
  float own = 448.0f * (1.0f / amax), rtn = fp8_factor (amax);

  candidates[0] = own < FP8_LARGEST_FACTOR ? own : FP8_LARGEST_FACTOR;
  for (guint k = 1; k < FP8_N_SCALES; k++)
    candidates[k] = candidates[k - 1] * FP8_STEP;
  if (amax * rtn > 0x1p-10f)
    candidates[0] = rtn;
}

/* Returns the value of E4M3 nearest to @t, which must be from 0 to 448 */
QCONV_ITEM float
fp8_near (float t)
{
  float rounder = f32_of_bits (fp8_rounder (t, FP8_E4M3));

  return (t + rounder) - rounder;
}

/* Returns the squared error of a magnitude in steps of the code */
QCONV_ITEM float
fp8_error (float magnitude, float factor)
{
  float t = magnitude * factor, d = t - fp8_near (t);

  return d * d;
}

/* Returns the error of a tile, of which @sum is the sum in steps of the code, or DBL_MAX if its largest magnitude @amax
   would decode to infinity */
QCONV_ITEM double
fp8_error_of_sum (float sum, float factor, float amax)
{
  double scale = 1.0 / (double) factor;

  return fp8_near (amax * factor) * (1.0f / factor) > FLT_MAX ? DBL_MAX : (double) sum * (scale * scale);
}

/* ---- Codes under the scale of their tile, FP8 or INT8 ---- */

#define QCONV_TILE_RUN 8 /* columns of a unit */

/* @dtype: F8_E4M3, F8_E5M2 or I8; @runs: of a row */
typedef struct {
  QconvDType dtype;
  const guint8 *codes;
  const float *scales;
  float *dst;
  QconvTiles tiles;
  gsize runs;
} QconvTileDecodeJob;

QCONV_ITEM void
tile_decode_unit (const QconvTileDecodeJob *job, gsize unit, QconvDType dtype)
{
  const QconvTiles *t = &job->tiles;
  gsize row = unit / job->runs, col = unit % job->runs * QCONV_TILE_RUN, n = t->cols - col, at = row * t->cols + col;
  gsize tile = col / t->width, end = (tile + 1) * t->width - col;
  const float *scales = job->scales + row / t->height * t->across;
  float y[QCONV_TILE_RUN];

  load_run (dtype, job->codes, at, n, y, QCONV_TILE_RUN);
  QCONV_UNROLL
  for (guint i = 0; i < QCONV_TILE_RUN; i++)
    if (i < n)
      {
        if (i == end)
          {
            tile++;
            end += t->width;
          }
        y[i] *= scales[tile];
      }
  store_run (QCONV_F32, y, n, QCONV_TILE_RUN, job->dst, at);
}

/* ---- MXFP8: a power of two for 32 columns ---- */

#define QCONV_MXFP8_BLOCK 32
#define QCONV_MXFP8_RUN 8 /* columns of a unit of decoding */
/* A block whose largest magnitude is below this is a zero block: its exponent would be 0, and comfy-kitchen decodes
   that as zero */
#define MXFP8_LEAST_AMAX (448.0f * 0x1p-126f)
/* The exponent of a block that holds the largest F32, and the code of 240: 240 times 2^120 is still finite */
#define MXFP8_HIGHEST 247
#define MXFP8_LAST_OF_HIGHEST 0x77

/* Encodes, or decodes to F32. @src: weights to encode; @dst: decoded ones
   @blocks, @runs: of a row */
typedef struct {
  QconvDType dtype;
  const void *src;
  float *dst;
  guint8 *codes, *exponents;
  gsize rows, cols, blocks, runs;
} QconvMxfp8Job;

/* Returns the exponent of the least power of two that brings the largest magnitude, whose bits are @top, to 448 or
   below, or 0 for a zero block */
QCONV_ITEM guint32
mxfp8_exponent (guint32 top)
{
  float amax = f32_of_bits (top);
  guint32 n = bits_of_f32 (amax / 448.0f), e = (n >> 23) + ((n & 0x7fffff) != 0);

  e = e < 254 ? e : 254;
  return amax >= MXFP8_LEAST_AMAX ? e : 0;
}

/* Returns a code of a block with the exponent @e */
QCONV_ITEM guint8
mxfp8_code (float w, guint32 e)
{
  guint8 code = fp8_of_f32 (w * f32_of_bits ((254 - e) << 23), FP8_E4M3);

  if (e == MXFP8_HIGHEST)
    code = (guint8) ((code & 0x80) | MIN (code & 0x7f, MXFP8_LAST_OF_HIGHEST));
  return e == 0 ? 0 : code;
}

QCONV_ITEM float
mxfp8_scale (guint8 e)
{
  return e == 0 ? 0.0f : f32_of_e8m0 (e);
}

/* Encodes one block of a row, whose last one may have fewer columns */
QCONV_ITEM void
mxfp8_encode_unit (const QconvMxfp8Job *job, gsize unit, QconvDType dtype)
{
  gsize row = unit / job->blocks, col = unit % job->blocks * QCONV_MXFP8_BLOCK, n = job->cols - col;
  guint8 *codes = job->codes + row * job->cols + col;
  float w[QCONV_MXFP8_BLOCK];
  guint32 top = 0, e;

  load_run (dtype, job->src, row * job->cols + col, n, w, QCONV_MXFP8_BLOCK);
  QCONV_UNROLL
  for (guint i = 0; i < QCONV_MXFP8_BLOCK; i++)
    top = MAX (top, bits_of_f32 (w[i]) & 0x7fffffff);
  e = mxfp8_exponent (top);
  job->exponents[unit] = (guint8) e;
  QCONV_UNROLL
  for (guint i = 0; i < QCONV_MXFP8_BLOCK; i += 8)
    {
      guint32 eight[2] = { 0, 0 };

      QCONV_UNROLL
      for (guint k = 0; k < 8; k++)
        eight[k / 4] |= (guint32) mxfp8_code (w[i + k], e) << (k % 4 * 8);
      if (i < n)
        store_eight_bytes (eight, n - i, codes + i);
    }
}

QCONV_ITEM void
mxfp8_decode_unit (const QconvMxfp8Job *job, gsize unit)
{
  gsize row = unit / job->runs, col = unit % job->runs * QCONV_MXFP8_RUN, n = job->cols - col;
  float y[QCONV_MXFP8_RUN], scale = mxfp8_scale (job->exponents[row * job->blocks + col / QCONV_MXFP8_BLOCK]);

  load_run (QCONV_F8_E4M3, job->codes, row * job->cols + col, n, y, QCONV_MXFP8_RUN);
  QCONV_UNROLL
  for (guint i = 0; i < QCONV_MXFP8_RUN; i++)
    y[i] *= scale;
  store_run (QCONV_F32, y, n, QCONV_MXFP8_RUN, job->dst, row * job->cols + col);
}
