/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the orders of nunchaku's tensors: checksums of an independent program, worked examples, the way back for all
   kinds of shapes, and golden bytes of deepcompressor. */
#include <string.h>

#include "golden-file.h"
#include "nunchaku/packing.h"

/* ---- Numbers by formula ---- */

/* Returns the CRC-32 of zlib. */
static guint32
crc32_of (const guint8 *data, gsize n)
{
  guint32 crc = 0xffffffff;

  for (gsize i = 0; i < n; i++)
    {
      crc ^= data[i];
      for (guint bit = 0; bit < 8; bit++)
        crc = crc >> 1 ^ (0xedb88320 & (0u - (crc & 1)));
    }
  return ~crc;
}

/* Returns item (@row, @col) of an input */
typedef guint (*Formula) (guint row, guint col);

static guint
base (guint n, guint k)
{
  return 7 * n + 11 * k + n * k;
}

static guint
int4 (guint n, guint k)
{
  return ((base (n, k) + 5 * (n / 128) + 3 * (k / 64)) % 15 + 9) & 15; /* − 7 in four bits */
}

static guint
fp4 (guint n, guint k)
{
  return (base (n, k) + 5 * (n / 128) + 3 * (k / 64)) % 16;
}

static guint
scale_64 (guint n, guint g)
{
  return (31 * n + 1009 * g) & 0xffff;
}

static guint
vector (guint n, guint unused)
{
  return (31 * n + 7) & 0xffff;
}

static guint
scale_16 (guint n, guint g)
{
  return (13 * n + 7 * g) & 0x7f;
}

static guint
factor (guint major, guint minor)
{
  return (257 * major + 3 * minor) & 0xffff;
}

static guint
awq (guint n, guint k)
{
  return (5 * n + 3 * k + n * k + 7 * (n / 4) + 11 * (k / 32)) % 16;
}

/* Returns: (transfer full): rows of items of @bits bits, little-endian */
static GByteArray *
make_rows (Formula formula, guint bits, guint rows, guint cols)
{
  gsize row_bytes = ((gsize) cols * bits + 7) / 8;
  GByteArray *a = g_byte_array_sized_new ((guint) (rows * row_bytes));

  g_byte_array_set_size (a, (guint) (rows * row_bytes));
  memset (a->data, 0, a->len);
  for (guint row = 0; row < rows; row++)
    for (guint col = 0; col < cols; col++)
      {
        guint item = formula (row, col);
        guint8 *at = a->data + row * row_bytes + (gsize) col * bits / 8;

        at[0] |= (guint8) (bits == 4 ? item << col % 2 * 4 : item);
        if (bits == 16)
          at[1] = (guint8) (item >> 8);
      }
  return a;
}

static NunchakuRows
rows_of (GByteArray *a, guint rows)
{
  return (NunchakuRows) { a->data, a->len / rows, 0, rows };
}

/* Returns: (transfer full): the tiles of @grid */
static GByteArray *
pack_grid (const NunchakuLayout *l, GByteArray *plain, guint rows, NunchakuGrid grid, guint32 fill)
{
  NunchakuRows all = rows_of (plain, rows);
  GByteArray *packed = g_byte_array_new ();

  g_byte_array_set_size (packed, (guint) (grid.down * grid.across * nunchaku_tile_size (l)));
  memset (packed->data, 0xa5, packed->len);
  nunchaku_pack (l, &all, &grid, fill, packed->data);
  return packed;
}

static GByteArray *
pack (const NunchakuLayout *l, GByteArray *plain, guint rows)
{
  return pack_grid (l, plain, rows, nunchaku_grid (l, rows, plain->len / rows), 0);
}

static GByteArray *
pack_awq (GByteArray *plain, guint rows, guint cols)
{
  GByteArray *packed = g_byte_array_new ();

  g_byte_array_set_size (packed, rows * cols / 2);
  for (guint row = 0; row < rows; row++)
    nunchaku_pack_awq_row (plain->data + row * cols / 2, cols, row % 4,
                           packed->data + row / 4 * (gsize) NUNCHAKU_AWQ_ROWS * cols / 2);
  return packed;
}

/* ---- Checksums and examples ---- */

static void
assert_crc (const NunchakuLayout *l, Formula formula, guint bits, guint rows, guint cols, guint32 want)
{
  g_autoptr (GByteArray) plain = make_rows (formula, bits, rows, cols), packed = NULL;

  packed = l != NULL ? pack (l, plain, rows) : pack_awq (plain, rows, cols);
  g_assert_cmphex (crc32_of (packed->data, packed->len), ==, want);
}

static void
test_checksums (void)
{
  static const struct {
    guint n, k;
    guint32 int4, fp4, scale_64, vector, scale_16, awq;
  } cases[] = { { 128, 128, 0x18e756b5, 0xdba8575f, 0xe6c1338a, 0x31beeede, 0xcadbc07f, 0x2f03b711 },
                { 256, 128, 0x92ac5405, 0xf61a1570, 0x37297cad, 0x69ada44a, 0xfabcd84d, 0x10c2f5e0 },
                { 128, 256, 0xb64e3303, 0x358dd075, 0x1e6f7978, 0x31beeede, 0x01af5cd6, 0x2b478c01 },
                { 384, 256, 0x1a05f6d5, 0x2f3cddde, 0x6276c72c, 0xa041a83e, 0x25ba3700, 0x3b1cb3e1 },
                { 256, 512, 0x095ef6c3, 0x91de272d, 0x2b85ba7d, 0x69ada44a, 0x9291c47b, 0x461a0917 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint n = cases[i].n, k = cases[i].k;

      assert_crc (&nunchaku_codes, int4, 4, n, k, cases[i].int4);
      assert_crc (&nunchaku_codes, fp4, 4, n, k, cases[i].fp4);
      assert_crc (&nunchaku_numbers, scale_64, 16, n, k / 64, cases[i].scale_64);
      assert_crc (&nunchaku_numbers, vector, 16, n, 1, cases[i].vector);
      assert_crc (&nunchaku_micro_scales, scale_16, 8, n, k / 16, cases[i].scale_16);
      assert_crc (NULL, awq, 4, n, k, cases[i].awq);
    }
}

static void
test_factor_checksums (void)
{
  static const struct {
    guint size, rank;
    guint32 crc;
  } down[] = { { 128, 16, 0x378abdef }, { 128, 32, 0x7c91db0a }, { 128, 128, 0x1a2e9241 },
               { 256, 16, 0x852fe855 }, { 256, 32, 0x7fec5d79 }, { 256, 128, 0x41b00c2e },
               { 512, 16, 0x4c6e942a }, { 512, 32, 0x115c39dc }, { 512, 128, 0x931801ed } },
    up[] = { { 128, 16, 0xc97c266f }, { 128, 32, 0x7b5b9aa7 }, { 128, 128, 0xea0aa3e2 },
             { 256, 16, 0x9d7d7e02 }, { 256, 32, 0x77273e5a }, { 256, 128, 0xf1420530 },
             { 384, 16, 0x5baab6e4 }, { 384, 32, 0x841d14cd }, { 384, 128, 0x1c14ac6b } };

  for (guint i = 0; i < G_N_ELEMENTS (down); i++)
    {
      assert_crc (&nunchaku_factor_down, factor, 16, down[i].rank, down[i].size, down[i].crc);
      assert_crc (&nunchaku_factor_up, factor, 16, up[i].size, up[i].rank, up[i].crc);
    }
}

static void
assert_words (const GByteArray *packed, gsize first, const guint32 *want, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      guint32 word;

      memcpy (&word, packed->data + (first + i) * 4, 4);
      g_assert_cmphex (GUINT32_FROM_LE (word), ==, want[i]);
    }
}

static void
test_examples (void)
{
  static const guint32 first[]
      = { 0xbf37c049, 0x26bf37c0, 0x2ea51d94, 0xb62ea51d, 0x9d15ae26, 0x049d15ae, 0x40c73fb6, 0xd940c73f,
          0x6bf37c04, 0xe26bf37c, 0x62ea51d9, 0xfb62ea51, 0x49d15ae2, 0xc049d15a, 0x940c73fb, 0x1d940c73,
          0xad036ad0, 0x36ad036a, 0x1c61c61c, 0xc61c61c6, 0x036ad036, 0xad036ad0, 0xc61c61c6, 0x61c61c61,
          0x6ad036ad, 0x036ad036, 0x61c61c61, 0x1c61c61c, 0xd036ad03, 0x6ad036ad, 0x1c61c61c, 0xc61c61c6 },
      second[] = { 0xd15ae26b, 0x49d15ae2, 0x62ea51d9, 0xfb62ea51 },
      words[] = { 0xb3b38080, 0x1919e6e6, 0x7f7f4c4c, 0xd5d5a2a2, 0x6e6e3b3b, 0xc4c49191, 0x2a2af7f7, 0x80805d5d,
                  0x99995555, 0x1111dddd, 0x99995555, 0x1111dddd, 0x44440000, 0xcccc8888, 0x44440000, 0xcccc8888 };
  g_autoptr (GByteArray) codes = make_rows (int4, 4, 128, 128), packed = pack (&nunchaku_codes, codes, 128);
  g_autoptr (GByteArray) weights = make_rows (awq, 4, 4, 128), block = pack_awq (weights, 4, 128);

  assert_words (packed, 0, first, G_N_ELEMENTS (first));
  assert_words (packed, 1024, second, G_N_ELEMENTS (second));
  assert_words (block, 0, words, G_N_ELEMENTS (words));
}

/* ---- The way back ---- */

/* One matrix and its tiles */
typedef struct {
  const NunchakuLayout *layout;
  Formula formula;
  guint bits, rows, cols, padded_cols;
} Shape;

/* Returns the tiles with one row of tiles more than needed */
static NunchakuGrid
padded_grid (const Shape *s)
{
  NunchakuGrid grid = nunchaku_grid (s->layout, s->rows, (gsize) s->padded_cols * s->bits / 8);

  grid.down++;
  return grid;
}

/* Tests that rows [@first, @first + @n) come back from the tiles of all rows */
static void
assert_back (const Shape *s, GByteArray *plain, GByteArray *packed, guint first, guint n)
{
  gsize row_bytes = plain->len / s->rows;
  g_autofree guint8 *got = g_malloc (n * row_bytes);
  NunchakuRows rows = { got, row_bytes, first, n };
  NunchakuGrid grid = padded_grid (s);

  memset (got, 0x5a, n * row_bytes);
  nunchaku_unpack (s->layout, packed->data, &grid, &rows);
  g_assert_cmpmem (got, n * row_bytes, plain->data + first * row_bytes, n * row_bytes);
}

/* Tests that unpacking more rows and columns than were packed finds the filling */
static void
assert_filled (const Shape *s, GByteArray *packed, guint8 fill)
{
  gsize row_bytes = (gsize) s->cols * s->bits / 8, padded = (gsize) s->padded_cols * s->bits / 8;
  NunchakuGrid grid = padded_grid (s);
  gsize n = grid.down * s->layout->rows;
  g_autofree guint8 *all = g_malloc (n * padded);
  NunchakuRows rows = { all, padded, 0, n };

  nunchaku_unpack (s->layout, packed->data, &grid, &rows);
  for (gsize row = 0; row < n; row++)
    for (gsize i = row < s->rows ? row_bytes : 0; i < padded; i++)
      g_assert_cmphex (all[row * padded + i], ==, fill);
}

static void
check_shape (const Shape *s)
{
  g_autoptr (GByteArray) plain = make_rows (s->formula, s->bits, s->rows, s->cols), packed = NULL;

  packed = pack_grid (s->layout, plain, s->rows, padded_grid (s), 0x38383838);
  assert_back (s, plain, packed, 0, s->rows);
  assert_filled (s, packed, 0x38);
  for (guint first = 0; first < s->rows; first += 37)
    assert_back (s, plain, packed, first, MIN (200, s->rows - first));
}

static void
test_back (void)
{
  static const Shape shapes[] = {
    { &nunchaku_codes, fp4, 4, 128, 128, 128 },
    { &nunchaku_codes, fp4, 4, 384, 320, 384 },
    { &nunchaku_codes, fp4, 4, 96, 208, 256 },
    { &nunchaku_codes, int4, 4, 130, 192, 256 },
    { &nunchaku_numbers, scale_64, 16, 256, 1, 1 },
    { &nunchaku_numbers, scale_64, 16, 96, 3, 4 },
    { &nunchaku_numbers, scale_64, 16, 512, 6, 6 },
    { &nunchaku_numbers, scale_64, 16, 1, 1, 1 },
    { &nunchaku_micro_scales, scale_16, 8, 128, 8, 8 },
    { &nunchaku_micro_scales, scale_16, 8, 96, 13, 16 },
    { &nunchaku_micro_scales, scale_16, 8, 257, 12, 16 },
    { &nunchaku_factor_down, factor, 16, 16, 128, 128 },
    { &nunchaku_factor_down, factor, 16, 48, 256, 256 },
    { &nunchaku_factor_down, factor, 16, 24, 208, 256 },
    { &nunchaku_factor_up, factor, 16, 128, 32, 32 },
    { &nunchaku_factor_up, factor, 16, 384, 48, 48 },
    { &nunchaku_factor_up, factor, 16, 90, 24, 32 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    check_shape (&shapes[i]);
}

static void
test_awq_back (void)
{
  static const guint sizes[][2] = { { 4, 64 }, { 8, 192 }, { 24, 1024 }, { 768, 128 } };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      guint rows = sizes[i][0], cols = sizes[i][1];
      g_autoptr (GByteArray) plain = make_rows (awq, 4, rows, cols), packed = pack_awq (plain, rows, cols);
      g_autofree guint8 *got = g_malloc (cols / 2);

      for (guint row = 0; row < rows; row++)
        {
          nunchaku_unpack_awq_row (packed->data + row / 4 * (gsize) cols * 2, cols, row % 4, got);
          g_assert_cmpmem (got, cols / 2, plain->data + row * cols / 2, cols / 2);
        }
    }
}

static void
test_interleave (void)
{
  static const guint cases[][2] = { { 24, 6 }, { 9, 3 }, { 5, 1 }, { 18432, 6 }, { 9216, 3 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    for (guint row = 0; row < cases[i][0]; row++)
      {
        guint64 at = nunchaku_interleaved (row, cases[i][0], cases[i][1]);

        g_assert_cmpuint (at, <, cases[i][0]);
        g_assert_cmpuint (nunchaku_deinterleaved (at, cases[i][0], cases[i][1]), ==, row);
      }
  /* channel 1 of chunk 4 of 6 with 4 channels */
  g_assert_cmpuint (nunchaku_interleaved (17, 24, 6), ==, 10);
  for (guint chunk = 0; chunk < 6; chunk++)
    {
      g_assert_cmpint (nunchaku_is_raised (chunk, 6), ==, chunk == 1 || chunk == 4);
      g_assert_cmpint (nunchaku_is_raised (chunk, 3), ==, chunk == 1);
    }
}

/* ---- Golden bytes ---- */

/* Returns: (transfer full): the bytes of a golden tensor */
static GByteArray *
bytes_of (const GoldenTensor *t)
{
  return g_byte_array_append (g_byte_array_new (), t->data, (guint) t->size);
}

/* Tests that @in, packed, is @out, and @out unpacked is @in. @fill: of the items that only @out has */
static void
assert_golden (const GoldenFile *file, const NunchakuLayout *l, const char *in, const char *out, guint32 fill)
{
  const GoldenTensor *want = golden_file_tensor (file, out), *from = golden_file_tensor (file, in);
  guint rows = (guint) from->shape[0];
  g_autoptr (GByteArray) plain = bytes_of (from), packed = NULL, got = bytes_of (from);
  NunchakuGrid grid = nunchaku_grid (l, rows, plain->len / rows);
  gsize tiles = want->size / nunchaku_tile_size (l);
  NunchakuRows all;

  if (l->by_columns)
    grid.across = tiles / grid.down;
  else
    grid.down = tiles / grid.across;
  packed = pack_grid (l, plain, rows, grid, fill);
  g_assert_cmpmem (packed->data, packed->len, want->data, want->size);
  memset (got->data, 0, got->len);
  all = rows_of (got, rows);
  nunchaku_unpack (l, want->data, &grid, &all);
  g_assert_cmpmem (got->data, got->len, plain->data, plain->len);
}

/* Returns: (transfer full): the low nibbles of bytes, two to a byte */
static GByteArray *
join_nibbles (const GoldenTensor *t)
{
  GByteArray *a = g_byte_array_new ();

  g_byte_array_set_size (a, (guint) t->size / 2);
  for (gsize i = 0; i < a->len; i++)
    a->data[i] = (guint8) ((t->data[2 * i] & 15) | t->data[2 * i + 1] << 4);
  return a;
}

static void
check_golden_packing (const char *name)
{
  g_autoptr (GoldenFile) file = golden_file_open (name);
  const GoldenTensor *codes = golden_file_tensor (file, "in.codes"),
                     *qweight = golden_file_tensor (file, "out.qweight");
  const GoldenTensor *awq_words = golden_file_tensor (file, "out.awq");
  guint rows = (guint) codes->shape[0], cols = (guint) codes->shape[1], n_factors = 0;
  g_autoptr (GByteArray) plain = join_nibbles (codes), packed = pack (&nunchaku_codes, plain, rows), words = NULL;

  g_assert_cmpmem (packed->data, packed->len, qweight->data, qweight->size);
  words = pack_awq (plain, rows, cols);
  g_assert_cmpmem (words->data, words->len, awq_words->data, awq_words->size);
  assert_golden (file, &nunchaku_numbers, "in.wscales64", "out.wscales64", 0);
  assert_golden (file, &nunchaku_numbers, "in.vector", "out.vector", 0);
  assert_golden (file, &nunchaku_micro_scales, "in.wscales16", "out.wscales16", 0);
  for (guint i = 0; i < file->tensors->len; i++)
    {
      const char *in = ((GoldenTensor *) g_ptr_array_index (file->tensors, i))->name;
      gboolean down = g_str_has_prefix (in, "in.down");
      g_autofree char *out = g_strdup_printf ("out.%s", in + strlen ("in."));

      if (!down && !g_str_has_prefix (in, "in.up"))
        continue;
      assert_golden (file, down ? &nunchaku_factor_down : &nunchaku_factor_up, in, out, 0);
      n_factors++;
    }
  g_assert_cmpuint (n_factors, >=, 2);
}

static void
test_golden (void)
{
  check_golden_packing ("nunchaku/pack-n128-k128.safetensors");
  check_golden_packing ("nunchaku/pack-n256-k256.safetensors");
}

/* Tests whole linears of deepcompressor's converter, also padded ones: two 16-bit ones (0x3f80) fill vectors */
static void
test_golden_linears (void)
{
  static const char *const names[]
      = { "int4-pad-n96-k192-r24", "fp4-pad-n96-k208-r24", "fp4-qkv-k128-r32-smooth", "int4-n128-k128-r16" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_strdup_printf ("nunchaku/%s.safetensors", names[i]);
      g_autoptr (GoldenFile) file = golden_file_open (path);

      assert_golden (file, &nunchaku_numbers, "in.bias", "out.bias", 0x3f803f80);
      assert_golden (file, &nunchaku_factor_up, "in.lora_up", "out.lora_up", 0);
      if (strstr (names[i], "r16") != NULL) /* without smoothing, which divides the other factor */
        assert_golden (file, &nunchaku_factor_down, "in.lora_down", "out.lora_down", 0);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nunchaku/packing/checksums", test_checksums);
  g_test_add_func ("/nunchaku/packing/factor-checksums", test_factor_checksums);
  g_test_add_func ("/nunchaku/packing/examples", test_examples);
  g_test_add_func ("/nunchaku/packing/back", test_back);
  g_test_add_func ("/nunchaku/packing/awq-back", test_awq_back);
  g_test_add_func ("/nunchaku/packing/interleave", test_interleave);
  g_test_add_func ("/nunchaku/packing/golden", test_golden);
  g_test_add_func ("/nunchaku/packing/golden-linears", test_golden_linears);
  return g_test_run ();
}
