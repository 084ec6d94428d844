/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reference for encoding NVFP4 blocks, one block at a time; the level "scalar" runs it. */
#include "kernels/nvfp4.h"

void
QCONV_LEVEL_NAME (qconv_nvfp4_encode_blocks) (const QconvNvfp4Run *run)
{
  gsize bytes = QCONV_NVFP4_BLOCK * item_bytes (run->dtype);
  float w[QCONV_NVFP4_BLOCK];
  guint32 codes[2];

  for (gsize b = 0; b < run->n_blocks; b++)
    {
      QCONV_LEVEL_NAME (qconv_widen) (run->dtype, (const guint8 *) run->src + b * bytes, w, QCONV_NVFP4_BLOCK);
      run->scales[b] = nvfp4_encode_block (w, codes, run->tensor_scale, run->search);
      memcpy (run->codes + b * QCONV_NVFP4_BLOCK_BYTES, codes, QCONV_NVFP4_BLOCK_BYTES);
    }
}
