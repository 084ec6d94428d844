/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoders from components of other schemes; repack.h describes them. */
#include "repack.h"

#include <math.h>
#include <string.h>

#define MXFP4_ITEMS 32
#define MXFP4_BYTES (1 + MXFP4_ITEMS / 2)
#define NVFP4_GROUP 16
#define NVFP4_GROUPS 4
#define NVFP4_ITEMS (NVFP4_GROUPS * NVFP4_GROUP)
#define NVFP4_BYTES (NVFP4_GROUPS * (1 + NVFP4_GROUP / 2))

#define E4M3_NAN 0x7f

static guint8
code_at (const guint8 *codes, guint i)
{
  return codes[i / 2] >> (i % 2 * 4) & 15;
}

/* Puts the first half of 2 × @n codes into the low nibbles of @dst and the second half into the high ones. */
static void
halve_codes (const guint8 *codes, guint8 *dst, guint n)
{
  for (guint i = 0; i < n; i++)
    dst[i] = (guint8) (code_at (codes, i) | code_at (codes, i + n) << 4);
}

/* Makes @n blocks. */
static void
pack_mxfp4 (const guint8 *codes, const guint8 *scales, guint64 n, guint8 *blocks)
{
  for (guint64 i = 0; i < n; i++)
    {
      blocks[i * MXFP4_BYTES] = scales[i];
      halve_codes (codes + i * (MXFP4_ITEMS / 2), blocks + i * MXFP4_BYTES + 1, MXFP4_ITEMS / 2);
    }
}

static gboolean
encode_mxfp4 (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  pack_mxfp4 (qconv_buffer_data (qconv_tile_source (t, "codes")),
              qconv_buffer_data (qconv_tile_source (t, "block_scale")), t->n_rows * (t->layer->cols / MXFP4_ITEMS),
              qconv_buffer_data (qconv_tile_component (t, "blocks")));
  return TRUE;
}

const QconvEncoder qconv_gguf_from_mxfp4 = { .from = "mxfp4", .encode = encode_mxfp4 };

/* ---- NVFP4 ---- */

/* Returns the power of two that the tensor scale of the source is, or G_MAXINT if it is none that could fit. */
static int
power_of_scale (const QconvTile *t)
{
  float scale = *(const float *) qconv_buffer_data (qconv_tile_source (t, "tensor_scale"));
  int power;

  if (!(scale > 0.0f) || frexpf (scale, &power) != 0.5f)
    return G_MAXINT;
  return power - 1;
}

/* Multiplies the block scale @e4m3, not negative, by 2^@power. Returns FALSE if the result is no block scale. */
static gboolean
shift_scale (guint8 e4m3, int power, guint8 *shifted)
{
  int exponent = e4m3 >> 3, mantissa = e4m3 & 7;

  if (exponent == 0) /* subnormal: mantissa × 2^-9 */
    {
      if (mantissa == 0)
        return (*shifted = 0, TRUE);
      for (exponent = 1; mantissa < 8; exponent--)
        mantissa <<= 1;
      mantissa &= 7;
    }
  exponent += power;
  for (mantissa |= 8; exponent < 1; exponent++, mantissa >>= 1)
    if ((mantissa & 1) != 0 || mantissa == 0)
      return FALSE;
  *shifted = (guint8) (mantissa < 8 ? mantissa : exponent << 3 | (mantissa & 7));
  return exponent < 16 && *shifted < E4M3_NAN;
}

static void
plan_shifts (const QconvQuantizer *self, const QconvLayer *layer, QconvWork *work)
{
  work->n_passes = 1;
  work->partial_size = sizeof (guint32);
}

/* Counts the block scales that do not fit. */
static gboolean
accumulate_shifts (const QconvQuantizer *self, const QconvTile *t, guint pass, QconvBuffer *partial, GError **error)
{
  const guint8 *scales = qconv_buffer_data (qconv_tile_source (t, "block_scale"));
  guint64 n = t->n_rows * (t->layer->cols / NVFP4_GROUP);
  guint32 *wrong = qconv_buffer_data (partial);
  int power = power_of_scale (t);
  guint8 shifted;

  for (guint64 i = 0; i < n; i++)
    *wrong |= power == G_MAXINT || scales[i] >= E4M3_NAN || !shift_scale (scales[i], power, &shifted);
  return TRUE;
}

static gboolean
finish_shifts (const QconvQuantizer *self, const QconvTile *t, guint pass, gconstpointer partials, gsize n,
               gboolean *exact, GError **error)
{
  const guint32 *wrong = partials;

  for (gsize i = 0; i < n; i++)
    *exact = *exact && wrong[i] == 0;
  return TRUE;
}

/* Makes @n blocks whose scales are multiplied by 2^@power. */
static void
pack_nvfp4 (const guint8 *codes, const guint8 *scales, int power, guint64 n, guint8 *blocks)
{
  for (guint64 i = 0; i < n * NVFP4_GROUPS; i++)
    {
      guint8 *block = blocks + i / NVFP4_GROUPS * NVFP4_BYTES;
      guint group = (guint) (i % NVFP4_GROUPS);

      if (power == 0 || !shift_scale (scales[i], power, &block[group]))
        block[group] = scales[i];
      halve_codes (codes + i * (NVFP4_GROUP / 2), block + NVFP4_GROUPS + group * (NVFP4_GROUP / 2), NVFP4_GROUP / 2);
    }
}

static gboolean
encode_nvfp4 (const QconvQuantizer *self, const QconvTile *t, GError **error)
{
  pack_nvfp4 (qconv_buffer_data (qconv_tile_source (t, "codes")),
              qconv_buffer_data (qconv_tile_source (t, "block_scale")), power_of_scale (t),
              t->n_rows * (t->layer->cols / NVFP4_ITEMS), qconv_buffer_data (qconv_tile_component (t, "blocks")));
  return TRUE;
}

const QconvEncoder qconv_gguf_from_nvfp4 = {
  .from = "nvfp4",
  .work = plan_shifts,
  .accumulate = accumulate_shifts,
  .finish = finish_shifts,
  .encode = encode_nvfp4,
};

/* ---- Tensors ---- */

gboolean
qconv_gguf_pack_blocks (const QconvPack *pack, GError **error)
{
  memcpy (pack->dst, pack->src, pack->n_dst);
  return TRUE;
}

gboolean
qconv_gguf_pack_mxfp4 (const QconvPack *pack, GError **error)
{
  pack_mxfp4 (pack->src, qconv_pack_component (pack, "block_scale"), pack->n_rows * (pack->layer->cols / MXFP4_ITEMS),
              pack->dst);
  return TRUE;
}

gboolean
qconv_gguf_pack_nvfp4 (const QconvPack *pack, GError **error)
{
  pack_nvfp4 (pack->src, qconv_pack_component (pack, "block_scale"), 0,
              pack->n_rows * (pack->layer->cols / NVFP4_ITEMS), pack->dst);
  return TRUE;
}
