/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests tiles of block scales and nibbles, without files. */
#include <string.h>

#include "io/source.h"
#include "json-node.h"
#include "load.h"
#include "marker.h"
#include "pack.h"
#include "swizzle.h"

static const guint sizes[][2]
    = { { 1, 1 }, { 1, 16 }, { 45, 83 }, { 130, 80 }, { 16, 128 }, { 128, 256 }, { 129, 97 }, { 300, 1040 } };

static guint8 *
some_bytes (gsize n, guint8 mask)
{
  guint8 *bytes = g_malloc (n + 1);

  for (gsize i = 0; i < n; i++)
    bytes[i] = (guint8) (i * 37 + i / 251 + 11) & mask;
  return bytes;
}

/* Tests places that are known from comfy-kitchen (float_utils.py to_blocked), for 130 rows of 5 scales */
static void
test_known_places (void)
{
  static const guint16 places[][3]
      = { { 0, 0, 0 },   { 0, 3, 3 },  { 0, 4, 512 }, { 1, 0, 16 },    { 31, 0, 496 },   { 32, 0, 4 },
          { 33, 2, 22 }, { 64, 0, 8 }, { 96, 3, 15 }, { 127, 3, 511 }, { 128, 0, 1024 }, { 129, 4, 1552 } };

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

/**
 * Array: a component of a layer and the tensor that it is packed into.
 *
 * @items: the component, @row_bytes for each row
 * @shape, @n: of the tensor, in items and bytes
 * @run: how its bytes follow rows
 */
typedef struct {
  const QconvLayer *layer;
  const QconvComponent *component;
  const guint8 *items;
  gsize row_bytes;
  QconvShape shape;
  gsize n;
  QconvRun run;
} Array;

/* Returns: (transfer full): the component packed in tiles of @step rows, as core would. */
static guint8 *
pack_all (const Array *a, QconvPackFunc pack, guint64 step)
{
  guint8 *dst = g_malloc0 (a->n);

  for (guint64 row = 0; row < a->layer->rows; row += step)
    {
      guint64 n = MIN (step, a->layer->rows - row);
      gsize at = row / a->run.rows * a->run.n;
      QconvPack p = { .layer = a->layer,
                      .src = a->items + row * a->row_bytes,
                      .first_row = row,
                      .n_rows = n,
                      .dst = dst + at,
                      .n_dst = row + n == a->layer->rows ? a->n - at : n / a->run.rows * a->run.n };

      g_assert_true (pack (&p, NULL));
    }
  return dst;
}

/* Loads the tensor with these @bytes in overlapping shares and compares them with the component. */
static void
load_all (const Array *a, QconvLoadFunc load, const guint8 *bytes)
{
  g_autoptr (GBytes) held = g_bytes_new_static (bytes, a->n);
  g_autoptr (QconvSource) source = qconv_source_new_for_bytes (held, "packed");
  const QconvTensor tensor
      = { .name = "packed", .dtype = QCONV_U8, .shape = a->shape, .n_bytes = a->n, .source = source };
  const QconvTensor *tensors[] = { &tensor, NULL };

  for (guint64 first = 0; first < a->layer->rows; first += 50)
    {
      guint64 rows = MIN (70, a->layer->rows - first);
      g_autofree guint8 *got = g_malloc (rows * a->row_bytes);
      QconvLoad l
          = { .layer = a->layer, .component = a->component, .tensors = tensors, .first = first, .n = rows, .dst = got };
      g_autoptr (GError) error = NULL;

      g_assert_true (load (&l, &error));
      g_assert_no_error (error);
      g_assert_cmpmem (got, rows * a->row_bytes, a->items + first * a->row_bytes, rows * a->row_bytes);
    }
}

/* Pack functions and the load functions that undo them; @multiple: of the columns that the form can have */
static const struct {
  ComfyForm form;
  guint align, multiple, bits;
  QconvPackFunc pack;
  QconvLoadFunc load;
} codes_forms[] = {
  { COMFY_NIBBLES, 16, 1, 4, comfy_pack_nibbles_high, comfy_load_nibbles_high },
  { COMFY_NIBBLES, 0, 2, 4, comfy_pack_nibbles_low, comfy_load_nibbles_low },
  { COMFY_BYTES, 32, 1, 8, comfy_pack_bytes, comfy_load_bytes },
  { COMFY_SIXES, 0, 32, 6, comfy_pack_sixes, comfy_load_sixes },
  { COMFY_FLAT, 0, 1, 4, comfy_pack_flat_low, comfy_load_flat_low },
  { COMFY_FLAT_COLUMN, 0, 1, 4, comfy_pack_flat_high, comfy_load_flat_high },
};

static void
check_codes (guint form, guint64 rows, guint64 cols)
{
  gboolean nibbles = codes_forms[form].bits == 4;
  gsize row_bytes = nibbles ? (cols + 1) / 2 : cols;
  ComfySize size = { rows, cols, 0, codes_forms[form].align };
  const QconvLayer layer = { .name = "l", .rows = rows, .cols = cols };
  const QconvComponent c
      = { .name = "codes", .dtype = nibbles ? QCONV_U4 : QCONV_U8, .shape = QCONV_SHAPE2 (rows, cols) };
  g_autofree guint8 *codes = some_bytes (rows * row_bytes, codes_forms[form].bits == 6 ? 0x3f : 0xff);
  Array a = { .layer = &layer,
              .component = &c,
              .items = codes,
              .row_bytes = row_bytes,
              .shape = comfy_form_shape (codes_forms[form].form, &size),
              .run = comfy_form_run (codes_forms[form].form, &size) };
  g_autofree guint8 *whole = NULL, *tiled = NULL;

  a.n = a.shape.dim[0] * (a.shape.rank == 2 ? a.shape.dim[1] : 1);
  for (guint64 row = 0; nibbles && cols % 2 != 0 && row < rows; row++)
    codes[(row + 1) * row_bytes - 1] &= 0x0f;
  whole = pack_all (&a, codes_forms[form].pack, rows);
  tiled = pack_all (&a, codes_forms[form].pack, a.run.rows * 7);
  g_assert_cmpmem (whole, a.n, tiled, a.n);
  if (nibbles && codes_forms[form].form != COMFY_FLAT)
    g_assert_cmphex (codes_forms[form].pack == comfy_pack_nibbles_low ? whole[0] & 15 : whole[0] >> 4, ==,
                     codes[0] & 15);
  load_all (&a, codes_forms[form].load, whole);
}

static void
test_codes (void)
{
  for (guint form = 0; form < G_N_ELEMENTS (codes_forms); form++)
    for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
      {
        guint64 multiple = codes_forms[form].multiple;

        check_codes (form, sizes[i][0], (sizes[i][1] + multiple - 1) / multiple * multiple);
      }
}

/* Tests 6-bit codes of comfy-kitchen 0.2.40: columns 0 to 3 have the low nibbles 1 2 3 4 and the upper bits 0 1 2 3 */
static void
test_sixes (void)
{
  guint8 codes[32] = { 0x01, 0x12, 0x23, 0x34 }, want[24] = { 0x21, 0x43 }, got[24] = { 0 };
  const QconvLayer layer = { .name = "l", .rows = 1, .cols = 32 };
  QconvPack p = { .layer = &layer, .src = codes, .n_rows = 1, .dst = got, .n_dst = sizeof got };

  want[16] = 0xe4;
  g_assert_true (comfy_pack_sixes (&p, NULL));
  g_assert_cmpmem (got, sizeof got, want, sizeof want);
}

/* Tests a component of [rows, groups] that the file holds as [groups, rows] */
static void
test_across (void)
{
  static const guint16 scale[] = { 1, 2, 3, 4, 5, 6 }, across[] = { 1, 4, 2, 5, 3, 6 };
  const QconvComponent c = { .name = "scale", .dtype = QCONV_BF16, .shape = QCONV_SHAPE2 (2, 3) };
  const QconvComponent *components[] = { &c };
  const QconvLayer layer = { .name = "l", .rows = 2, .cols = 192, .n_components = 1, .components = components };
  g_autoptr (GBytes) held = g_bytes_new_static (across, sizeof across);
  g_autoptr (QconvSource) source = qconv_source_new_for_bytes (held, "across");
  const QconvTensor tensor = {
    .name = "across", .dtype = QCONV_BF16, .shape = QCONV_SHAPE2 (3, 2), .n_bytes = sizeof across, .source = source
  };
  const QconvTensor *tensors[] = { &tensor, NULL };
  guint16 got[6] = { 0 };
  QconvPack p = { .layer = &layer, .src = scale, .n_rows = 2, .dst = (guint8 *) got, .n_dst = sizeof got };
  QconvLoad l = { .layer = &layer, .component = &c, .tensors = tensors, .n = 2, .dst = got };

  g_assert_true (comfy_pack_across (&p, NULL));
  g_assert_cmpmem (got, sizeof got, across, sizeof across);
  g_assert_true (comfy_load_across (&l, NULL));
  g_assert_cmpmem (got, sizeof got, scale, sizeof scale);
}

/* Asserts that the numbers come back unchanged, and that the rest is spaces */
static void
test_map (void)
{
  static const char start[] = "{\"format\": \"bnb_nf4\"";
  static const guint32 bits[COMFY_MAP_SIZE]
      = { 0x80000000, 0x00000001, 0x807fffff, 0x7f7fffff, 0x3baaaaab, 0xbf3239b1, 0x00000000, 0x3f800000,
          0xff7fffff, 0x3da2faff, 0x00800000, 0x4b800001, 0xcb800001, 0x3eaaaaab, 0x33d6bf95, 0x80000001 };
  g_autoptr (GBytes) data = g_bytes_new_static (start, strlen (start));
  guint8 text[sizeof start - 1 + COMFY_MAP_ROOM];
  QconvLayer layer = { .name = "l", .rows = 1, .cols = 1 };
  QconvPack p = { .layer = &layer, .src = bits, .n_rows = 1, .dst = text, .n_dst = sizeof text, .data = data };
  g_autoptr (JsonNode) json = NULL;
  JsonArray *map;

  g_assert_true (comfy_pack_marker (&p, NULL));
  json = qconv_json_node_parse ((const char *) text, sizeof text, NULL);
  g_assert_nonnull (json);
  map = json_object_get_array_member (json_node_get_object (json), COMFY_MAP);
  for (guint i = 0; i < COMFY_MAP_SIZE; i++)
    {
      float x = (float) json_array_get_double_element (map, i);

      g_assert_cmpmem (&x, sizeof x, &bits[i], sizeof bits[i]);
    }
  layer.rows = 2;
  ((guint32 *) memcpy (text, bits, sizeof bits))[3] = 0x7f800000;
  p.src = text;
  g_assert_false (comfy_pack_marker (&p, NULL));
}

static void
test_scales (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      guint64 rows = sizes[i][0], cols = sizes[i][1], blocks = (cols + 15) / 16;
      QconvShape shape = QCONV_SHAPE2 (comfy_round_up (rows, 128), comfy_round_up (blocks, 4));
      const QconvComponent c = { .name = "block_scale", .dtype = QCONV_F8_E4M3, .shape = QCONV_SHAPE2 (rows, blocks) };
      const QconvComponent *components[] = { &c };
      const QconvLayer layer = { .name = "l", .rows = rows, .cols = cols, .n_components = 1, .components = components };
      g_autofree guint8 *scales = some_bytes (rows * blocks, 0x7f);
      const Array a = { .layer = &layer,
                        .component = &c,
                        .items = scales,
                        .row_bytes = blocks,
                        .shape = shape,
                        .n = shape.dim[0] * shape.dim[1],
                        .run = { 128, 128 * shape.dim[1] } };
      g_autofree guint8 *whole = pack_all (&a, comfy_pack_scales_swizzled, rows);
      g_autofree guint8 *tiled = pack_all (&a, comfy_pack_scales_swizzled, 128);

      g_assert_cmpmem (whole, a.n, tiled, a.n);
      load_all (&a, comfy_load_scales_swizzled, whole);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/comfy/layout/known-places", test_known_places);
  g_test_add_func ("/comfy/layout/there-and-back", test_there_and_back);
  g_test_add_func ("/comfy/layout/codes", test_codes);
  g_test_add_func ("/comfy/layout/sixes", test_sixes);
  g_test_add_func ("/comfy/layout/across", test_across);
  g_test_add_func ("/comfy/layout/map", test_map);
  g_test_add_func ("/comfy/layout/scales", test_scales);
  return g_test_run ();
}
