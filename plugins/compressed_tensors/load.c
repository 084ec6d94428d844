/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load functions that the reader binds: they unpack codes and zeros, and bring scales into the shape of the scheme. The
   library stores signed numbers with an offset that makes them unsigned; the offset stays, and zeros have it, too
   (compressed_tensors: compressors/pack_quantized/helpers.py). */
#include <string.h>

#include "ct.h"
#include "qconv-numbers.h"
#include "spread.h"

#define WORD 32
/* Bytes that are read at once, unless a row has more. */
#define STRETCH 65536
/* The offset of signed bytes. */
#define BYTE_OFFSET 128

gsize
ct_load_scratch (guint64 stride)
{
  return (gsize) MAX (stride, STRETCH);
}

/* Calls @unpack for every row of the tile: @src has @stride bytes, @dst has @width. */
static gboolean
each_row (const QconvLoad *load, gsize width, void (*unpack) (const CtPacking *p, const guint8 *src, guint8 *dst),
          GError **error)
{
  const QconvTensor *t = load->tensors[0];
  gsize stride = (gsize) (t->n_bytes / load->layer->rows);
  guint64 at_once = MAX (STRETCH / stride, 1);
  g_autofree guint8 *rows = g_malloc (at_once * stride + QCONV_SPREAD);

  for (guint64 row = 0; row < load->n; row += at_once)
    {
      guint64 n = MIN (load->n - row, at_once);

      if (!qconv_tensor_read (t, (load->first + row) * stride, (gsize) (n * stride), rows, error))
        return FALSE;
      for (guint64 i = 0; i < n; i++)
        unpack (load->data != NULL ? g_bytes_get_data (load->data, NULL) : NULL, rows + i * stride,
                (guint8 *) load->dst + (row + i) * width);
    }
  return TRUE;
}

/* ---- Words ---- */

/* Returns field @i of the bit string at @src, whose words are little-endian. */
static guint
field_of (const CtPacking *p, const guint8 *src, guint64 i)
{
  guint per_word = WORD / p->bits;
  guint64 bit = p->padded ? i / per_word * WORD + i % per_word * p->bits : i * p->bits;
  const guint8 *byte = src + bit / 8;
  guint shift = bit % 8, value = byte[0];

  if (shift + p->bits > 8)
    value |= (guint) byte[1] << 8;
  return value >> shift & ((1u << p->bits) - 1);
}

/* Codes that do not straddle words of the older packing are unpacked one by one, others as many at once as fill whole
   bytes. */
static void
unpack_bytes (const CtPacking *p, const guint8 *src, guint8 *dst)
{
  guint64 i = 0;

  for (; !p->padded && i + 8 <= p->cols; i += 8)
    qconv_spread_bytes (src + i / 8 * p->bits, p->bits, dst + i);
  for (; i < p->cols; i++)
    dst[i] = (guint8) field_of (p, src, i);
}

static void
unpack_nibbles (const CtPacking *p, const guint8 *src, guint8 *dst)
{
  guint64 i = 0;

  for (; !p->padded && i + 16 <= p->cols; i += 16)
    qconv_spread_nibbles (src + i / 8 * p->bits, p->bits, dst + i / 2);
  for (; i + 1 < p->cols; i += 2)
    dst[i / 2] = (guint8) (field_of (p, src, i) | field_of (p, src, i + 1) << 4);
  if (i < p->cols)
    dst[i / 2] = (guint8) field_of (p, src, i);
}

/* Copies rows of 4 or 8 bits, whose bytes are those of the component. */
static void
copy_row (const CtPacking *p, const guint8 *src, guint8 *dst)
{
  gsize n = (gsize) (p->bits == 8 ? p->cols : p->cols / 2);

  memcpy (dst, src, n);
  if (p->bits == 4 && p->cols % 2 != 0)
    dst[n] = src[n] & 15;
}

gboolean
ct_load_packed (const QconvLoad *load, GError **error)
{
  const CtPacking *p = g_bytes_get_data (load->data, NULL);
  gsize width = (gsize) (p->bits <= 4 ? p->cols / 2 + p->cols % 2 : p->cols);

  return each_row (load, width,
                   p->bits == 4 || p->bits == 8 ? copy_row
                   : p->bits < 4                ? unpack_nibbles
                                                : unpack_bytes,
                   error);
}

/* Loads zeros that are packed along the rows: a column of words for each group. Starts where a word does. */
gboolean
ct_load_packed_zero (const QconvLoad *load, GError **error)
{
  const CtPacking *p = g_bytes_get_data (load->data, NULL);
  guint64 span = p->padded ? WORD / p->bits : WORD, words = p->padded ? 1 : p->bits;
  guint64 skipped = load->first / span, end = (load->first + load->n - 1) / span + 1;
  guint64 n = MIN (end * words, load->tensors[0]->shape.dim[0]) - skipped * words;
  gsize row_bytes = (gsize) p->groups * sizeof (guint32);
  g_autofree guint32 *rows = g_malloc (n * row_bytes), *column = g_new (guint32, n);
  gint16 *dst = load->dst;

  if (!qconv_tensor_read (load->tensors[0], skipped * words * row_bytes, (gsize) (n * row_bytes), rows, error))
    return FALSE;
  for (guint64 g = 0; g < p->groups; g++)
    {
      for (guint64 w = 0; w < n; w++)
        column[w] = rows[w * p->groups + g];
      for (guint64 i = 0; i < load->n; i++)
        dst[i * p->groups + g] = (gint16) field_of (p, (const guint8 *) column, load->first + i - skipped * span);
    }
  return TRUE;
}

/* ---- Bytes ---- */

gboolean
ct_load_bytes (const QconvLoad *load, GError **error)
{
  gsize n = (gsize) (load->n * load->layer->cols);
  guint8 *dst = load->dst;

  if (!qconv_tensor_read (load->tensors[0], load->first * load->layer->cols, n, dst, error))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    dst[i] ^= BYTE_OFFSET;
  return TRUE;
}

gboolean
ct_load_byte_zero (const QconvLoad *load, GError **error)
{
  const CtPacking *p = g_bytes_get_data (load->data, NULL);
  gsize n = (gsize) (load->n * p->groups), stored = p->one ? 1 : n;
  g_autofree gint8 *zeros = g_malloc (stored);
  gint16 *dst = load->dst;

  if (!qconv_tensor_read (load->tensors[0], p->one ? 0 : load->first * p->groups, stored, zeros, error))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    dst[i] = (gint16) (zeros[p->one ? 0 : i] + BYTE_OFFSET);
  return TRUE;
}

/* Converts a row of codes, four in three bytes, from E2M3 to E4M3: sign, exponent and mantissa, where the seven
   subnormal numbers m/8 become normal (OCP microscaling, table of FP6). */
static void
unpack_sixes (const CtPacking *p, const guint8 *src, guint8 *dst)
{
  static const guint8 e4m3[32]
      = { 0x00, 0x20, 0x28, 0x2c, 0x30, 0x32, 0x34, 0x36, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
          0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f };

  for (guint64 i = 0; i + 4 <= p->cols; i += 4, src += 3)
    {
      guint run = src[0] | (guint) src[1] << 8 | (guint) src[2] << 16;

      for (guint k = 0; k < 4; k++, run >>= 6)
        dst[i + k] = (guint8) (e4m3[run & 31] | (run & 32) << 2);
    }
}

gboolean
ct_load_sixes (const QconvLoad *load, GError **error)
{
  return each_row (load, (gsize) load->layer->cols, unpack_sixes, error);
}

/* ---- Scales, middle, groups ---- */

gboolean
ct_load_scale (const QconvLoad *load, GError **error)
{
  const CtPacking *p = g_bytes_get_data (load->data, NULL);
  const QconvTensor *t = load->tensors[0];
  gsize n = (gsize) (load->n * p->groups), stored = p->one ? 1 : n, item = qconv_dtype_bits (t->dtype) / 8;
  g_autofree guint8 *scales = g_malloc (stored * item);
  float *dst = load->dst;

  if (!qconv_tensor_read (t, p->one ? 0 : load->first * p->groups * item, stored * item, scales, error))
    return FALSE;
  if (!qconv_floats_from (t->dtype, scales, stored, dst))
    return qconv_fail (error, QCONV_ERROR_BUG, "tensor \"%s\" is no scale", t->name);
  for (gsize i = 1; p->one && i < n; i++)
    dst[i] = dst[0];
  return TRUE;
}

gboolean
ct_load_middle (const QconvLoad *load, GError **error)
{
  const CtPacking *p = g_bytes_get_data (load->data, NULL);
  gint16 *dst = load->dst;

  for (guint64 i = 0; i < load->n * p->groups; i++)
    dst[i] = (gint16) (1 << (p->bits - 1));
  return TRUE;
}

gboolean
ct_load_index (const QconvLoad *load, GError **error)
{
  const CtPacking *p = g_bytes_get_data (load->data, NULL);
  const QconvTensor *t = load->tensors[0];
  gint32 *dst = load->dst;
  gboolean unset;

  if (!qconv_tensor_read (t, 0, (gsize) p->cols * sizeof *dst, dst, error))
    return FALSE;
  unset = dst[0] == -1;
  for (guint64 i = 0; i < p->cols; i++)
    {
      gint32 group = GINT32_FROM_LE (dst[i]);

      if (unset ? group != -1 : group < 0 || (guint64) group >= p->groups)
        return qconv_fail (error, QCONV_ERROR_INPUT,
                           "tensor \"%s\": column %" G_GUINT64_FORMAT " has group %d where there are %" G_GUINT64_FORMAT
                           " groups",
                           t->name, i, group, p->groups);
      dst[i] = unset ? (gint32) (i / p->group) : group;
    }
  return TRUE;
}
