/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the schemes int8, int8_block and convrot_w4a4 against other programs' bytes, worked examples and known
   errors. */
#include <math.h>
#include <string.h>

#include "comfy-golden.h"
#include "kernel-fixture.h"
#include "quantizer-driver.h"
#include "random-weights.h"

extern const QconvPlugin *qconv_plugin_int8 (void);

static Encoded *
begin (const char *scheme, const char *options, QconvDType dtype, guint64 rows, guint64 cols)
{
  return encoded_must_new (driver_quantizer (qconv_plugin_int8 (), scheme), options, dtype, rows, cols);
}

static Encoded *
encode (const char *scheme, const char *options, QconvDType dtype, gconstpointer weights, guint64 rows, guint64 cols)
{
  Encoded *e = begin (scheme, options, dtype, rows, cols);

  encoded_must_encode (e, weights, 0);
  return e;
}

static const char *
scale_name (const Encoded *e)
{
  static const char *const names[] = { "row_scale", "tensor_scale", "block_scale" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (encoded_data (e, names[i], NULL) != NULL)
      return names[i];
  g_assert_not_reached ();
}

/* ---- Golden files ---- */

static guint64 n_codes_seen, n_codes_off;

static void
assert_floats_near (const float *got, const float *want, gsize n, double share)
{
  double top = 0;

  for (gsize i = 0; i < n; i++)
    top = MAX (top, fabs ((double) want[i]));
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat (fabs ((double) got[i] - (double) want[i]), <=, top * share);
}

static void
assert_same_floats (const float *got, const float *want, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      float a = got[i] + 0.0f, b = want[i] + 0.0f; /* zeros of both signs are equal */

      g_assert_cmpmem (&a, sizeof a, &b, sizeof b);
    }
}

static gint
code_at (const guint8 *codes, gsize i, gboolean nibbles)
{
  guint8 byte = codes[nibbles ? i / 2 : i];

  return nibbles ? (gint8) (byte << (i % 2 == 0 ? 4 : 0)) >> 4 : (gint8) byte;
}

/* Compares codes. Matrix products sum in different orders, so a few codes on the edge of rounding may differ by one */
static void
assert_codes (const guint8 *got, const guint8 *want, gsize n, gboolean nibbles, gboolean rotated)
{
  gsize n_off = 0, allowed = rotated ? MAX (1, n * 4 / 1000000) : 0;

  for (gsize i = 0; i < n; i++)
    {
      gint off = ABS (code_at (got, i, nibbles) - code_at (want, i, nibbles));

      g_assert_cmpint (off, <=, 1);
      n_off += off != 0;
    }
  g_assert_cmpuint (n_off, <=, allowed);
  n_codes_seen += n;
  n_codes_off += n_off;
}

static void
assert_scales (const float *got, const float *want, gsize n, gboolean rotated)
{
  for (gsize i = 0; i < n; i++)
    {
      gint32 a, b;

      memcpy (&a, got + i, sizeof a);
      memcpy (&b, want + i, sizeof b);
      g_assert_cmpint (ABS (a - b), <=, rotated ? 8 : 0);
    }
}

/* Weights that are small beside the least scale are lost */
static gboolean
vanishes (const float *decoded, gsize n)
{
  float top = 0;

  for (gsize i = 0; i < n; i++)
    top = MAX (top, fabsf (decoded[i]));
  return top < 1e-9f;
}

static void
check_golden (const ComfyGolden *g, const char *scheme, const char *options, gboolean rotated)
{
  const GoldenTensor *codes = comfy_golden_tensor (g, "weight"), *scales = comfy_golden_tensor (g, "weight_scale");
  const GoldenTensor *decoded = comfy_golden_tensor (g, "decoded");
  g_autoptr (Encoded) e = encode (scheme, options, g->dtype, g->source->data, g->rows, g->cols);
  const QconvQuantizer *q = driver_quantizer (qconv_plugin_int8 (), scheme);
  gboolean nibbles = g_str_equal (scheme, "convrot_w4a4");
  gsize n = (gsize) (g->rows * g->cols), n_scales, n_codes;
  guint8 *made = encoded_data (e, "codes", &n_codes);
  float *made_scales = encoded_data (e, scale_name (e), &n_scales);
  g_autofree float *own = encoded_must_decode (e, 32), *values = NULL;

  g_assert_false (g->informative);
  g_assert_cmpuint (n_codes, ==, codes->size);
  g_assert_cmpuint (n_scales, ==, scales->size);
  assert_codes (made, codes->data, n, nibbles, rotated);
  assert_scales (made_scales, (const float *) scales->data, n_scales / sizeof (float), rotated);
  g_assert_cmpfloat (driver_relative_error (g->dtype, g->source->data, own, g->rows, g->cols), <=,
                     vanishes ((const float *) decoded->data, n) ? 1.0 : q->bound (q, encoded_layer (e)));
  memcpy (made, codes->data, n_codes);
  memcpy (made_scales, scales->data, n_scales);
  values = encoded_must_decode (e, 32);
  if (rotated)
    assert_floats_near (values, (const float *) decoded->data, n, 0x1p-19);
  else
    assert_same_floats (values, (const float *) decoded->data, n);
}

static void
check_tensor (const ComfyGolden *g)
{
  check_golden (g, "int8", "scaling=tensor", FALSE);
}

static void
check_row (const ComfyGolden *g)
{
  check_golden (g, "int8", "scaling=row", FALSE);
}

static void
check_block (const ComfyGolden *g)
{
  check_golden (g, "int8_block", "block=32", FALSE);
}

static void
check_convrot (const ComfyGolden *g)
{
  g_autofree char *options = g_strdup_printf ("convrot=%s", g->format + strlen ("int8_convrot"));

  check_golden (g, "int8", options, TRUE);
}

static void
check_w4a4 (const ComfyGolden *g)
{
  g_autofree char *options = g_strdup_printf ("convrot=%s", g->format + strlen ("convrot_w4a4_g"));

  check_golden (g, "convrot_w4a4", options, TRUE);
}

static void
test_golden (void)
{
  const struct {
    const char *prefix, *mode;
    void (*check) (const ComfyGolden *g);
  } sets[] = { { "int8_tensor.", "A", check_tensor },
               { "int8_row.", "A", check_row },
               { "int8_blockwise.", "X", check_block },
               { "int8_convrot", "A", check_convrot },
               { "convrot_w4a4_g", "A", check_w4a4 } };

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++)
    {
      guint n = comfy_golden_each (sets[i].prefix, sets[i].mode, sets[i].check);

      g_test_message ("%s: %u layers", sets[i].prefix, n);
      g_assert_cmpuint (n, >=, 2);
    }
  g_test_message ("%" G_GUINT64_FORMAT " codes, %" G_GUINT64_FORMAT " of them off by one", n_codes_seen, n_codes_off);
}

/* ---- Worked examples ---- */

/* (37 i mod 101 - 50) / 32, all of them BF16 numbers */
static void
fill_example (float *x, gsize n)
{
  for (gsize i = 0; i < n; i++)
    x[i] = (float) ((gint) (i * 37 % 101) - 50) / 32;
}

static void
assert_hex (const Encoded *e, const char *component, const char *want)
{
  gsize n;
  const guint8 *bytes = encoded_data (e, component, &n);
  GString *got = g_string_new (NULL);

  for (gsize i = 0; i < n; i++)
    g_string_append_printf (got, i == 0 ? "%02x" : " %02x", bytes[i]);
  g_assert_cmpstr (got->str, ==, want);
  g_string_free (got, TRUE);
}

#define ROW_0 "81 df 3d 9a f8 56 b4 12 70 cd 2b 89 e7 45 a2 00 5e bb 19 77 d5 33 90 ee 4c aa 08 66 c3 21 7f dc "
#define ZEROS " 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"

static void
test_examples (void)
{
  float x[128];
  g_autoptr (Encoded) tensor = NULL, row = NULL, rotated = NULL, w4a4 = NULL;

  fill_example (x, 64);
  memset (x + 48, 0, 16 * sizeof *x);
  tensor = encode ("int8", "scaling=tensor", QCONV_F32, x, 2, 32);
  assert_hex (tensor, "tensor_scale", "26 93 49 3c");
  assert_hex (tensor, "codes", ROW_0 "3a 98 f6 54 b1 0f 6d cb 29 86 e4 42 9f fd 5b b9" ZEROS);
  row = encode ("int8", NULL, QCONV_F32, x, 2, 32);
  assert_hex (row, "row_scale", "26 93 49 3c 06 83 41 3c");
  assert_hex (row, "codes", ROW_0 "3d 94 f5 57 ae 10 72 c8 2a 81 e3 45 9b fd 5f b6" ZEROS);
  fill_example (x, 32);
  rotated = encode ("int8", "convrot=16", QCONV_F32, x, 2, 16);
  assert_hex (rotated, "row_scale", "7b bd 5e 3c 7b bd 9e 3c");
  assert_hex (rotated, "codes",
              "3b a8 fd de bf 14 81 4a 2b 98 ed ce 23 78 e5 c6 c2 4f 39 d2 0d f8 e2 1d 08 f2 7f 18 02 ec d6 12");
  fill_example (x, 128);
  w4a4 = encode ("convrot_w4a4", "convrot=16", QCONV_F32, x, 2, 64);
  assert_hex (w4a4, "row_scale", "00 00 b4 3e 00 00 a4 3e");
  assert_hex (w4a4, "codes",
              "d2 f0 1d 3b c2 ef 51 ef 4d d3 01 2e f0 17 f0 1e 1e e4 c2 3f 0d e4 b1 2f 2f 4c d3 f0 62 f0 c2 f0 "
              "12 ea 02 e4 5c 2f 01 d3 f1 2e 4b c3 f0 1d e0 17 9f 02 3f 01 d3 4c 2e f1 d3 f0 1e 3b c2 ef 52 ef");
}

/* ---- Options and shapes ---- */

static void
assert_settled (const char *scheme, const char *options, guint64 cols, const char *want)
{
  g_autoptr (Encoded) e = begin (scheme, options, QCONV_BF16, 2, cols);

  g_assert_cmpstr (qconv_values_string (encoded_layer (e)->values, "convrot"), ==, want);
}

static void
test_settle (void)
{
  assert_settled ("int8", NULL, 96, "none");
  assert_settled ("int8", "convrot=auto", 96, "16");
  assert_settled ("int8", "convrot=auto", 320, "64");
  assert_settled ("int8", "convrot=auto", 1024, "256");
  assert_settled ("int8", "convrot=auto", 20, "4");
  assert_settled ("int8", "convrot=auto", 30, "none");
  assert_settled ("int8", "convrot=64", 96, "none");
  assert_settled ("int8", "convrot=16", 96, "16");
  assert_settled ("int8", "convrot=1024", 3072, "1024");
  assert_settled ("convrot_w4a4", NULL, 1024, "256");
  assert_settled ("convrot_w4a4", NULL, 320, "64");
  assert_settled ("convrot_w4a4", "convrot=16", 320, "16");
}

static void
test_refused (void)
{
  const struct {
    const char *scheme, *options;
    guint64 rows, cols;
  } cases[] = { { "int8", NULL, 0, 16 },
                { "int8_block", "block=32", 32, 48 },
                { "int8_block", "block=32", 48, 32 },
                { "int8_block", NULL, 64, 128 },
                { "convrot_w4a4", NULL, 4, 96 },
                { "convrot_w4a4", NULL, 4, 30 },
                { "convrot_w4a4", "convrot=256", 4, 320 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const QconvQuantizer *q = driver_quantizer (qconv_plugin_int8 (), cases[i].scheme);
      g_autoptr (GError) error = NULL;

      g_assert_null (encoded_new (q, cases[i].options, QCONV_F32, cases[i].rows, cases[i].cols, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
    }
}

/* ---- Data ---- */

typedef struct {
  const char *scheme, *options;
} Method;

static const Method methods[] = {
  { "int8", "scaling=tensor" },
  { "int8", "scaling=row" },
  { "int8_block", "block=32" },
  { "int8", "scaling=row,convrot=256" },
  { "int8", "scaling=tensor,convrot=256" },
  { "convrot_w4a4", "convrot=256" },
  { "convrot_w4a4", "convrot=4" },
};

/* Tests that the bytes do not depend on the height of a tile */
static void
test_tiles (void)
{
  static const guint64 heights[] = { 32, 64 }, odd[] = { 1, 37 };
  const guint64 rows = 672, cols = 512; /* more rows than one chunk of a pass has */
  g_autofree float *wide = random_weights (RANDOM_STUDENT, rows, cols, 6);
  g_autofree void *w = kernel_narrow (QCONV_BF16, wide, rows * cols);

  for (guint i = 0; i < G_N_ELEMENTS (methods); i++)
    {
      g_autoptr (Encoded) want = encode (methods[i].scheme, methods[i].options, QCONV_BF16, w, rows, cols);
      gboolean block = g_str_equal (methods[i].scheme, "int8_block");
      gsize n, n_scales;
      const guint8 *codes = encoded_data (want, "codes", &n);
      const float *scales = encoded_data (want, scale_name (want), &n_scales);

      for (guint k = 0; k < G_N_ELEMENTS (heights); k++)
        {
          g_autoptr (Encoded) got = begin (methods[i].scheme, methods[i].options, QCONV_BF16, rows, cols);
          g_autoptr (GError) error = NULL;

          encoded_encode (got, w, block ? heights[k] : odd[k], &error);
          g_assert_no_error (error);
          g_assert_cmpmem (encoded_data (got, "codes", NULL), n, codes, n);
          g_assert_cmpmem (encoded_data (got, scale_name (got), NULL), n_scales, scales, n_scales);
        }
    }
}

static void
test_zeros (void)
{
  static const float least[] = { 1e-30f, 1e-30f, 1.0f, 1e-30f, 1e-30f, 1e-10f / 7.0f, 1e-10f / 7.0f };
  g_autofree float *w = g_new0 (float, 32 * 256);

  w[7] = -0.0f;
  for (guint i = 0; i < G_N_ELEMENTS (methods); i++)
    {
      g_autoptr (Encoded) e = encode (methods[i].scheme, methods[i].options, QCONV_F32, w, 32, 256);
      const guint8 *codes;
      gsize n, n_scales;
      const float *scales = encoded_data (e, scale_name (e), &n_scales);

      codes = encoded_data (e, "codes", &n);
      for (gsize k = 0; k < n; k++)
        g_assert_cmphex (codes[k], ==, 0);
      for (gsize k = 0; k < n_scales / sizeof *scales; k++)
        g_assert_cmpfloat (scales[k], ==, least[i]);
    }
  w[0] = 12.7f;
  {
    g_autoptr (Encoded) e = encode ("int8_block", "block=32", QCONV_F32, w, 32, 256);
    const float *scales = encoded_data (e, "block_scale", NULL);

    g_assert_cmpfloat (scales[0], ==, 12.7f / 127.0f);
    g_assert_cmpfloat (scales[1], ==, 1e-8f); /* a block of zeros beside others */
  }
}

static void
test_too_large (void)
{
  g_autofree float *w = g_new (float, 256);

  /* the signs of the first row of the rotation */
  for (guint i = 0; i < 256; i++)
    w[i] = ((i % 4 == 3) + (i / 4 % 4 == 3) + (i / 16 % 4 == 3) + (i / 64 == 3)) % 2 == 0 ? 3e38f : -3e38f;
  for (guint i = 3; i < 6; i++)
    {
      g_autoptr (Encoded) e = begin (methods[i].scheme, methods[i].options, QCONV_F32, 1, 256);
      g_autoptr (GError) error = NULL;

      g_assert_false (encoded_encode (e, w, 0, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
    }
}

static void
test_validate (void)
{
  static const float bad[] = { NAN, INFINITY, -INFINITY, -1.0f };
  g_autofree float *w = random_weights (RANDOM_GAUSSIAN, 32, 256, 7);

  for (guint i = 0; i < G_N_ELEMENTS (methods); i++)
    {
      g_autoptr (Encoded) e = encode (methods[i].scheme, methods[i].options, QCONV_F32, w, 32, 256);
      g_autoptr (GError) none = NULL;
      gsize n;
      float *scales = encoded_data (e, scale_name (e), &n);

      if (encoded_data (e, "input_scale", NULL) != NULL)
        encoded_drop (e, "input_scale");
      if (encoded_data (e, "amax", NULL) != NULL)
        encoded_drop (e, "amax"); /* files have none */
      encoded_validate (e, &none);
      g_assert_no_error (none);
      for (guint k = 0; k < G_N_ELEMENTS (bad); k++)
        {
          g_autoptr (GError) error = NULL;

          scales[n / sizeof *scales - 1] = bad[k];
          g_assert_false (encoded_validate (e, &error));
          g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
        }
    }
}

/* Tests that -8 is never written, but decodes */
static void
test_lowest_code (void)
{
  g_autoptr (Encoded) e = begin ("convrot_w4a4", "convrot=4", QCONV_BF16, 1, 64);
  g_autofree float *values = NULL;

  memset (encoded_data (e, "codes", NULL), 0x88, 32);
  *(float *) encoded_data (e, "row_scale", NULL) = 0.5f;
  values = encoded_must_decode (e, 32);
  for (guint i = 0; i < 64; i++)
    g_assert_cmpfloat (values[i], ==, -4.0f); /* rows of H4/2 add up to 1 */
}

/* Tests errors against those that other programs measured on matrices of these distributions. An error of 0 is only
   printed, because it depends on single weights */
static void
test_errors (void)
{
  static const double known[][RANDOM_N_KINDS] = {
    { 1.45e-4, 5.64e-4, 0, 34.7e-4 },
    { 0.612e-4, 1.50e-4, 2.22e-4, 7.80e-4 },
    { 0, 0, 0, 0 },
    { 0.614e-4, 0.621e-4, 0.619e-4, 0.577e-4 },
    { 0, 0, 0, 0 },
    { 2.02e-2, 2.04e-2, 2.04e-2, 1.90e-2 },
  };
  const guint64 rows = random_side (), cols = 1024;

  for (guint kind = 0; kind < RANDOM_N_KINDS; kind++)
    {
      g_autofree float *wide = random_weights (kind, rows, cols, 8);
      g_autofree void *w = kernel_narrow (QCONV_BF16, wide, rows * cols);

      for (guint i = 0; i < G_N_ELEMENTS (known); i++)
        {
          g_autoptr (Encoded) e = encode (methods[i].scheme, methods[i].options, QCONV_BF16, w, rows, cols);
          g_autofree float *values = encoded_must_decode (e, 32);
          double error = driver_relative_error (QCONV_BF16, w, values, rows, cols);

          g_test_message ("%s, %s %s: %.3e, %.2f dB", random_kind_names[kind], methods[i].scheme, methods[i].options,
                          error, -10 * log10 (error));
          g_assert_cmpfloat (error, <, i == 5 ? 0.03 : 0.01);
          if (known[i][kind] > 0)
            g_assert_cmpfloat (fabs (error / known[i][kind] - 1), <, i == 0 ? 0.35 : 0.1);
          if (i == 3)
            g_assert_cmpfloat (-10 * log10 (error), >=, 42.0);
        }
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/int8/golden", test_golden);
  g_test_add_func ("/int8/examples", test_examples);
  g_test_add_func ("/int8/settle", test_settle);
  g_test_add_func ("/int8/refused", test_refused);
  g_test_add_func ("/int8/tiles", test_tiles);
  g_test_add_func ("/int8/zeros", test_zeros);
  g_test_add_func ("/int8/too-large", test_too_large);
  g_test_add_func ("/int8/validate", test_validate);
  g_test_add_func ("/int8/lowest-code", test_lowest_code);
  g_test_add_func ("/int8/errors", test_errors);
  return g_test_run ();
}
