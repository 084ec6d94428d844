/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packs components. The way back is load.c. */
#include "pack.h"

#include <string.h>

#include "packing.h"
#include "shift.h"

/* Packs the rows at hand, of @row_bytes each, from @data. */
static void
pack_rows (const QconvPack *pack, const NunchakuLayout *l, gconstpointer data, gsize row_bytes)
{
  const NunchakuRows rows = { (guint8 *) data, row_bytes, 0, pack->n_rows };
  NunchakuGrid grid = nunchaku_grid (l, pack->n_rows, row_bytes);

  nunchaku_pack (l, &rows, &grid, 0, pack->dst);
}

/* Rounds @n floats to BF16. Fails if one becomes Inf, or is none. */
static gboolean
round_floats (const float *floats, gsize n, guint16 *halves, GError **error)
{
  qconv_floats_to (QCONV_BF16, floats, n, halves);
  for (gsize i = 0; i < n; i++)
    if ((halves[i] & 0x7f80) == 0x7f80)
      return qconv_fail (error, QCONV_ERROR_NON_FINITE, "%g is Inf or NaN, or becomes Inf in BF16", (double) floats[i]);
  return TRUE;
}

/* Packs @rows of BF16 numbers, which are @floats. @rows.data does not count. */
static gboolean
pack_floats (const QconvPack *pack, const NunchakuLayout *l, const float *floats, NunchakuRows rows, GError **error)
{
  gsize n = (gsize) rows.n * rows.row_bytes / sizeof (guint16);
  g_autofree guint16 *halves = g_new (guint16, n);
  NunchakuGrid grid = nunchaku_grid (l, rows.n, rows.row_bytes);

  if (!round_floats (floats, n, halves, error))
    return FALSE;
  rows.data = (guint8 *) halves;
  nunchaku_pack (l, &rows, &grid, 0, pack->dst);
  return TRUE;
}

gboolean
nunchaku_pack_codes (const QconvPack *pack, GError **error)
{
  pack_rows (pack, &nunchaku_codes, pack->src, (gsize) pack->layer->cols / 2);
  return TRUE;
}

/* Minus zero, which deepcompressor writes for groups of zeros, stays as it is. */
gboolean
nunchaku_pack_block_scale (const QconvPack *pack, GError **error)
{
  pack_rows (pack, &nunchaku_micro_scales, pack->src, (gsize) pack->layer->cols / NUNCHAKU_GROUP_FP4);
  return TRUE;
}

gboolean
nunchaku_pack_groups (const QconvPack *pack, GError **error)
{
  NunchakuRows rows = { NULL, (gsize) pack->layer->cols / NUNCHAKU_GROUP_INT4 * sizeof (guint16), 0, pack->n_rows };

  return pack_floats (pack, &nunchaku_numbers, pack->src, rows, error);
}

/* Packs @n numbers, each a row of its own. */
static gboolean
pack_vector (const QconvPack *pack, const float *floats, guint64 n, GError **error)
{
  return pack_floats (pack, &nunchaku_numbers, floats, (NunchakuRows) { NULL, sizeof (guint16), 0, n }, error);
}

gboolean
nunchaku_pack_rows (const QconvPack *pack, GError **error)
{
  return pack_vector (pack, pack->src, pack->n_rows, error);
}

gboolean
nunchaku_pack_columns (const QconvPack *pack, GError **error)
{
  return pack_vector (pack, pack->src, pack->layer->cols, error);
}

gboolean
nunchaku_pack_down (const QconvPack *pack, GError **error)
{
  gsize cols = (gsize) pack->layer->cols;
  NunchakuRows rows = { NULL, cols * sizeof (guint16), 0, pack->n_dst / sizeof (guint16) / cols };

  return pack_floats (pack, &nunchaku_factor_down, pack->src, rows, error);
}

gboolean
nunchaku_pack_up (const QconvPack *pack, GError **error)
{
  NunchakuRows rows = { NULL, pack->n_dst / (gsize) pack->n_rows, 0, pack->n_rows };

  return pack_floats (pack, &nunchaku_factor_up, pack->src, rows, error);
}

gboolean
nunchaku_pack_plain (const QconvPack *pack, GError **error)
{
  gsize n = pack->n_dst / sizeof (guint16);
  g_autofree float *floats = g_new (float, n);

  return qconv_floats_from (pack->layer->dtype, pack->src, n, floats)
         && round_floats (floats, n, (guint16 *) pack->dst, error);
}

gboolean
nunchaku_pack_repeated (const QconvPack *pack, GError **error)
{
  const float *number = pack->src;
  g_autofree float *all = g_new (float, pack->n_rows);

  for (guint64 row = 0; row < pack->n_rows; row++)
    all[row] = number != NULL ? *number : 1.0f;
  return pack_vector (pack, all, pack->n_rows, error);
}

/* ---- Biases ---- */

/* Returns: (transfer full): the bias of the rows at hand; zeros if the layer has none. */
static float *
copy_bias (const QconvPack *pack)
{
  const float *bias = qconv_pack_component (pack, QCONV_BIAS);
  float *floats = g_new0 (float, pack->n_rows);

  if (bias != NULL)
    memcpy (floats, bias + pack->first_row, (gsize) pack->n_rows * sizeof *floats);
  return floats;
}

gboolean
nunchaku_pack_bias (const QconvPack *pack, GError **error)
{
  g_autofree float *bias = copy_bias (pack);

  return pack_vector (pack, bias, pack->n_rows, error);
}

gboolean
nunchaku_pack_shifted_bias (const QconvPack *pack, GError **error)
{
  const guint8 *codes = qconv_pack_component (pack, "codes");
  const float *scales = qconv_pack_component (pack, "group_scale"), *smooth = qconv_pack_component (pack, "smooth");
  const float *row_scale = qconv_pack_component (pack, "row_scale");
  gsize cols = (gsize) pack->layer->cols, groups = cols / NUNCHAKU_GROUP_INT4;
  g_autofree double *inverse = g_new (double, cols);
  g_autofree float *bias = copy_bias (pack), *row_scales = g_new (float, groups);

  for (gsize col = 0; col < cols; col++)
    inverse[col] = 1.0 / (double) smooth[col];
  for (guint64 row = 0; row < pack->n_rows; row++)
    {
      for (gsize k = 0; k < groups; k++)
        row_scales[k] = scales[row * groups + k] * (row_scale != NULL ? row_scale[row] : 1.0f);
      bias[row] = (float) ((double) bias[row]
                           - NUNCHAKU_SHIFT * nunchaku_sum_row (codes + row * (cols / 2), row_scales, inverse, cols));
    }
  return pack_vector (pack, bias, pack->n_rows, error);
}

/* ---- Modulation layers ---- */

GBytes *
nunchaku_pack_chunks (guint chunks)
{
  return g_bytes_new (&chunks, sizeof chunks);
}

static guint
chunks_of (const QconvPack *pack)
{
  return *(const guint *) g_bytes_get_data (pack->data, NULL);
}

gboolean
nunchaku_pack_awq_codes (const QconvPack *pack, GError **error)
{
  gsize cols = (gsize) pack->layer->cols, block = cols / 2 * NUNCHAKU_AWQ_ROWS;
  const guint8 *codes = pack->src;

  for (guint64 file_row = 0; file_row < pack->n_rows; file_row++)
    {
      guint64 row = nunchaku_deinterleaved (file_row, pack->n_rows, chunks_of (pack));

      nunchaku_pack_awq_row (codes + row * (cols / 2), cols, (guint) (file_row % NUNCHAKU_AWQ_ROWS),
                             pack->dst + file_row / NUNCHAKU_AWQ_ROWS * block);
    }
  return TRUE;
}

/* The file has one line for each group, the component one row of groups for each row of the weight. */
gboolean
nunchaku_pack_awq_numbers (const QconvPack *pack, GError **error)
{
  guint64 rows = pack->layer->rows, groups = pack->layer->cols / NUNCHAKU_GROUP_INT4;
  const guint16 *src = pack->src;
  guint16 *dst = (guint16 *) pack->dst;

  for (guint64 row = 0; row < rows; row++)
    for (guint64 k = 0, at = nunchaku_interleaved (row, rows, chunks_of (pack)); k < groups; k++)
      dst[k * rows + at] = src[row * groups + k];
  return TRUE;
}

gboolean
nunchaku_pack_awq_bias (const QconvPack *pack, GError **error)
{
  guint64 rows = pack->layer->rows;
  guint chunks = chunks_of (pack);
  const float *bias = qconv_pack_component (pack, QCONV_BIAS);
  g_autofree float *floats = g_new0 (float, rows);

  for (guint64 row = 0; row < rows; row++)
    {
      guint chunk = (guint) (row / (rows / chunks));

      floats[nunchaku_interleaved (row, rows, chunks)]
          = (bias != NULL ? bias[row] : 0.0f) + (nunchaku_is_raised (chunk, chunks) ? 1.0f : 0.0f);
    }
  return round_floats (floats, (gsize) rows, (guint16 *) pack->dst, error);
}
