/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests awq: golden bytes of comfy-quants, worked examples, types of scales, tiles, and refused shapes and numbers. */
#include <math.h>
#include <string.h>

#include "comfy-golden.h"
#include "kernel-fixture.h"
#include "kernels/numbers.h"
#include "quantizer-driver.h"
#include "random-weights.h"

const QconvPlugin *qconv_plugin_awq (void);

static Encoded *
new_matrix (const char *options, QconvDType dtype, guint64 rows, guint64 cols)
{
  return encoded_must_new (driver_quantizer (qconv_plugin_awq (), "awq"), options, dtype, rows, cols);
}

/* Compares with a stored tensor, which is transposed. Zeros may differ in sign */
static void
assert_transposed (const Encoded *e, const char *name, const GoldenTensor *stored)
{
  guint64 rows = stored->shape[1], groups = stored->shape[0];
  gsize width = strcmp (stored->dtype, "F32") == 0 ? 4 : 2, size;
  const guint8 *got = encoded_data (e, name, &size);

  g_assert_cmpuint (size, ==, stored->size);
  g_assert_cmpstr (qconv_dtype_name (qconv_layer_component (encoded_layer (e), name)->dtype), ==, stored->dtype);
  for (guint64 row = 0; row < rows; row++)
    for (guint64 k = 0; k < groups; k++)
      {
        guint32 a = 0, b = 0, sign = width == 4 ? 0x80000000 : 0x8000;

        memcpy (&a, got + (row * groups + k) * width, width);
        memcpy (&b, stored->data + (k * rows + row) * width, width);
        if ((a | b) != sign)
          g_assert_cmphex (a, ==, b);
      }
}

static void
check_golden (const ComfyGolden *g)
{
  g_autoptr (Encoded) e = new_matrix (g->dtype == QCONV_F32 ? "scale-dtype=f32" : NULL, g->dtype, g->rows, g->cols);
  const GoldenTensor *codes = comfy_golden_tensor (g, "weight"), *want = comfy_golden_tensor (g, "decoded");
  g_autofree float *decoded = NULL;

  g_assert_false (g->informative);
  encoded_must_encode (e, g->source->data, 5);
  g_assert_cmpmem (encoded_data (e, "codes", NULL), codes->size, codes->data, codes->size);
  assert_transposed (e, "scale", comfy_golden_tensor (g, "weight_scale"));
  assert_transposed (e, "zero", comfy_golden_tensor (g, "weight_zeros"));
  decoded = encoded_must_decode (e, 5);
  for (gsize i = 0; i < g->rows * g->cols; i++)
    {
      float a = decoded[i] + 0.0f, b = ((const float *) (gconstpointer) want->data)[i] + 0.0f;

      g_assert_cmphex (bits_of_f32 (a), ==, bits_of_f32 (b));
    }
}

static void
test_golden (void)
{
  guint n = comfy_golden_each ("awq_w4a16.", "Q", check_golden);

  g_test_message ("%u layers", n);
  g_assert_cmpuint (n, >=, 7);
}

/* Tests codes 0 … 15 at 1/8 and a centre of 1/2 */
static void
test_example (void)
{
  static const guint8 codes[] = { 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe };
  static const struct {
    const char *options;
    guint32 scale, zero;
    gsize width;
  } types[] = { { "group=16,scale-dtype=f32", 0x3e000000, 0x3f000000, 4 },
                { "group=16,scale-dtype=f16", 0x3000, 0x3800, 2 },
                { "group=16,scale-dtype=bf16", 0x3e00, 0x3f00, 2 } };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr (Encoded) e = new_matrix (types[i].options, QCONV_F32, 1, 16);
      g_autofree float *floats = NULL;

      memcpy (encoded_data (e, "codes", NULL), codes, sizeof codes);
      memcpy (encoded_data (e, "scale", NULL), &types[i].scale, types[i].width);
      memcpy (encoded_data (e, "zero", NULL), &types[i].zero, types[i].width);
      floats = encoded_must_decode (e, 0);
      for (guint k = 0; k < 16; k++)
        g_assert_cmpfloat (floats[k], ==, -0.5f + 0.125f * (float) k);
    }
}

/* Tests that a centre of 0 gives the same codes, and the least weight as the zero */
static void
test_centre (void)
{
  enum { ROWS = 16, COLS = 128 };
  g_autofree float *weights = random_weights (RANDOM_LAPLACE, ROWS, COLS, 4), *a = NULL, *b = NULL;
  g_autoptr (Encoded) eight = new_matrix ("scale-dtype=f32", QCONV_F32, ROWS, COLS);
  g_autoptr (Encoded) none = new_matrix ("scale-dtype=f32,centre=0", QCONV_F32, ROWS, COLS);
  const float *zero = encoded_data (none, "zero", NULL);
  gsize n;

  encoded_must_encode (eight, weights, 0);
  encoded_must_encode (none, weights, 0);
  a = encoded_must_decode (eight, 0);
  b = encoded_must_decode (none, 0);
  for (gsize i = 0; i < (gsize) ROWS * COLS; i++)
    {
      g_assert_cmpfloat (zero[i / 64], <=, weights[i]);
      g_assert_cmpfloat_with_epsilon (a[i], b[i], 1e-6f);
    }
  n = (gsize) ROWS * COLS / 2;
  g_assert_cmpmem (encoded_data (eight, "codes", NULL), n, encoded_data (none, "codes", NULL), n);
}

/* Compares the plugin's own conversions with those of the kernels. Groups have two equal weights, so the weight is the
   centre */
static void
test_half_precision (void)
{
  const guint64 n = 1 << 16;

  for (guint bf16 = 0; bf16 < 2; bf16++)
    {
      const char *options = bf16 ? "group=2,scale-dtype=bf16" : "group=2,scale-dtype=f16";
      g_autofree float *weights = g_new (float, 2 * n), *decoded = NULL;
      g_autoptr (Encoded) e = new_matrix (options, QCONV_F32, n, 2);
      const guint16 *zeros = encoded_data (e, "zero", NULL);
      guint64 state = 7;

      for (guint64 i = 0; i < n; i++)
        {
          /* all stored numbers, the middles between two, and the numbers just beside those */
          float low = bf16 ? f32_of_bf16 ((guint16) i) : f32_of_f16 ((guint16) i);
          guint32 unit = bf16 ? 1u << 15 : 1u << 12, step = unit + kernel_random (&state) % 3 - 1;
          float x = f32_of_bits (bits_of_f32 (low) + (kernel_random (&state) % 2) * step);

          if (!bf16 && fabsf (low) < 0x1p-14f)
            x = low + (kernel_random (&state) % 2 == 0 ? 0x1p-25f : 0.0f);
          if (!(fabsf (x) < (bf16 ? 0x1.fep127f : 65520.0f)))
            x = 1.0f;
          weights[2 * i] = weights[2 * i + 1] = x;
        }
      encoded_must_encode (e, weights, 1000);
      decoded = encoded_must_decode (e, 1000);
      for (guint64 i = 0; i < n; i++)
        {
          guint16 want = bf16 ? bf16_of_f32 (weights[2 * i]) : f16_of_f32 (weights[2 * i]);
          float value = bf16 ? f32_of_bf16 (want) : f32_of_f16 (want);

          g_assert_cmphex (zeros[i], ==, want);
          g_assert_cmpfloat (decoded[2 * i], ==, value);
          g_assert_cmpfloat (decoded[2 * i + 1], ==, value);
        }
    }
}

static void
assert_same_components (const Encoded *a, const Encoded *b)
{
  static const char *const names[] = { "codes", "scale", "zero" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      gsize n, m;
      const guint8 *x = encoded_data (a, names[i], &n), *y = encoded_data (b, names[i], &m);

      g_assert_cmpmem (x, n, y, m);
    }
}

/* Tests that the bytes do not depend on the height of a tile, with enough rows for several chunks */
static void
test_tiles (void)
{
  const guint64 rows = test_is_small () ? 1100 : 3000, cols = 1024;
  g_autofree float *weights = random_weights (RANDOM_GAUSSIAN, rows, cols, 3);
  g_autoptr (Encoded) whole = new_matrix (NULL, QCONV_F32, rows, cols);
  g_autofree float *b = NULL;
  static const guint64 heights[] = { 7, 64, 1024 };

  encoded_must_encode (whole, weights, 0);
  b = encoded_must_decode (whole, 0);
  for (guint i = 0; i < G_N_ELEMENTS (heights); i++)
    {
      g_autoptr (Encoded) e = new_matrix (NULL, QCONV_F32, rows, cols);
      g_autofree float *a = encoded_must_decode (whole, heights[i]);

      encoded_must_encode (e, weights, heights[i]);
      assert_same_components (whole, e);
      g_assert_cmpmem (a, rows * cols * sizeof *a, b, rows * cols * sizeof *b);
    }
}

/* Tests that rows of two matrices in another order keep their values */
static void
test_stack (void)
{
  enum { ROWS = 20, COLS = 192 };
  g_autofree float *a = random_weights (RANDOM_LAPLACE, ROWS, COLS, 1), *want = NULL, *got = NULL;
  g_autofree float *b = random_weights (RANDOM_LAPLACE, ROWS, COLS, 2);
  g_autoptr (Encoded) first = new_matrix (NULL, QCONV_F32, ROWS, COLS);
  g_autoptr (Encoded) second = new_matrix (NULL, QCONV_F32, ROWS, COLS);
  g_autoptr (Encoded) stack = new_matrix (NULL, QCONV_F32, ROWS + 6, COLS);
  const EncodedPart parts[] = { { first, 10, 1, 10 }, { second, 1, 3, 6 }, { first, 0, 1, 10 } };

  encoded_must_encode (first, a, 0);
  encoded_must_encode (second, b, 0);
  want = encoded_must_stack (stack, parts, G_N_ELEMENTS (parts));
  got = encoded_must_decode (stack, 0);
  g_assert_cmpmem (got, (ROWS + 6) * COLS * sizeof *got, want, (ROWS + 6) * COLS * sizeof *want);
}

static void
test_quality (void)
{
  static const double most[RANDOM_N_KINDS] = { 8.1e-3, 12.6e-3, 12.5e-3, 16.4e-3 };

  const guint64 rows = random_side (), cols = 1024;

  for (guint kind = 0; kind < RANDOM_N_KINDS; kind++)
    {
      g_autofree float *weights = random_weights (kind, rows, cols, 1), *decoded = NULL;
      g_autoptr (Encoded) e = new_matrix (NULL, QCONV_BF16, rows, cols);
      g_autofree guint16 *narrow = kernel_narrow (QCONV_BF16, weights, rows * cols);
      double error;

      encoded_must_encode (e, narrow, 100);
      decoded = encoded_must_decode (e, 100);
      error = driver_relative_error (QCONV_BF16, narrow, decoded, rows, cols);
      g_test_message ("%s: relative squared error %.3e", random_kind_names[kind], error);
      g_assert_cmpfloat (error, >, 0.9 * most[kind]);
      g_assert_cmpfloat (error, <=, most[kind]);
    }
}

/* Tests the values that replace "auto" */
static void
test_settle (void)
{
  static const struct {
    QconvDType dtype;
    const char *options;
    QconvDType scales;
  } cases[] = { { QCONV_BF16, NULL, QCONV_BF16 },
                { QCONV_F16, NULL, QCONV_F16 },
                { QCONV_F32, NULL, QCONV_BF16 },
                { QCONV_F32, "scale-dtype=f32", QCONV_F32 },
                { QCONV_BF16, "scale-dtype=f16", QCONV_F16 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Encoded) e = new_matrix (cases[i].options, cases[i].dtype, 4, 128);

      g_assert_cmpint (qconv_layer_component (encoded_layer (e), "scale")->dtype, ==, cases[i].scales);
      g_assert_cmpint (qconv_layer_component (encoded_layer (e), "zero")->dtype, ==, cases[i].scales);
      g_assert_cmpstr (qconv_values_string (encoded_layer (e)->values, "scale-dtype"), !=, "auto");
    }
}

static void
test_shapes (void)
{
  static const struct {
    const char *options;
    guint64 rows, cols;
  } wrong[] = { { NULL, 4, 96 }, { "group=3", 4, 9 }, { "group=128", 4, 64 }, { NULL, 0, 64 }, { NULL, 4, 0 } };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Encoded) e = encoded_new (driver_quantizer (qconv_plugin_awq (), "awq"), wrong[i].options, QCONV_F32,
                                           wrong[i].rows, wrong[i].cols, &error);

      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
      g_assert_null (e);
    }
}

static void
test_nonfinite (void)
{
  static const char *const names[] = { "scale", "zero" };
  static const guint16 bad[] = { 0x7f80, 0xff80, 0x7fc0 };
  float weights[64] = { 1e30f };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (guint k = 0; k < G_N_ELEMENTS (bad); k++)
      {
        g_autoptr (GError) error = NULL;
        g_autoptr (Encoded) e = new_matrix (NULL, QCONV_BF16, 2, 64);

        g_assert_true (encoded_validate (e, &error));
        ((guint16 *) encoded_data (e, names[i], NULL))[1] = bad[k];
        g_assert_false (encoded_validate (e, &error));
        g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
      }
  /* a weight that the stored type cannot hold */
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Encoded) e = new_matrix (i == 0 ? "scale-dtype=f16" : NULL, QCONV_F32, 1, 64);

      weights[0] = i == 0 ? 1e30f : 3e38f;
      weights[1] = -weights[0];
      g_assert_false (encoded_encode (e, weights, 0, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/awq/golden", test_golden);
  g_test_add_func ("/awq/example", test_example);
  g_test_add_func ("/awq/centre", test_centre);
  g_test_add_func ("/awq/half-precision", test_half_precision);
  g_test_add_func ("/awq/tiles", test_tiles);
  g_test_add_func ("/awq/stack", test_stack);
  g_test_add_func ("/awq/quality", test_quality);
  g_test_add_func ("/awq/settle", test_settle);
  g_test_add_func ("/awq/shapes", test_shapes);
  g_test_add_func ("/awq/nonfinite", test_nonfinite);
  return g_test_run ();
}
