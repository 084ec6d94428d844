/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 4-bit codes into a table, with the largest magnitude of every block (NF4, FP4, AF4). Blocks run over all weights, row
   after row, while every row of codes starts a byte. */
#pragma once
#include "kernels/items/weights.h"

#define BOOK_SUMS 16 /* partial sums: weight i of a block goes to sum i modulo 16 */
#define BOOK_BLOCK_LARGEST 4096
/* A searched magnitude must neither underflow nor overflow */
#define BOOK_SEARCH_LOWEST 0x1p-120f
#define BOOK_SEARCH_HIGHEST 0x1p120f

typedef enum { BOOK_FROM_LARGEST, BOOK_FROM_SEARCH, BOOK_FROM_GIVEN } QconvMagnitudes;

/* @codes: NULL if only the magnitudes are written
   @block: a power of two; @blocks: how many there are; @runs: of 8 columns, of a row */
typedef struct {
  QconvDType dtype;
  const void *src;
  const float *table;
  guint8 *codes;
  float *magnitudes;
  gsize rows, cols, block, blocks, runs;
  QconvMagnitudes how;
} QconvCodebook4Job;

typedef struct {
  const guint8 *codes;
  const float *table, *magnitudes;
  float *dst;
  gsize rows, cols, block, blocks, runs;
} QconvCodebook4DecodeJob;

/* The factors of the largest magnitude that a search tries: from 1 down until three in a row are no better, then up,
   then beside the best one, then the one that fits its codes */
#define BOOK_N_DOWN 14
#define BOOK_N_UP 4
#define BOOK_BESIDE 0.025f
QCONV_TABLE float book_down[BOOK_N_DOWN]
    = { 0.95f, 0.9f, 0.85f, 0.8f, 0.75f, 0.7f, 0.65f, 0.6f, 0.55f, 0.5f, 0.45f, 0.4f, 0.35f, 0.3f };
QCONV_TABLE float book_up[BOOK_N_UP] = { 1.05f, 1.1f, 1.25f, 1.4f };

/* Returns 1 / @magnitude, or 1e38 for a zero block (bitsandbytes: backends/default/ops.py quantize_4bit) */
QCONV_ITEM float
book_inverse (float magnitude)
{
  return 1.0f / (f32_of_bits (bits_of_f32 (magnitude) & 0x7fffffff) > 1e-38f ? magnitude : 1e-38f);
}

QCONV_ITEM void
codebook4_decode_unit (const QconvCodebook4DecodeJob *job, gsize unit)
{
  gsize row = unit / job->runs, col = unit % job->runs * 8, n = job->cols - col, at = row * job->cols + col;
  guint32 codes = load_eight_codes (job->codes + row * (job->cols / 2 + job->cols % 2) + col / 2, n);
  float y[8];

  QCONV_UNROLL
  for (guint i = 0; i < 8; i++)
    y[i] = i < n ? job->table[codes >> (4 * i) & 15] * job->magnitudes[(at + i) / job->block] : 0.0f;
  store_run (QCONV_F32, y, n, 8, job->dst, at);
}
