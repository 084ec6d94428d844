/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests mxfp8: golden bytes, worked examples, plain and hybrid, edges. */
#include <math.h>
#include <string.h>

#include "comfy-golden.h"
#include "kernel-fixture.h"
#include "kernels/numbers.h"
#include "quantizer-driver.h"
#include "random-weights.h"

const QconvPlugin *qconv_plugin_mxfp8 (void);

static Encoded *
new_matrix (const char *options, QconvDType dtype, guint64 rows, guint64 cols)
{
  return encoded_must_new (driver_quantizer (qconv_plugin_mxfp8 (), "mxfp8"), options, dtype, rows, cols);
}

static Encoded *
encode (const char *options, QconvDType dtype, gconstpointer weights, guint64 rows, guint64 cols, guint64 tile_rows)
{
  Encoded *e = new_matrix (options, dtype, rows, cols);

  encoded_must_encode (e, weights, tile_rows);
  return e;
}

/* ---- Golden bytes ---- */

/* Compares with stored codes, which are filled up to 32 rows and columns */
static void
assert_stored_codes (const ComfyGolden *g, const guint8 *got)
{
  const GoldenTensor *stored = comfy_golden_tensor (g, "weight");
  guint64 cols = stored->shape[1];

  g_assert_cmpuint (stored->size, ==, stored->shape[0] * cols);
  for (guint64 r = 0; r < stored->shape[0]; r++)
    for (guint64 c = 0; c < cols; c++)
      g_assert_cmphex (stored->data[r * cols + c], ==, r < g->rows && c < g->cols ? got[r * g->cols + c] : 0);
}

/* Compares with stored scales, which lie in tiles of 128 rows and 4 blocks; in a tile the rows that are equal modulo 32
   come first */
static void
assert_stored_scales (const ComfyGolden *g, const guint8 *got)
{
  const GoldenTensor *stored = comfy_golden_tensor (g, "weight_scale");
  guint64 stored_blocks = stored->shape[1], blocks = (g->cols + 31) / 32;

  for (guint64 r = 0; r < stored->shape[0]; r++)
    for (guint64 c = 0; c < stored_blocks; c++)
      {
        guint64 tile = r / 128 * (stored_blocks / 4) + c / 4;
        guint64 at = tile * 512 + r % 32 * 16 + r % 128 / 32 * 4 + c % 4;

        g_assert_cmphex (stored->data[at], ==, r < g->rows && c < blocks ? got[r * blocks + c] : 0);
      }
}

static void
check_golden (const ComfyGolden *g)
{
  const QconvQuantizer *q = driver_quantizer (qconv_plugin_mxfp8 (), "mxfp8");
  g_autoptr (Encoded) e = encode (NULL, g->dtype, g->source->data, g->rows, g->cols, 5);
  const GoldenTensor *want = comfy_golden_tensor (g, "decoded");
  g_autofree float *decoded = encoded_must_decode (e, 3);
  gsize n;
  const guint8 *codes = encoded_data (e, "codes", &n);

  for (gsize i = 0; i < n; i++)
    g_assert_cmphex (codes[i] & 0x7f, !=, 0x7f);
  if (g->informative)
    return;
  assert_stored_codes (g, codes);
  assert_stored_scales (g, encoded_data (e, "block_scale", NULL));
  for (gsize i = 0; i < n; i++)
    {
      float a = decoded[i] + 0.0f, b = ((const float *) (gconstpointer) want->data)[i] + 0.0f;

      g_assert_cmphex (bits_of_f32 (a), ==, bits_of_f32 (b));
    }
  g_assert_cmpfloat (driver_relative_error (g->dtype, g->source->data, decoded, g->rows, g->cols), <=,
                     q->bound (q, encoded_layer (e)));
}

static void
test_golden (void)
{
  guint n = comfy_golden_each ("mxfp8.", "A", check_golden);

  g_test_message ("%u layers", n);
  g_assert_cmpuint (n, >=, 4);
}

/* ---- Worked examples ---- */

static void
test_example (void)
{
  static const guint8 want[]
      = { 0xfc, 0xed, 0x74, 0xfa, 0xdc, 0x78, 0xf7, 0x66, 0x7b, 0xf2, 0x70, 0xfc, 0xea, 0x76, 0xf9, 0x00,
          0x79, 0xf6, 0x6a, 0x7c, 0xf0, 0x72, 0xfb, 0xe6, 0x77, 0xf8, 0x5c, 0x7a, 0xf4, 0x6d, 0x7c, 0xee };
  static const struct {
    float amax;
    guint8 exponent;
  } exponents[] = { { 448.0f, 127 },
                    { 449.0f, 128 },
                    { 1.75f, 119 },
                    { 1.7578125f, 120 },
                    { 1.0f, 119 },
                    { 0x1p-20f, 99 },
                    { 448.0f * 0x1p-126f, 1 },
                    { 447.0f * 0x1p-126f, 0 },
                    { 0.0f, 0 },
                    { 0x1.fffffep127f, 247 } };
  g_autoptr (Encoded) e = NULL;
  float x[32];

  for (gint i = 0; i < 32; i++)
    x[i] = (float) (i * 37 % 101 - 50) / 32.0f;
  e = encode (NULL, QCONV_F32, x, 1, 32, 0);
  g_assert_cmpmem (encoded_data (e, "codes", NULL), 32, want, sizeof want);
  g_assert_cmphex (*(guint8 *) encoded_data (e, "block_scale", NULL), ==, 0x77);
  for (guint i = 0; i < G_N_ELEMENTS (exponents); i++)
    {
      g_autoptr (Encoded) block = NULL;

      memset (x, 0, sizeof x);
      x[7] = -exponents[i].amax;
      x[8] = -0.0f;
      block = encode (NULL, QCONV_F32, x, 1, 32, 0);
      g_assert_cmpuint (*(guint8 *) encoded_data (block, "block_scale", NULL), ==, exponents[i].exponent);
      g_assert_cmphex (((guint8 *) encoded_data (block, "codes", NULL))[8], ==, exponents[i].exponent > 0 ? 0x80 : 0);
    }
}

static void
test_quality (void)
{
  const guint64 n = random_side ();

  for (RandomKind kind = 0; kind < RANDOM_N_KINDS; kind++)
    {
      g_autofree float *wide = random_weights (kind, n, n, 1), *decoded = NULL;
      g_autofree void *w = kernel_narrow (QCONV_BF16, wide, n * n);
      g_autoptr (Encoded) e = encode (NULL, QCONV_BF16, w, n, n, 256);
      double error;

      decoded = encoded_must_decode (e, 3);
      error = driver_relative_error (QCONV_BF16, w, decoded, n, n);
      g_test_message ("%s: %.3fe-4", random_kind_names[kind], error * 1e4);
      g_assert_cmpfloat (error, <=, 7.10e-4 * 1.01);
    }
}

/* ---- Plain and hybrid ---- */

static void
assert_same (const Encoded *a, const Encoded *b, const char *name)
{
  gsize n, m;
  const guint8 *x = encoded_data (a, name, &n), *y = encoded_data (b, name, &m);

  g_assert_cmpmem (x, n, y, m);
}

static void
test_hybrid (void)
{
  const guint64 rows = 1500, cols = 80;
  g_autofree float *w = random_weights (RANDOM_STUDENT, rows, cols, 3);
  guint8 top = 0;

  for (guint round = 0; round < 2; round++)
    {
      g_autoptr (Encoded) plain = encode (NULL, QCONV_F32, w, rows, cols, 0);
      g_autoptr (Encoded) hybrid = encode ("hybrid=on", QCONV_F32, w, rows, cols, 100);
      g_autoptr (Encoded) to_hybrid = new_matrix ("hybrid=on", QCONV_F32, rows, cols);
      g_autoptr (Encoded) to_plain = new_matrix (NULL, QCONV_F32, rows, cols);
      g_autoptr (GError) error = NULL;
      gboolean exact = FALSE;
      gsize n;
      const guint8 *exponents = encoded_data (plain, "block_scale", &n);

      for (gsize i = 0; i < n; i++)
        top = MAX (top, exponents[i]);
      g_assert_cmpfloat (*(float *) encoded_data (hybrid, "tensor_scale", NULL), ==,
                         round == 0 ? ldexpf (1.0f, top - 127) : 1.0f);
      encoded_adopt (to_hybrid, plain, 100, &exact, &error);
      g_assert_no_error (error);
      g_assert_true (exact);
      encoded_adopt (to_plain, hybrid, 100, &exact, &error);
      g_assert_no_error (error);
      g_assert_true (exact);
      assert_same (hybrid, to_hybrid, "tensor_scale");
      assert_same (plain, hybrid, "codes");
      assert_same (plain, to_hybrid, "codes");
      assert_same (plain, to_plain, "codes");
      assert_same (plain, hybrid, "block_scale");
      assert_same (plain, to_hybrid, "block_scale");
      assert_same (plain, to_plain, "block_scale");
      memset (w, 0, rows * cols * sizeof *w);
    }
}

/* Tests that broken sources are decoded, and that decoding refuses them */
static void
test_adopt_broken (void)
{
  static const struct {
    const char *component;
    guint8 value;
  } broken[] = { { "codes", 0x7f }, { "codes", 0xff }, { "block_scale", 0xff } };
  g_autofree float *w = random_weights (RANDOM_GAUSSIAN, 8, 64, 3);

  for (guint i = 0; i < G_N_ELEMENTS (broken); i++)
    {
      g_autoptr (Encoded) plain = encode (NULL, QCONV_F32, w, 8, 64, 0);
      g_autoptr (Encoded) hybrid = new_matrix ("hybrid=on", QCONV_F32, 8, 64);
      g_autofree float *floats = NULL;
      g_autoptr (GError) error = NULL;
      gboolean exact = TRUE;

      ((guint8 *) encoded_data (plain, broken[i].component, NULL))[5] = broken[i].value;
      encoded_adopt (hybrid, plain, 0, &exact, &error);
      g_assert_no_error (error);
      g_assert_false (exact);
      g_assert_false (encoded_validate (plain, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
      floats = encoded_must_decode (plain, 3);
      g_assert_true (isnan (floats[strcmp (broken[i].component, "codes") == 0 ? 5 : 5 * 32]));
    }
}

static void
test_validate (void)
{
  static const float wrong[] = { -1.0f, NAN, INFINITY };
  g_autofree float *w = random_weights (RANDOM_GAUSSIAN, 8, 64, 3);
  g_autoptr (Encoded) e = encode ("hybrid=on", QCONV_F32, w, 8, 64, 0);

  g_assert_true (encoded_validate (e, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (GError) error = NULL;

      memcpy (encoded_data (e, "tensor_scale", NULL), &wrong[i], sizeof *wrong);
      g_assert_false (encoded_validate (e, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
    }
}

/* Tests that exponent 0 stands for zero, and that the smallest product, a subnormal number, is kept */
static void
test_decode (void)
{
  g_autoptr (Encoded) e = new_matrix (NULL, QCONV_F32, 2, 32);
  g_autofree float *floats = NULL;
  guint8 *codes = encoded_data (e, "codes", NULL), *exponents = encoded_data (e, "block_scale", NULL);

  codes[0] = 0x7e;
  codes[32] = 0x01;
  codes[33] = 0xfe;
  exponents[1] = 1;
  floats = encoded_must_decode (e, 3);
  g_assert_cmphex (bits_of_f32 (floats[0]), ==, 0);
  g_assert_cmpfloat (floats[32], ==, 0x1p-135f);
  g_assert_cmpfloat (floats[33], ==, -448.0f * 0x1p-126f);
}

/* Tests that the largest numbers of F32 stay finite, and that one exponent lower nothing changes */
static void
test_largest (void)
{
  static const struct {
    float weight;
    guint8 code, exponent;
  } rows[] = { { FLT_MAX, 0x77, 247 },           { -FLT_MAX, 0xf7, 247 },   { 0x1.f8p127f, 0x77, 247 },
               { 0x1.dp127f, 0x76, 247 },        { 0x1.8p127f, 0x7c, 246 }, { 448.0f * 0x1p119f, 0x7e, 246 },
               { -448.0f * 0x1p119f, 0xfe, 246 } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      const QconvQuantizer *q = driver_quantizer (qconv_plugin_mxfp8 (), "mxfp8");
      float w[64] = { 0 };
      g_autoptr (Encoded) e = NULL;
      g_autofree float *floats = NULL;

      w[3] = w[40] = rows[i].weight;
      e = encode (NULL, QCONV_F32, w, 1, 64, 0);
      for (guint at = 3; at <= 40; at += 37)
        {
          g_assert_cmphex (((guint8 *) encoded_data (e, "codes", NULL))[at], ==, rows[i].code);
          g_assert_cmpuint (((guint8 *) encoded_data (e, "block_scale", NULL))[at / 32], ==, rows[i].exponent);
        }
      floats = encoded_must_decode (e, 3);
      g_assert_true (isfinite (floats[3]));
      g_assert_cmpfloat (fabs ((double) floats[3] / (double) w[3] - 1), <=, 1.0 / 16);
      g_assert_cmpfloat (driver_relative_error (QCONV_F32, w, floats, 1, 64), <=, q->bound (q, encoded_layer (e)));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mxfp8/golden", test_golden);
  g_test_add_func ("/mxfp8/example", test_example);
  g_test_add_func ("/mxfp8/quality", test_quality);
  g_test_add_func ("/mxfp8/hybrid", test_hybrid);
  g_test_add_func ("/mxfp8/adopt-broken", test_adopt_broken);
  g_test_add_func ("/mxfp8/validate", test_validate);
  g_test_add_func ("/mxfp8/decode", test_decode);
  g_test_add_func ("/mxfp8/largest", test_largest);
  return g_test_run ();
}
