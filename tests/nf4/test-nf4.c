/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests nf4, fp4 and af4: golden bytes of bitsandbytes, worked examples, nesting, tiles, errors, refusals. */
#include <math.h>
#include <string.h>

#include "comfy-golden.h"
#include "kernel-fixture.h"
#include "kernels/numbers.h"
#include "quantizer-driver.h"
#include "random-weights.h"

const QconvPlugin *qconv_plugin_nf4 (void);

static Encoded *
new_matrix (const char *scheme, const char *options, QconvDType dtype, guint64 rows, guint64 cols)
{
  return encoded_must_new (driver_quantizer (qconv_plugin_nf4 (), scheme), options, dtype, rows, cols);
}

static guint
code_at (const Encoded *e, gsize i)
{
  const guint8 *codes = encoded_data (e, "codes", NULL);
  gsize cols = encoded_layer (e)->cols, row = i / cols, col = i % cols;

  return codes[row * ((cols + 1) / 2) + col / 2] >> (col % 2 * 4) & 15;
}

static void
assert_same_component (const Encoded *a, const Encoded *b, const char *name)
{
  gsize n_a, n_b;
  gconstpointer x = encoded_data (a, name, &n_a), y = encoded_data (b, name, &n_b);

  g_assert_cmpmem (x, n_a, y, n_b);
}

/* ---- Golden bytes ---- */

/* Compares with the stored flat array, which has the even weight in the high half */
static void
check_golden (const ComfyGolden *g)
{
  g_autoptr (Encoded) e = new_matrix ("nf4", "effort=rtn", g->dtype, g->rows, g->cols);
  const GoldenTensor *codes = comfy_golden_tensor (g, "weight"), *absmax = comfy_golden_tensor (g, "weight_scale");
  const GoldenTensor *table = comfy_golden_tensor (g, "weight_code"), *decoded = comfy_golden_tensor (g, "decoded");
  gsize all = g->rows * g->cols, size;
  gconstpointer got;

  encoded_must_encode (e, g->source->data, 0);
  for (gsize i = 0; i < all; i++)
    g_assert_cmpuint (code_at (e, i), ==, codes->data[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15);
  got = encoded_data (e, "absmax", &size);
  g_assert_cmpmem (got, size, absmax->data, absmax->size);
  got = encoded_data (e, "codebook", &size);
  g_assert_cmpmem (got, size, table->data, table->size);
  if (decoded != NULL)
    {
      g_autofree float *values = encoded_must_decode (e, 0);

      golden_assert_same_floats (values, (const float *) decoded->data, all);
    }
}

static void
test_golden (void)
{
  guint n = comfy_golden_each ("nf4.", "N", check_golden);

  g_test_message ("%u layers", n);
  g_assert_cmpuint (n, >=, 5);
}

/* ---- Worked examples ---- */

static void
test_example (void)
{
  static const float w[] = { 0.5f, -2.0f, 1.0f, 0.0f, -0.25f, 1.75f, -1.5f };
  static const guint8 codes[] = { 10, 0, 12, 7, 6, 15, 1 };
  static const guint32 bits[] = { 0x3efc04dd, 0xc0000000, 0x3f61a4b8, 0x00000000, 0xbe3a7871, 0x40000000, 0xbfb239b1 };
  g_autoptr (Encoded) e = new_matrix ("nf4", "effort=rtn", QCONV_F32, 1, 7);
  g_autofree float *values = NULL;

  encoded_must_encode (e, w, 0);
  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    g_assert_cmpuint (code_at (e, i), ==, codes[i]);
  values = encoded_must_decode (e, 0);
  g_assert_cmpmem (values, sizeof w, bits, sizeof bits);
}

/* Tests that zero blocks have the code of 0, or the lower one of two; numbers above zero that round to it have the
   upper one */
static void
test_fp4 (void)
{
  static const float w[] = { 2.0f, -0.66f, 0.0f, -1e-6f, 1e-6f, -2.0f };
  static const guint8 codes[] = { 3, 12, 0, 0, 8, 11 };
  float zeros[64] = { 0.0f, -0.0f };
  g_autoptr (Encoded) e = new_matrix ("fp4", "effort=rtn", QCONV_F32, 1, 6);
  g_autoptr (Encoded) z = new_matrix ("fp4", NULL, QCONV_F32, 1, 64), n = new_matrix ("nf4", NULL, QCONV_F32, 1, 64);
  g_autofree float *values = NULL;

  encoded_must_encode (e, w, 0);
  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    g_assert_cmpuint (code_at (e, i), ==, codes[i]);
  values = encoded_must_decode (e, 0);
  g_assert_cmpfloat (values[0], ==, 2.0f);
  g_assert_cmpfloat (values[1], ==, -0.6666667f);
  encoded_must_encode (z, zeros, 0);
  encoded_must_encode (n, zeros, 0);
  for (guint i = 0; i < 64; i++)
    {
      g_assert_cmpuint (code_at (z, i), ==, 0);
      g_assert_cmpuint (code_at (n, i), ==, 7);
    }
}

/* Tests map 1/3, nested absmax 1.5 and offset 0.3 */
static void
test_nested_example (void)
{
  g_autoptr (Encoded) e = new_matrix ("nf4", "double-quant=on", QCONV_F32, 1, 3);
  g_autofree float *values = NULL;
  float *map = encoded_data (e, "nested_map", NULL), *table = encoded_data (e, "codebook", NULL);
  guint32 bits = 0x3f4c999a;

  map[9] = f32_of_bits (0x3eaa6666);
  *(guint8 *) encoded_data (e, "absmax", NULL) = 9;
  *(float *) encoded_data (e, "nested_absmax", NULL) = 1.5f;
  *(float *) encoded_data (e, "nested_offset", NULL) = f32_of_bits (0x3e99999a);
  *(guint8 *) encoded_data (e, "codes", NULL) = 5;
  table[5] = 1.0f;
  values = encoded_must_decode (e, 0);
  g_assert_cmpmem (values, 4, &bits, 4);
}

/* ---- Shapes, tiles, nesting ---- */

static void
test_tiles (void)
{
  static const struct {
    const char *scheme, *options;
    guint64 rows, cols, tile;
  } cases[] = {
    { "nf4", NULL, 48, 100, 16 },
    { "nf4", "block=32", 96, 33, 32 },
    { "nf4", "double-quant=on", 48, 100, 16 },
    { "fp4", "double-quant=on,effort=rtn", 260, 97, 64 },
    { "nf4", "double-quant=on,block=256", 40, 40, 32 },
    { "af4", "block=128", 9, 256, 1 },
    { "nf4", "double-quant=on,block=32", 257, 1024, 32 }, /* nested absmax are decoded 8192 at once */
  };
  guint64 state = 2;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint64 n = cases[i].rows * cases[i].cols;
      g_autofree float *w = g_new (float, n), *a = NULL, *b = NULL;
      g_autoptr (Encoded) whole
          = new_matrix (cases[i].scheme, cases[i].options, QCONV_F32, cases[i].rows, cases[i].cols);
      g_autoptr (Encoded) tiles
          = new_matrix (cases[i].scheme, cases[i].options, QCONV_F32, cases[i].rows, cases[i].cols);

      kernel_fill (KERNEL_NORMAL, w, n, &state);
      encoded_must_encode (whole, w, 0);
      encoded_must_encode (tiles, w, cases[i].tile);
      for (guint k = 0; k < encoded_layer (whole)->n_components; k++)
        assert_same_component (whole, tiles, encoded_layer (whole)->components[k]->name);
      a = encoded_must_decode (whole, 0);
      b = encoded_must_decode (tiles, cases[i].tile);
      g_assert_cmpmem (a, n * sizeof *a, b, n * sizeof *b);
      g_assert_cmpfloat (driver_relative_error (QCONV_F32, w, a, cases[i].rows, cases[i].cols), <, 0.02);
    }
}

/* Tests that RTN codes belong to plain absmax, and searched codes to the decoded nested absmax */
static void
test_nesting (void)
{
  enum { ROWS = 300, COLS = 256 };
  g_autofree float *w = random_weights (RANDOM_LAPLACE, ROWS, COLS, 4), *plain_values = NULL, *values = NULL;
  g_autoptr (Encoded) plain = new_matrix ("nf4", "effort=rtn", QCONV_F32, ROWS, COLS);
  g_autoptr (Encoded) rtn = new_matrix ("nf4", "effort=rtn,double-quant=on", QCONV_F32, ROWS, COLS);
  g_autoptr (Encoded) searched = new_matrix ("nf4", "double-quant=on", QCONV_F32, ROWS, COLS);
  g_autofree float *searched_values = NULL;
  double plain_error, error, searched_error;

  encoded_must_encode (plain, w, 0);
  encoded_must_encode (rtn, w, 0);
  encoded_must_encode (searched, w, 0);
  assert_same_component (plain, rtn, "codes");
  plain_values = encoded_must_decode (plain, 0);
  values = encoded_must_decode (rtn, 0);
  searched_values = encoded_must_decode (searched, 0);
  plain_error = driver_relative_error (QCONV_F32, w, plain_values, ROWS, COLS);
  error = driver_relative_error (QCONV_F32, w, values, ROWS, COLS);
  searched_error = driver_relative_error (QCONV_F32, w, searched_values, ROWS, COLS);
  g_test_message ("plain %.4e nested %.4e nested and searched %.4e", plain_error, error, searched_error);
  g_assert_cmpfloat (error, <, plain_error * 1.02);
  g_assert_cmpfloat (searched_error, <, error);
}

static void
test_adopt (void)
{
  enum { ROWS = 70, COLS = 96 };
  static const char *const schemes[] = { "nf4", "fp4" };
  g_autofree float *w = random_weights (RANDOM_STUDENT, ROWS, COLS, 5);

  for (guint i = 0; i < G_N_ELEMENTS (schemes); i++)
    {
      g_autoptr (Encoded) nested = new_matrix (schemes[i], "double-quant=on", QCONV_F32, ROWS, COLS);
      g_autoptr (Encoded) plain = new_matrix (schemes[i], NULL, QCONV_F32, ROWS, COLS);
      g_autoptr (Encoded) other = new_matrix (schemes[i], "block=32", QCONV_F32, ROWS, COLS);
      g_autofree float *a = NULL, *b = NULL;
      g_autoptr (GError) error = NULL;
      gboolean exact = FALSE;

      encoded_must_encode (nested, w, 0);
      g_assert_true (encoded_adopt (plain, nested, 4, &exact, &error));
      g_assert_true (exact);
      a = encoded_must_decode (nested, 0);
      b = encoded_must_decode (plain, 0);
      g_assert_cmpmem (a, ROWS * COLS * sizeof *a, b, ROWS * COLS * sizeof *b);
      assert_same_component (nested, plain, "codebook");
      g_assert_true (encoded_adopt (other, nested, 0, &exact, &error));
      g_assert_false (exact);
      g_assert_true (encoded_adopt (nested, plain, 0, &exact, &error));
      g_assert_false (exact);
    }
}

/* ---- Stacking ---- */

/* Parts of two matrices of 256 rows. @exact: nested absmax are copied in whole groups */
typedef struct {
  const char *options;
  guint64 cols;
  struct {
    guint source;
    guint64 first, stride, n;
  } parts[3];
  guint n_parts;
  gboolean exact;
} Stack;

static const Stack stacked[] = {
  { "double-quant=on", 256, { { 0, 128, 1, 128 }, { 0, 0, 1, 128 } }, 2, TRUE },
  { "double-quant=on", 256, { { 0, 64, 1, 192 }, { 0, 0, 1, 64 } }, 2, TRUE },
  { "double-quant=on", 256, { { 0, 0, 1, 100 } }, 1, TRUE },
  { "double-quant=on", 256, { { 0, 100, 1, 156 }, { 0, 0, 1, 100 } }, 2, FALSE },
  { "double-quant=on", 256, { { 0, 128, 1, 128 }, { 1, 0, 1, 128 } }, 2, FALSE },
  { "double-quant=on", 256, { { 0, 1, 2, 128 }, { 1, 0, 3, 50 }, { 0, 0, 2, 128 } }, 3, FALSE },
  { "double-quant=on", 96, { { 0, 130, 1, 126 }, { 1, 2, 1, 254 }, { 0, 0, 1, 130 } }, 3, FALSE },
  { "double-quant=on,block=2048", 96, { { 0, 192, 1, 64 }, { 0, 0, 1, 192 } }, 2, FALSE },
  { NULL, 256, { { 0, 100, 1, 156 }, { 1, 0, 3, 80 } }, 2, TRUE },
};

/* Tests that stacked rows keep their codes and absmax, or that each absmax is rounded once */
static void
test_stack (void)
{
  enum { ROWS = 256 };
  const QconvQuantizer *q = driver_quantizer (qconv_plugin_nf4 (), "nf4");

  for (guint i = 0; i < G_N_ELEMENTS (stacked); i++)
    {
      const Stack *k = &stacked[i];
      g_autofree float *a = random_weights (RANDOM_STUDENT, ROWS, k->cols, 5), *b = g_memdup2 (a, ROWS * k->cols * 4);
      g_autoptr (Encoded) first = new_matrix ("nf4", k->options, QCONV_F32, ROWS, k->cols), stack = NULL;
      g_autoptr (Encoded) second = new_matrix ("nf4", k->options, QCONV_F32, ROWS, k->cols);
      g_autofree float *want = NULL, *got = NULL;
      EncodedPart parts[3];
      guint64 rows = 0;
      double error;

      for (guint n = 0; n < ROWS * k->cols; n++)
        b[n] *= 3.0f;
      encoded_must_encode (first, a, 0);
      encoded_must_encode (second, b, 0);
      for (guint n = 0; n < k->n_parts; rows += parts[n++].n)
        parts[n] = (EncodedPart) { k->parts[n].source == 0 ? first : second, k->parts[n].first, k->parts[n].stride,
                                   k->parts[n].n };
      stack = new_matrix ("nf4", k->options, QCONV_F32, rows, k->cols);
      want = encoded_must_stack (stack, parts, k->n_parts);
      got = encoded_must_decode (stack, 0);
      error = driver_relative_error (QCONV_F32, want, got, rows, k->cols);
      g_test_message ("case %u: %.3e", i, error);
      g_assert_cmpint (error > 0.0, ==, !k->exact);
      g_assert_cmpfloat (error, <, 3e-4);
      g_assert_cmpfloat (error, <=, q->stack_bound (q, encoded_layer (stack)));
    }
}

/* ---- Errors ---- */

static double
error_of (const char *scheme, const char *options, gconstpointer w, guint64 rows, guint64 cols)
{
  g_autoptr (Encoded) e = new_matrix (scheme, options, QCONV_BF16, rows, cols);
  const QconvQuantizer *q = driver_quantizer (qconv_plugin_nf4 (), scheme);
  g_autofree float *values = NULL;
  double error;

  encoded_must_encode (e, w, 0);
  values = encoded_must_decode (e, 0);
  error = driver_relative_error (QCONV_BF16, w, values, rows, cols);
  g_assert_cmpfloat (error, <, q->bound (q, encoded_layer (e)));
  return error;
}

/* Tests relative squared errors, in thousandths, within 1 to 2 %: searched, and with the reference formula */
static void
test_errors (void)
{
  static const struct {
    const char *scheme, *options;
    double most[RANDOM_N_KINDS];
  } cases[] = {
    { "nf4", NULL, { 7.272, 9.545, 9.807, 17.17 } },
    { "nf4", "effort=rtn", { 8.54, 10.91, 11.1, 18.6 } },
    { "af4", "effort=rtn", { 9.23, 11.01, 11.31, 15.3 } },
    { "fp4", "effort=rtn", { 15.05, 22.9, 24.1, 52.0 } },
    { "fp4", NULL, { 12.8, 19.7, 20.9, 46.5 } },
    { "nf4", "block=4096", { 10.0, 17.0, 25.0, 72.0 } },
    { "fp4", "block=4096,effort=rtn", { 900, 900, 900, 900 } },
  };
  const guint64 rows = random_side (), cols = 1024;
  const double slack = test_is_small () ? 1.05 : 1.0;

  for (guint kind = 0; kind < RANDOM_N_KINDS; kind++)
    {
      g_autofree float *wide = random_weights (kind, rows, cols, 1);
      g_autofree void *w = kernel_narrow (QCONV_BF16, wide, rows * cols);

      for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
        {
          double error = error_of (cases[i].scheme, cases[i].options, w, rows, cols) * 1e3;

          g_test_message ("%s %s, %s: %.3f", cases[i].scheme, cases[i].options != NULL ? cases[i].options : "",
                          random_kind_names[kind], error);
          g_assert_cmpfloat (error, <=, cases[i].most[kind] * slack);
        }
    }
}

/* ---- Refusals ---- */

static void
test_refused (void)
{
  static const struct {
    const char *scheme, *options;
    guint64 rows, cols;
    QconvError code;
  } cases[] = {
    { "nf4", NULL, 0, 64, QCONV_ERROR_UNSUPPORTED },
    { "nf4", NULL, G_MAXUINT32, G_MAXUINT32, QCONV_ERROR_UNSUPPORTED },
    { "nf4", NULL, 1, 2, QCONV_ERROR_UNSUPPORTED },
    { "fp4", NULL, 2, 1, QCONV_ERROR_UNSUPPORTED },
    { "nf4", "block=48", 4, 64, QCONV_ERROR_OPTION },
    { "af4", "block=256", 4, 64, QCONV_ERROR_OPTION },
    { "af4", "double-quant=on", 4, 64, QCONV_ERROR_OPTION },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (encoded_new (driver_quantizer (qconv_plugin_nf4 (), cases[i].scheme), cases[i].options, QCONV_F32,
                                  cases[i].rows, cases[i].cols, &error));
      g_assert_error (error, QCONV_ERROR, (gint) cases[i].code);
    }
}

static void
test_validate (void)
{
  static const struct {
    const char *options, *component;
    float number;
    gboolean good;
  } cases[] = {
    { NULL, "absmax", NAN, FALSE },
    { NULL, "absmax", INFINITY, FALSE },
    { NULL, "absmax", -1.0f, FALSE },
    { NULL, "absmax", 0.0f, TRUE },
    { NULL, "codebook", NAN, FALSE },
    { NULL, "codebook", -3.0f, TRUE },
    { "double-quant=on", "nested_absmax", NAN, FALSE },
    { "double-quant=on", "nested_absmax", -1.0f, FALSE },
    { "double-quant=on", "nested_map", INFINITY, FALSE },
    { "double-quant=on", "nested_offset", NAN, FALSE },
    { "double-quant=on", "nested_offset", -1.0f, TRUE },
  };
  float w[128] = { 1.0f };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Encoded) e = new_matrix ("nf4", cases[i].options, QCONV_F32, 2, 64);
      g_autoptr (GError) error = NULL;

      encoded_must_encode (e, w, 0);
      g_assert_true (encoded_validate (e, &error));
      *(float *) encoded_data (e, cases[i].component, NULL) = cases[i].number;
      g_assert_true (encoded_validate (e, &error) == cases[i].good);
      if (!cases[i].good)
        g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nf4/golden", test_golden);
  g_test_add_func ("/nf4/example", test_example);
  g_test_add_func ("/nf4/fp4", test_fp4);
  g_test_add_func ("/nf4/nested-example", test_nested_example);
  g_test_add_func ("/nf4/tiles", test_tiles);
  g_test_add_func ("/nf4/nesting", test_nesting);
  g_test_add_func ("/nf4/adopt", test_adopt);
  g_test_add_func ("/nf4/stack", test_stack);
  g_test_add_func ("/nf4/errors", test_errors);
  g_test_add_func ("/nf4/refused", test_refused);
  g_test_add_func ("/nf4/validate", test_validate);
  return g_test_run ();
}
