/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests w4a8 and w6a8: a worked example, foreign codebooks, zeros, tiles, errors, shapes and refused numbers. */
#include <math.h>
#include <string.h>

#include "fixture.h"
#include "kernel-fixture.h"
#include "kernels/numbers.h"
#include "random-weights.h"

static void
test_example (void)
{
  static const guint8 codes[]
      = { 0x2c, 0x57, 0x93, 0xd0, 0x1b, 0x46, 0xfa, 0x36, 0xd3, 0x4c, 0x79, 0xa5, 0x68, 0x9f, 0x68, 0x94,
          0x93, 0x4e, 0x1b, 0xc6, 0x82, 0x3e, 0x0a, 0xb5, 0xa5, 0xd2, 0x3c, 0x68, 0xfb, 0x67, 0x2b, 0x57 };
  static const guint8 scales[] = { 0x6c, 0x70, 0x6d, 0x70 };
  static const guint32 rows[] = { 0x3c96a948, 0x3c829d77 };
  static const float decoded[] = { -1.6184f, -0.2667f, 0.8092f, -1.2782f };
  g_autoptr (Encoded) e = new_matrix ("w4a8", "group=16,convrot=16", QCONV_F32, 2, 32);
  g_autofree float *floats = NULL;
  float weights[64];

  for (gint i = 0; i < 64; i++)
    weights[i] = (float) (i * 37 % 101 - 50) / 32.0f;
  encoded_must_encode (e, weights, 1);
  g_assert_cmpmem (encoded_data (e, "codes", NULL), 32, codes, sizeof codes);
  g_assert_cmpmem (encoded_data (e, "group_scale", NULL), 4, scales, sizeof scales);
  g_assert_cmpmem (encoded_data (e, "row_scale", NULL), 8, rows, sizeof rows);
  floats = encoded_must_decode (e, 1);
  for (guint i = 0; i < G_N_ELEMENTS (decoded); i++)
    g_assert_cmpfloat_with_epsilon (floats[i], decoded[i], 1e-4);
}

/* Tests levels that are any numbers in any order; their products are limited to 127 */
static void
test_any_codebook (void)
{
  static const float levels[] = { 3, -2, 500, -500, 0.5f, 1.5f, 2.5f, -0.5f, 0, 1, 2, 4, 8, 16, 32, 64 };
  static const float want[] = { 3, -2, 127, -127, 0, 2, 2, 0, 0, 1, 2, 4, 8, 16, 32, 64 };
  static const guint8 codes[] = { 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe };
  g_autoptr (Encoded) e = new_matrix ("w4a8", "convrot=4,scale-dtype=f32", QCONV_F32, 1, 16);
  g_autofree float *floats = NULL;
  float one = 1.0f, half = 0.5f, rotated[16];

  memcpy (encoded_data (e, "codebook", NULL), levels, sizeof levels);
  memcpy (encoded_data (e, "codes", NULL), codes, sizeof codes);
  memcpy (encoded_data (e, "group_scale", NULL), &one, sizeof one);
  memcpy (encoded_data (e, "row_scale", NULL), &half, sizeof half);
  floats = encoded_must_decode (e, 0);
  for (guint i = 0; i < 16; i += 4)
    {
      float a = want[i], b = want[i + 1], c = want[i + 2], d = want[i + 3];

      rotated[i] = (a + b + c - d) / 4;
      rotated[i + 1] = (a + b - c + d) / 4;
      rotated[i + 2] = (a - b + c + d) / 4;
      rotated[i + 3] = (-a + b + c + d) / 4;
    }
  for (guint i = 0; i < 16; i++)
    g_assert_cmpfloat (floats[i], ==, rotated[i]);
}

/* ---- Zeros, tiles, errors ---- */

static void
test_zero (void)
{
  static const struct {
    const char *scheme, *options;
    guint8 code;
  } cases[] = { { "w4a8", NULL, 4 },
                { "w4a8", "codebook=none", 8 },
                { "w4a8", "group=4,scale-dtype=f32", 4 },
                { "w6a8", NULL, 32 },
                { "w6a8", "effort=rtn,group=64", 32 } };

  for (guint k = 0; k < G_N_ELEMENTS (cases); k++)
    {
      g_autoptr (Encoded) e = new_matrix (cases[k].scheme, cases[k].options, QCONV_F32, 3, 64);
      g_autofree float *weights = g_new0 (float, 3 * 64), *floats = NULL;
      g_autofree guint8 *codes = NULL;
      const float *rows = encoded_data (e, "row_scale", NULL);

      weights[70] = -0.0f;
      encoded_must_encode (e, weights, 2);
      codes = spread_codes (e);
      floats = encoded_must_decode (e, 2);
      for (guint i = 0; i < 3 * 64; i++)
        {
          g_assert_cmpuint (codes[i], ==, cases[k].code);
          g_assert_cmpfloat (floats[i], ==, 0.0f);
        }
      g_assert_cmpfloat (rows[0], ==, 1e-8f);
    }
}

static void
assert_same_components (const Encoded *a, const Encoded *b)
{
  const QconvLayer *l = encoded_layer (a);

  g_assert_cmpuint (l->n_components, ==, encoded_layer (b)->n_components);
  for (guint i = 0; i < l->n_components; i++)
    {
      gsize n, m;
      const guint8 *x = encoded_data (a, l->components[i]->name, &n);
      const guint8 *y = encoded_data (b, l->components[i]->name, &m);

      g_assert_cmpmem (x, n, y, m);
    }
}

/* Tests every group and rotation; F16 and BF16 give the same codes as the same numbers in F32 */
static void
test_tiles (void)
{
  static const struct {
    const char *scheme, *options;
  } cases[]
      = { { "w4a8", "group=4,convrot=4" },      { "w4a8", "group=8,convrot=64" }, { "w4a8", "group=256,convrot=1024" },
          { "w4a8", "codebook=none,group=32" }, { "w4a8", "scale-dtype=f32" },    { "w6a8", "group=128" },
          { "w6a8", "scale-dtype=f32" } };
  const guint64 rows = 37, cols = 1024;

  for (guint k = 0; k < G_N_ELEMENTS (cases); k++)
    {
      QconvDType dtype = k % 2 == 0 ? QCONV_BF16 : QCONV_F16;
      g_autofree float *wide = random_weights (RANDOM_STUDENT, rows, cols, k);
      g_autofree guint16 *narrow = kernel_narrow (dtype, wide, rows * cols);
      g_autoptr (Encoded) whole = new_matrix (cases[k].scheme, cases[k].options, QCONV_F32, rows, cols);
      g_autoptr (Encoded) tiled = new_matrix (cases[k].scheme, cases[k].options, dtype, rows, cols);
      g_autofree float *a = NULL, *b = NULL;

      for (gsize i = 0; i < rows * cols; i++)
        wide[i] = dtype == QCONV_BF16 ? f32_of_bf16 (narrow[i]) : f32_of_f16 (narrow[i]);
      encoded_must_encode (whole, wide, 0);
      encoded_must_encode (tiled, narrow, 5);
      assert_same_components (whole, tiled);
      a = encoded_must_decode (whole, 0);
      b = encoded_must_decode (tiled, 3);
      g_assert_cmpmem (a, rows * cols * sizeof *a, b, rows * cols * sizeof *b);
      g_assert_cmpfloat (driver_relative_error (dtype, narrow, a, rows, cols), <, 0.03);
    }
}

static double
error_of (const char *scheme, const char *options, RandomKind kind)
{
  const guint64 n = random_side ();
  const QconvQuantizer *q = find_quantizer (scheme);
  g_autofree float *weights = random_weights (kind, n, n, 1), *decoded = NULL;
  g_autofree guint16 *narrow = kernel_narrow (QCONV_BF16, weights, n * n);
  g_autoptr (Encoded) e = new_matrix (scheme, options, QCONV_BF16, n, n);
  double error;

  encoded_must_encode (e, narrow, 64);
  decoded = encoded_must_decode (e, 64);
  error = driver_relative_error (QCONV_BF16, narrow, decoded, n, n);
  g_test_message ("%s %s, %s: relative squared error %.3e", scheme, options, random_kind_names[kind], error);
  g_assert_cmpfloat (error, <, q->bound (q, encoded_layer (e)));
  return error;
}

static void
test_quality (void)
{
  for (RandomKind kind = 0; kind < RANDOM_N_KINDS; kind++)
    {
      double searched = error_of ("w6a8", "effort=search", kind);

      g_assert_cmpfloat (error_of ("w4a8", "codebook=table", kind), <=, 5.35e-3);
      g_assert_cmpfloat (searched, <=, 4.3e-4);
      g_assert_cmpfloat (error_of ("w6a8", "effort=rtn", kind), >, searched);
    }
  g_assert_cmpfloat (error_of ("w4a8", "group=32,scale-dtype=f32", RANDOM_GAUSSIAN), <=, 6.5e-3);
}

/* ---- Settled options, and refusals ---- */

static void
test_settle (void)
{
  static const struct {
    guint64 cols;
    const char *rotation;
  } cases[] = { { 512, "256" }, { 320, "64" }, { 48, "16" }, { 16, "16" }, { 1024, "256" } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Encoded) e = new_matrix ("w4a8", NULL, QCONV_BF16, 2, cases[i].cols);

      g_assert_cmpstr (qconv_values_string (encoded_layer (e)->values, "convrot"), ==, cases[i].rotation);
    }
}

static void
test_shapes (void)
{
  static const struct {
    const char *scheme, *options;
    guint64 rows, cols;
  } wrong[] = { { "w4a8", NULL, 4, 24 },           { "w4a8", "group=64", 4, 96 },
                { "w4a8", "convrot=256", 4, 320 }, { "w4a8", "convrot=1024", 4, 512 },
                { "w4a8", NULL, 0, 64 },           { "w4a8", NULL, 4, 0 },
                { "w6a8", NULL, 4, 48 },           { "w6a8", "group=64", 4, 96 },
                { "w6a8", "convrot=64", 4, 96 } };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Encoded) e = encoded_new (find_quantizer (wrong[i].scheme), wrong[i].options, QCONV_F32, wrong[i].rows,
                                           wrong[i].cols, &error);

      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
      g_assert_null (e);
    }
}

static void
test_nonfinite (void)
{
  static const struct {
    const char *options, *component;
    guint32 bits;
    gsize width;
    gboolean fine;
  } cases[] = { { NULL, "group_scale", 0x7f, 1, FALSE },
                { NULL, "group_scale", 0xff, 1, FALSE },
                { NULL, "group_scale", 0x81, 1, FALSE },
                { NULL, "group_scale", 0x80, 1, FALSE },
                { NULL, "group_scale", 0x7e, 1, TRUE },
                { "scale-dtype=f32", "group_scale", 0x80000000, 4, TRUE },
                { "scale-dtype=f32", "group_scale", 0x7f800000, 4, FALSE },
                { "scale-dtype=f32", "group_scale", 0xbf800000, 4, FALSE },
                { NULL, "row_scale", 0x7fc00000, 4, FALSE },
                { NULL, "row_scale", 0xbf800000, 4, FALSE },
                { NULL, "codebook", 0x7f800000, 4, FALSE },
                { NULL, "codebook", 0xbf800000, 4, TRUE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Encoded) e = new_matrix ("w4a8", cases[i].options, QCONV_F32, 2, 32);

      g_assert_true (encoded_validate (e, &error));
      memcpy (encoded_data (e, cases[i].component, NULL), &cases[i].bits, cases[i].width);
      g_assert_true (encoded_validate (e, &error) == cases[i].fine);
      if (!cases[i].fine)
        g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
    }
}

/* Sums of such weights would not be numbers */
static void
test_too_large (void)
{
  float weights[32] = { [3] = 3e38f };
  g_autoptr (Encoded) e = new_matrix ("w4a8", NULL, QCONV_F32, 1, 32);
  g_autoptr (GError) error = NULL;

  g_assert_false (encoded_encode (e, weights, 0, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/w4a8/example", test_example);
  g_test_add_func ("/w4a8/any-codebook", test_any_codebook);
  g_test_add_func ("/w4a8/zero", test_zero);
  g_test_add_func ("/w4a8/tiles", test_tiles);
  g_test_add_func ("/w4a8/quality", test_quality);
  g_test_add_func ("/w4a8/settle", test_settle);
  g_test_add_func ("/w4a8/shapes", test_shapes);
  g_test_add_func ("/w4a8/nonfinite", test_nonfinite);
  g_test_add_func ("/w4a8/too-large", test_too_large);
  return g_test_run ();
}
