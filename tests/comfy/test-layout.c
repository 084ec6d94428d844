/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tiles of block scales and nibbles, without files. */
#include "comfy.h"
#include "source.h"

#include <string.h>

static const guint sizes[][2] = { { 1, 1 },    { 1, 16 },    { 45, 83 },   { 130, 80 },
                                  { 16, 128 }, { 128, 256 }, { 129, 97 }, { 300, 1040 } };

static guint8 *
some_bytes (gsize n, guint8 mask)
{
  guint8 *bytes = g_malloc (n + 1);

  for (gsize i = 0; i < n; i++)
    bytes[i] = (guint8) (i * 37 + i / 251 + 11) & mask;
  return bytes;
}

/* comfy-kitchen: float_utils.py to_blocked, for 130 rows of 5 scales */
static void
test_known_places (void)
{
  static const guint16 places[][3] = { { 0, 0, 0 },     { 0, 3, 3 },       { 0, 4, 512 },     { 1, 0, 16 },
                                       { 31, 0, 496 },  { 32, 0, 4 },      { 33, 2, 22 },     { 64, 0, 8 },
                                       { 96, 3, 15 },   { 127, 3, 511 },   { 128, 0, 1024 },  { 129, 4, 1552 } };

  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    {
      guint8 rows[130 * 5] = { 0 }, tiles[256 * 8] = { 0 };

      rows[places[i][0] * 5 + places[i][1]] = 0x55;
      comfy_swizzle (rows, 130, 5, tiles);
      for (guint at = 0; at < sizeof tiles; at++)
        g_assert_cmphex (tiles[at], ==, at == places[i][2] ? 0x55 : 0);
    }
}

static void
test_there_and_back (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      gsize rows = sizes[i][0], cols = sizes[i][1] / 16 + 1;
      gsize n = comfy_round_up (rows, 128) * comfy_round_up (cols, 4);
      g_autofree guint8 *scales = some_bytes (rows * cols, 0xff);
      g_autofree guint8 *tiles = g_malloc0 (n), *back = g_malloc (rows * cols);

      comfy_swizzle (scales, rows, cols, tiles);
      for (gsize row = 0; row < rows; row += 128)
        comfy_unswizzle (tiles + row * comfy_round_up (cols, 4), 0, MIN (rows - row, 128), cols, back + row * cols);
      g_assert_cmpmem (back, rows * cols, scales, rows * cols);
    }
}

/* Packs a component in tiles of @step rows as core would */
static guint8 *
pack_all (QconvPackFunc pack, const QconvLayer *layer, const guint8 *src, gsize src_row, gsize dst_row, gsize n_dst,
          guint64 step)
{
  guint8 *dst = g_malloc0 (n_dst);

  for (guint64 row = 0; row < layer->rows; row += step)
    {
      guint64 n = MIN (step, layer->rows - row);
      gsize at = row * dst_row;
      QconvPack p = { .layer = layer,
                      .src = src + row * src_row,
                      .first_row = row,
                      .n_rows = n,
                      .dst = dst + at,
                      .n_dst = row + n == layer->rows ? n_dst - at : n * dst_row };

      g_assert_true (pack (&p, NULL));
    }
  return dst;
}

static void
load_all (QconvLoadFunc load, const QconvLayer *layer, const QconvComponent *c, const QconvShape *shape,
          const guint8 *bytes, gsize n, gsize row_bytes, const guint8 *want)
{
  g_autoptr (GBytes) held = g_bytes_new_static (bytes, n);
  g_autoptr (QconvSource) source = qconv_source_new_for_bytes (held, "packed");
  const QconvTensor tensor = { .name = "packed", .dtype = QCONV_U8, .shape = *shape, .n_bytes = n, .source = source };
  const QconvTensor *tensors[] = { &tensor, NULL };

  for (guint64 first = 0; first < layer->rows; first += 50)
    {
      guint64 rows = MIN (70, layer->rows - first);
      g_autofree guint8 *got = g_malloc (rows * row_bytes);
      QconvLoad l = { .layer = layer, .component = c, .tensors = tensors, .first = first, .n = rows, .dst = got };
      g_autoptr (GError) error = NULL;

      g_assert_true (load (&l, &error));
      g_assert_no_error (error);
      g_assert_cmpmem (got, rows * row_bytes, want + first * row_bytes, rows * row_bytes);
    }
}

static void
test_codes (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      guint64 rows = sizes[i][0], cols = sizes[i][1];
      gsize row_bytes = (cols + 1) / 2, stride = comfy_round_up (cols, 16) / 2;
      QconvShape shape = QCONV_SHAPE2 (comfy_round_up (rows, 16), stride);
      gsize n = shape.dim[0] * stride;
      const QconvLayer layer = { .name = "l", .rows = rows, .cols = cols };
      const QconvComponent c = { .name = "codes", .dtype = QCONV_U4, .shape = QCONV_SHAPE2 (rows, cols) };
      g_autofree guint8 *codes = some_bytes (rows * row_bytes, 0xff);
      g_autofree guint8 *whole = NULL, *tiled = NULL;

      for (guint64 row = 0; cols % 2 != 0 && row < rows; row++)
        codes[(row + 1) * row_bytes - 1] &= 0x0f;
      whole = pack_all (comfy_pack_codes_high, &layer, codes, row_bytes, stride, n, rows);
      tiled = pack_all (comfy_pack_codes_high, &layer, codes, row_bytes, stride, n, 7);
      g_assert_cmpmem (whole, n, tiled, n);
      g_assert_cmphex (whole[0] >> 4, ==, codes[0] & 0x0f);
      load_all (comfy_load_codes_high, &layer, &c, &shape, whole, n, row_bytes, codes);
    }
}

static void
test_scales (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      guint64 rows = sizes[i][0], cols = sizes[i][1], blocks = (cols + 15) / 16;
      QconvShape shape = QCONV_SHAPE2 (comfy_round_up (rows, 128), comfy_round_up (blocks, 4));
      gsize n = shape.dim[0] * shape.dim[1];
      const QconvLayer layer = { .name = "l", .rows = rows, .cols = cols };
      const QconvComponent c = { .name = "block_scale", .dtype = QCONV_F8_E4M3, .shape = QCONV_SHAPE2 (rows, blocks) };
      g_autofree guint8 *scales = some_bytes (rows * blocks, 0x7f);
      g_autofree guint8 *whole = pack_all (comfy_pack_scales_swizzled, &layer, scales, blocks, shape.dim[1], n, rows);
      g_autofree guint8 *tiled = pack_all (comfy_pack_scales_swizzled, &layer, scales, blocks, shape.dim[1], n, 128);

      g_assert_cmpmem (whole, n, tiled, n);
      load_all (comfy_load_scales_swizzled, &layer, &c, &shape, whole, n, blocks, scales);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/comfy/layout/known-places", test_known_places);
  g_test_add_func ("/comfy/layout/there-and-back", test_there_and_back);
  g_test_add_func ("/comfy/layout/codes", test_codes);
  g_test_add_func ("/comfy/layout/scales", test_scales);
  return g_test_run ();
}
