/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes runs of NVFP4 blocks; nvfp4.c calls it. nvfp4-plain.c is the reference, nvfp4-vector.c gives the same
   bytes. */
#pragma once
#include "kernels/ops.h"

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
