/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The codes of a residual and their scales, for a few rows of a layer: NVFP4 for svdq_fp4, integers with a scale for 64
   columns for svdq_int4. The encoder and the decoder call it. */
#pragma once
#include "qconv-plugin.h"

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
/* Decodes these rows to @floats, without the scales of rows. */
gboolean nunchaku_codes_decode (NunchakuCodes *c, QconvBuffer *floats, gsize first, gsize n, GError **error);
