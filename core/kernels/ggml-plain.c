/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reference for decoding the block types of ggml, 8 items at a time; the level "scalar" runs it. */
#include "kernels/ggml-grids.h"
#include "kernels/ggml.h"
#include "kernels/items/ggml-eights.h"

#define DEFINE_DECODE(name, op, bytes, items)                                                          \
  void QCONV_LEVEL_NAME (qconv_ggml_##name) (const guint8 *restrict src, float *restrict dst, gsize n) \
  {                                                                                                    \
    const QconvGgmlJob job = { src, dst, n, qconv_ggml_grids () };                                     \
                                                                                                       \
    for (gsize unit = 0; unit < n * ((items) / 8); unit++)                                             \
      ggml_##name##_unit (&job, unit);                                                                 \
  }
QCONV_GGML_TYPES (DEFINE_DECODE)
