/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes runs of NVFP4 blocks; nvfp4.c calls it. nvfp4-plain.c is the reference, nvfp4-vector.c gives the same
   bytes. */
#pragma once
#include "kernels/ops.h"

#define QCONV_NVFP4_BLOCK 16      /* weights that share a scale */
#define QCONV_NVFP4_BLOCK_BYTES 8 /* of codes */

/* Offsets of the scale codes that the search tries from the code of round-to-nearest, in this order */
/* clang-format off */
#define QCONV_NVFP4_OFFSETS { 0, -1, 5, 4, 1, 6, 3, -2, 2, -3 }
/* clang-format on */
#define QCONV_NVFP4_N_OFFSETS 10

/**
 * QconvNvfp4Run: whole blocks that follow each other, and the places of their codes and scales.
 *
 * @src: weights of @dtype
 * @tensor_scale: positive
 */
typedef struct {
  QconvDType dtype;
  gconstpointer src;
  gsize n_blocks;
  guint8 *codes, *scales;
  float tensor_scale;
  gboolean search;
} QconvNvfp4Run;

/* Encodes all blocks of @run */
void QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (const QconvNvfp4Run *run);
