/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodes and decodes the codes of residuals (nunchaku: src/kernels/zgemm/gemm_w4a4.cuh; deepcompressor:
   deepcompressor/quantizer/impl/scale.py). encode.c and svdq.c call it. */
#include "codes.h"

#include "buffers.h"
#include "nunchaku.h"
#include "packing.h"
#include "quantizer-checks.h"

/* The largest E2M1 number times the largest E4M3 number */
#define LARGEST_FP4 2688.0f
/* The top bits of 16 codes */
#define SIGNS G_GUINT64_CONSTANT (0x8888888888888888)

static gboolean
is_fp4 (const QconvTile *t)
{
  return g_str_equal (t->layer->scheme, nunchaku_svdq_fp4.id);
}

/* Points the views at rows [first, first + n) of the tile. */
static gboolean
view (NunchakuCodes *c, gsize first, gsize n, GError **error)
{
  gboolean fp4 = is_fp4 (c->t);
  QconvBuffer *codes = qconv_tile_component (c->t, "codes");
  QconvBuffer *scales = qconv_tile_component (c->t, fp4 ? "block_scale" : "group_scale");
  gsize cols = (gsize) c->t->layer->cols, code_bytes = cols / 2;
  gsize scale_bytes = fp4 ? cols / NUNCHAKU_GROUP_FP4 : cols / NUNCHAKU_GROUP_INT4 * sizeof (float);

  c->codes = qconv_tile_view (c->t, c->codes, codes, QCONV_U4, first * code_bytes, n * code_bytes, error);
  if (c->codes == NULL)
    return FALSE;
  c->scales = qconv_tile_view (c->t, c->scales, scales, qconv_buffer_dtype (scales), first * scale_bytes,
                               n * scale_bytes, error);
  return c->scales != NULL;
}

/* Returns: (nullable): the scale of the tensor, or one if the layer has scales of rows alone. */
static QconvBuffer *
tensor_scale (NunchakuCodes *c, GError **error)
{
  QconvBuffer *scale = qconv_tile_component (c->t, "tensor_scale");

  if (scale != NULL || c->one != NULL)
    return scale != NULL ? scale : c->one;
  c->one = qconv_tile_scratch (c->t, sizeof (float), error);
  if (c->one != NULL && !nunchaku_fill (c->t, c->one, 1.0f, error))
    c->one = NULL;
  return c->one;
}

/* Returns: room for the scale of the tensor while it is rounded. */
static QconvBuffer *
half_of (NunchakuCodes *c, GError **error)
{
  if (c->half == NULL)
    c->half = qconv_tile_scratch (c->t, sizeof (float), error);
  if (c->half != NULL)
    c->half = qconv_tile_view (c->t, c->half, c->half, nunchaku_scale_dtype (c->t->layer), 0, 2, error);
  return c->half;
}

gboolean
nunchaku_codes_open (NunchakuCodes *c, GError **error)
{
  return view (c, 0, 0, error) && (!is_fp4 (c->t) || (tensor_scale (c, error) != NULL && half_of (c, error) != NULL));
}

gboolean
nunchaku_codes_begin (NunchakuCodes *c, float top, GError **error)
{
  QconvBuffer *scale = qconv_tile_component (c->t, "tensor_scale"), *half;
  float number = top / LARGEST_FP4;

  if (scale == NULL)
    return TRUE;
  half = half_of (c, error);
  if (half == NULL || !nunchaku_fill (c->t, scale, number, error) || !nunchaku_copy (c->t, scale, half, error)
      || !nunchaku_copy (c->t, half, scale, error)
      || !qconv_stream_read (c->t->stream, scale, 0, sizeof number, &number, error))
    return FALSE;
  return number > 0.0f || nunchaku_fill (c->t, scale, 1.0f, error);
}

gboolean
nunchaku_codes_encode (NunchakuCodes *c, QconvBuffer *floats, gsize first, gsize n, GError **error)
{
  const QconvLayer *layer = c->t->layer;
  gboolean rtn = qconv_effort_is_rtn (layer);

  if (!view (c, first, n, error))
    return FALSE;
  if (!is_fp4 (c->t))
    return qconv_stream_run (c->t->stream, rtn ? "int4-group-encode-rtn" : "int4-group-encode-search", 1,
                             (QconvArg[]) { QCONV_BUF (floats), QCONV_BUF (c->codes), QCONV_BUF (c->scales),
                                            QCONV_I (n), QCONV_I (layer->cols), QCONV_I (NUNCHAKU_GROUP_INT4),
                                            QCONV_I (nunchaku_scale_dtype (layer)) },
                             7, error);
  return qconv_stream_run (c->t->stream, rtn ? "nvfp4-encode-rtn" : "nvfp4-encode-search", 1,
                           (QconvArg[]) { QCONV_BUF (floats), QCONV_BUF (c->codes), QCONV_BUF (c->scales),
                                          QCONV_BUF (qconv_tile_component (c->t, "tensor_scale")), QCONV_I (n),
                                          QCONV_I (layer->cols) },
                           6, error);
}

gboolean
nunchaku_codes_decode (NunchakuCodes *c, QconvBuffer *floats, gsize first, gsize n, GError **error)
{
  guint64 cols = c->t->layer->cols;
  QconvBuffer *scale;

  if (!view (c, first, n, error))
    return FALSE;
  /* Every group is a row of its own to the operation */
  if (!is_fp4 (c->t))
    return qconv_stream_run (c->t->stream, "int4-decode-row", 1,
                             (QconvArg[]) { QCONV_BUF (c->codes), QCONV_BUF (c->scales), QCONV_BUF (floats),
                                            QCONV_I (n * (cols / NUNCHAKU_GROUP_INT4)), QCONV_I (NUNCHAKU_GROUP_INT4) },
                             5, error);
  scale = tensor_scale (c, error);
  return scale != NULL
         && qconv_stream_run (c->t->stream, "nvfp4-decode", 1,
                              (QconvArg[]) { QCONV_BUF (c->codes), QCONV_BUF (c->scales), QCONV_BUF (scale),
                                             QCONV_BUF (floats), QCONV_I (n), QCONV_I (cols) },
                              6, error);
}

gboolean
nunchaku_codes_end (NunchakuCodes *c, GError **error)
{
  QconvBuffer *codes = qconv_tile_component (c->t, "codes");
  guint64 piece[4096];
  gsize n = qconv_buffer_size (codes);

  for (gsize at = 0; is_fp4 (c->t) && at < n; at += sizeof piece)
    {
      gsize bytes = MIN (n - at, sizeof piece);

      if (!qconv_stream_read (c->t->stream, codes, at, bytes, piece, error))
        return FALSE;
      for (gsize i = 0; i < (bytes + sizeof *piece - 1) / sizeof *piece; i++)
        piece[i] &= ~(SIGNS & ~(piece[i] << 1 | piece[i] << 2 | piece[i] << 3));
      if (!qconv_stream_write (c->t->stream, codes, at, bytes, piece, error))
        return FALSE;
    }
  return TRUE;
}
