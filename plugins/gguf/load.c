/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unpacks blocks into components. */
#include "load.h"

#include <string.h>

#include "types.h"

/* Bytes of blocks that are unpacked at once. */
#define AT_ONCE 8192

/* Finds the blocks of the rows that are asked for. Rows hold whole blocks and lie back to back. */
static void
find_blocks (const QconvLoad *load, const GgufType *type, guint64 *first, guint64 *n)
{
  guint64 per_row = load->layer->cols / type->items;

  *first = load->first * per_row;
  *n = load->n * per_row;
}

static void
swap_halves (guint8 *blocks, guint64 n, const GgufType *type)
{
  for (guint k = 0; k < G_N_ELEMENTS (type->halves) && type->halves[k] >= 0; k++)
    for (guint64 i = 0; i < n; i++)
      {
        guint8 *half = blocks + i * type->bytes + type->halves[k], high = half[0];

        half[0] = half[1];
        half[1] = high;
      }
}

gboolean
qconv_gguf_load_blocks (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  const GgufType *type = qconv_gguf_type_named (t->type);
  guint64 first, n;

  find_blocks (load, type, &first, &n);
  if (!qconv_tensor_read (t, first * type->bytes, (gsize) (n * type->bytes), load->dst, error))
    return FALSE;
  if (t->big_endian)
    swap_halves (load->dst, n, type);
  return TRUE;
}

/* Unpacks the share that the component has of one block. Returns FALSE if a scale is not a number. */
typedef gboolean UnpackFunc (const guint8 *block, guint8 *dst);

static gboolean
broken_scale (const QconvTensor *t, guint64 block, GError **error)
{
  return qconv_fail (error, QCONV_ERROR_NON_FINITE,
                     "tensor \"%s\": the scale of block %" G_GUINT64_FORMAT " is not a number", t->name, block);
}

static gboolean
unpack (const QconvLoad *load, UnpackFunc *unpack_block, gsize dst_bytes, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  const GgufType *type = qconv_gguf_type_named (t->type);
  guint8 blocks[AT_ONCE];
  gsize at_once = sizeof blocks / type->bytes;
  guint8 *dst = load->dst;
  guint64 first, n;

  find_blocks (load, type, &first, &n);
  for (guint64 done = 0; done < n; done += at_once)
    {
      gsize now = (gsize) MIN (n - done, at_once);

      if (!qconv_tensor_read (t, (first + done) * type->bytes, now * type->bytes, blocks, error))
        return FALSE;
      for (gsize i = 0; i < now; i++, dst += dst_bytes)
        if (!unpack_block (blocks + i * type->bytes, dst))
          return broken_scale (t, first + done + i, error);
    }
  return TRUE;
}

/* Reorders @n × 2 codes. ggml has the first half in the low nibbles and the second half in the high ones; components
   have even columns low and odd columns high. */
static void
pair_codes (const guint8 *src, guint8 *dst, guint n)
{
  for (guint i = 0; i < n / 2; i++)
    {
      dst[i] = (guint8) ((src[2 * i] & 15) | (src[2 * i + 1] & 15) << 4);
      dst[n / 2 + i] = (guint8) (src[2 * i] >> 4 | (src[2 * i + 1] & 0xf0));
    }
}

/* Unpacks the codes. To ggml code 8 is +0 (ggml-common.h kvalues_mxfp4), to the scheme −0. */
static gboolean
unpack_mxfp4_codes (const guint8 *block, guint8 *dst)
{
  pair_codes (block + 1, dst, 16);
  for (guint i = 0; i < 16; i++)
    {
      guint8 low = dst[i] & 0x0f, high = dst[i] & 0xf0;

      dst[i] = (guint8) ((low == 0x08 ? 0 : low) | (high == 0x80 ? 0 : high));
    }
  return TRUE;
}

static gboolean
unpack_mxfp4_scale (const guint8 *block, guint8 *dst)
{
  *dst = block[0];
  return block[0] != 0xff;
}

static gboolean
unpack_nvfp4_codes (const guint8 *block, guint8 *dst)
{
  for (guint i = 0; i < 4; i++)
    pair_codes (block + 4 + 8 * i, dst + 8 * i, 8);
  return TRUE;
}

/* Unpacks the scales. To ggml the scale byte 0x7f is 0 (ggml-quants.c). */
static gboolean
unpack_nvfp4_scales (const guint8 *block, guint8 *dst)
{
  guint8 all = 0;

  for (guint i = 0; i < 4; i++)
    {
      dst[i] = block[i] == 0x7f ? 0 : block[i];
      all |= block[i];
    }
  return all < 0x80;
}

gboolean
qconv_gguf_load_mxfp4_codes (const QconvLoad *load, GError **error)
{
  return unpack (load, unpack_mxfp4_codes, 16, error);
}

gboolean
qconv_gguf_load_mxfp4_scales (const QconvLoad *load, GError **error)
{
  return unpack (load, unpack_mxfp4_scale, 1, error);
}

gboolean
qconv_gguf_load_nvfp4_codes (const QconvLoad *load, GError **error)
{
  return unpack (load, unpack_nvfp4_codes, 32, error);
}

gboolean
qconv_gguf_load_nvfp4_scales (const QconvLoad *load, GError **error)
{
  return unpack (load, unpack_nvfp4_scales, 4, error);
}

gboolean
qconv_gguf_load_checked_blocks (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  const GgufType *type = qconv_gguf_type_named (t->type);
  const guint8 *blocks = load->dst;
  guint64 first, n;

  if (!qconv_gguf_load_blocks (load, error))
    return FALSE;
  find_blocks (load, type, &first, &n);
  for (guint64 i = 0; i < n; i++)
    {
      guint8 scales[4];

      if (!(type->id == GGUF_MXFP4 ? unpack_mxfp4_scale : unpack_nvfp4_scales) (blocks + i * type->bytes, scales))
        return broken_scale (t, first + i, error);
    }
  return TRUE;
}

gboolean
qconv_gguf_load_one (const QconvLoad *load, GError **error)
{
  const float one = 1.0f;

  memcpy (load->dst, &one, sizeof one);
  return TRUE;
}

gboolean
qconv_gguf_load_repeated (const QconvLoad *load, GError **error)
{
  const QconvTensor *t = load->tensors[0];
  guint32 bits, *dst = load->dst;

  if (!qconv_tensor_read (t, 0, sizeof bits, &bits, error))
    return FALSE;
  bits = t->big_endian ? GUINT32_FROM_BE (bits) : GUINT32_FROM_LE (bits);
  for (guint64 i = 0; i < load->n; i++)
    dst[i] = bits;
  return TRUE;
}

gboolean
qconv_gguf_load_frames (const QconvLoad *load, GError **error)
{
  const QconvShape *shape = &load->tensors[0]->shape;
  gsize kernel = (gsize) (shape->dim[2] * shape->dim[3]) * qconv_dtype_bits (load->tensors[0]->dtype) / 8;
  guint64 per_row = shape->dim[1];
  guint8 *dst = load->dst;

  for (guint64 i = load->first * per_row; i < (load->first + load->n) * per_row; i++)
    for (guint frame = 0; frame < 2; frame++, dst += kernel)
      if (!qconv_tensor_read (load->tensors[frame], i * kernel, kernel, dst, error))
        return FALSE;
  return TRUE;
}
