/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The codes of a residual and their scales, for a few rows of a layer: NVFP4 for svdq_fp4, integers with a scale for 64
   columns for svdq_int4. The encoder and the decoder call it. */
#pragma once
#include "qconv-plugin.h"

/* The operations that the functions run, for the list of an encoder. */
#define NUNCHAKU_CODES_OPERATIONS                                                                                \
  { "convert", 1 }, { "int4-decode-row", 1 }, { "int4-group-encode-rtn", 1 }, { "int4-group-encode-search", 1 }, \
      { "nvfp4-decode", 1 }, { "nvfp4-encode-rtn", 1 },                                                          \
  {                                                                                                              \
    "nvfp4-encode-search", 1                                                                                     \
  }

/* The codes of @t. @codes, @scales: (nullable): views of the rows at hand; NULL at first */
typedef struct {
  const QconvTile *t;
  QconvBuffer *codes, *scales, *one, *half;
} NunchakuCodes;

/* Takes all memory that the other functions need. Without it each takes its own when it comes to it, which no task of
   several may do. */
gboolean nunchaku_codes_open (NunchakuCodes *c, GError **error);
/* Prepares for residuals whose largest magnitude is @top: FP4 gets its tensor scale. */
gboolean nunchaku_codes_begin (NunchakuCodes *c, float top, GError **error);
/* Encodes @floats, F32 [n, cols], as rows [first, first + n) of the tile. */
gboolean nunchaku_codes_encode (NunchakuCodes *c, QconvBuffer *floats, gsize first, gsize n, GError **error);
/* Replaces the code of minus zero, 8, by that of zero in all rows, when they are encoded: deepcompressor never writes
   it (deepcompressor/backend/utils.py: fp_quantize), and a checker may take it for damage. Decoding makes no difference
   between the two. */
gboolean nunchaku_codes_end (NunchakuCodes *c, GError **error);
/* Decodes these rows to @floats, without the scales of rows. */
gboolean nunchaku_codes_decode (NunchakuCodes *c, QconvBuffer *floats, gsize first, gsize n, GError **error);
