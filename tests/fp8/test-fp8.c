/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests fp8, fp8_row and fp8_block: golden bytes, worked examples, the gain of the search, edges. */
#include <math.h>
#include <string.h>

#include "comfy-golden.h"
#include "kernel-fixture.h"
#include "kernels/numbers.h"
#include "quantizer-driver.h"
#include "random-weights.h"

const QconvPlugin *qconv_plugin_fp8 (void);

static const char *const schemes[] = { "fp8", "fp8_row", "fp8_block" };

static const char *
scales_of (const char *scheme)
{
  return strcmp (scheme, "fp8") == 0 ? "tensor_scale" : strcmp (scheme, "fp8_row") == 0 ? "row_scale" : "block_scale";
}

static Encoded *
encode (const char *scheme, const char *options, const KernelMatrix *w, guint64 tile_rows)
{
  g_autoptr (GError) error = NULL;
  Encoded *e
      = encoded_new (driver_quantizer (qconv_plugin_fp8 (), scheme), options, w->dtype, w->rows, w->cols, &error);

  g_assert_no_error (error);
  encoded_encode (e, w->data, tile_rows, &error);
  g_assert_no_error (error);
  return e;
}

static double
error_of (const Encoded *e, gconstpointer weights)
{
  const QconvLayer *l = encoded_layer (e);
  g_autofree float *floats = encoded_must_decode (e, 0);

  return driver_relative_error (l->dtype, weights, floats, l->rows, l->cols);
}

static float *
scales (const Encoded *e)
{
  return encoded_data (e, scales_of (encoded_layer (e)->scheme), NULL);
}

/* ---- Golden bytes ---- */

typedef struct {
  const char *prefix, *mode, *scheme, *options;
  guint least;
} Golden;
static const Golden goldens[] = {
  { "float8_e4m3fn.", "Q", "fp8", "effort=rtn", 5 },
  { "float8_e5m2.", "Q", "fp8", "effort=rtn,dtype=e5m2", 3 },
  { "float8_e4m3fn_rowwise.", "X", "fp8_row", "effort=rtn", 5 },
  { "float8_e4m3fn_blockwise.", "X", "fp8_block", "effort=rtn", 0 },
};
static const Golden *current;

/* Compares with golden bytes. Golden scales are stored as F32, in rows of tiles */
static void
check_golden (const ComfyGolden *g)
{
  const QconvQuantizer *q = driver_quantizer (qconv_plugin_fp8 (), current->scheme);
  guint64 height = strcmp (current->scheme, "fp8_block") == 0 ? 64 : 5;
  g_autoptr (Encoded) e
      = encode (current->scheme, current->options, KERNEL_MATRIX (g->dtype, g->source->data, g->rows, g->cols), height);
  const GoldenTensor *codes = comfy_golden_tensor (g, "weight"), *stored = comfy_golden_tensor (g, "weight_scale");
  const GoldenTensor *want = comfy_golden_tensor (g, "decoded");
  g_autofree float *decoded = encoded_must_decode (e, height);
  gsize size;
  const guint8 *got = encoded_data (e, "codes", &size);
  double bound, error = driver_relative_error (g->dtype, g->source->data, decoded, g->rows, g->cols);

  g_assert_false (g->informative);
  g_assert_cmpmem (got, size, codes->data, codes->size);
  got = encoded_data (e, scales_of (current->scheme), &size);
  g_assert_cmpmem (got, size, stored->data, stored->size);
  for (gsize i = 0; i < g->rows * g->cols; i++)
    {
      float a = decoded[i] + 0.0f, b = ((const float *) (gconstpointer) want->data)[i] + 0.0f;

      /* convert_to_quant's own decoder of rows divides by the factor whose reciprocal is stored */
      if (strcmp (current->scheme, "fp8_row") == 0)
        g_assert_cmpfloat (fabsf (a - b), <=, fabsf (b) * 0x1p-22f);
      else
        g_assert_cmphex (bits_of_f32 (a), ==, bits_of_f32 (b));
    }
  bound = q->bound (q, encoded_layer (e));
  g_test_message ("relative squared error %.3g, bound %.3g", error, bound);
  if (strcmp (g->variant, "tiny") != 0)
    g_assert_cmpfloat (error, <=, bound);
}

static void
test_golden (gconstpointer data)
{
  guint n;

  current = data;
  n = comfy_golden_each (current->prefix, current->mode, check_golden);
  g_test_message ("%u layers", n);
  g_assert_cmpuint (n, >=, current->least);
  if (n == 0)
    g_test_skip ("the repository carries no golden file of it");
}

/* ---- Worked examples ---- */

static void
test_example (void)
{
  static const guint8 e4m3[]
      = { 0xfe, 0xef, 0x75, 0xfb, 0xdd, 0x7a, 0xf8, 0x68, 0x7c, 0xf3, 0x72, 0xfd, 0xeb, 0x77, 0xfa, 0x00,
          0x7a, 0xf7, 0x6b, 0x7d, 0xf2, 0x73, 0xfc, 0xe8, 0x78, 0xfa, 0x5d, 0x7b, 0xf5, 0x6f, 0x7e, 0xf0 };
  static const guint8 e5m2[]
      = { 0xfb, 0xf3, 0x77, 0xfa, 0xeb, 0x79, 0xf8, 0x70, 0x7a, 0xf6, 0x75, 0xfb, 0xf2, 0x78, 0xf9, 0x00,
          0x79, 0xf8, 0x72, 0x7b, 0xf5, 0x76, 0xfa, 0xf0, 0x78, 0xf9, 0x6b, 0x7a, 0xf7, 0x73, 0x7b, 0xf4 };
  g_autoptr (Encoded) a = NULL, b = NULL, unit = NULL;
  float x[64];

  for (gint i = 0; i < 64; i++)
    x[i] = i < 48 ? (float) (i * 37 % 101 - 50) / 32.0f : 0.0f;
  a = encode ("fp8", "effort=rtn", KERNEL_MATRIX (QCONV_F32, x, 2, 32), 1);
  b = encode ("fp8", "effort=rtn,dtype=e5m2", KERNEL_MATRIX (QCONV_F32, x, 2, 32), 1);
  unit = encode ("fp8", "effort=rtn,range=unit", KERNEL_MATRIX (QCONV_F32, x, 2, 32), 1);
  g_assert_cmphex (bits_of_f32 (*scales (a)), ==, 0x3b649249);
  g_assert_cmphex (bits_of_f32 (*scales (b)), ==, 0x37e49249);
  g_assert_cmpfloat (*scales (unit), ==, 1.5625f);
  g_assert_cmpmem (encoded_data (a, "codes", NULL), 32, e4m3, sizeof e4m3);
  g_assert_cmpmem (encoded_data (b, "codes", NULL), 32, e5m2, sizeof e5m2);
  for (guint i = 0; i < 64; i++)
    g_assert_cmphex (((guint8 *) encoded_data (unit, "codes", NULL))[i] & 0x7f, <=, 0x38);
}

/* ---- The search ---- */

/* A part of a matrix: its upper left weight and its size */
typedef struct {
  guint64 row, col, height, width;
} Area;

/* Returns Σ(w − ŵ)² of the weights in @a. @cols: of the whole matrix */
static double
squared_error (const float *weights, const float *decoded, guint64 cols, const Area *a)
{
  double sum = 0.0;

  for (guint64 r = a->row; r < a->row + a->height; r++)
    for (guint64 c = a->col; c < a->col + a->width; c++)
      {
        double d = (double) weights[r * cols + c] - (double) decoded[r * cols + c];

        sum += d * d;
      }
  return sum;
}

/* Compares the search with round-to-nearest, tile by tile. The search compares sums in FP32, hence the margin. */
static void
assert_never_worse (const char *scheme, const char *options, const KernelMatrix *w, guint64 height, guint64 width)
{
  const guint64 rows = w->rows, cols = w->cols;
  g_autofree char *rtn_options = g_strjoin (",", "effort=rtn", options, NULL);
  g_autoptr (Encoded) rtn = encode (scheme, rtn_options, w, 0);
  g_autoptr (Encoded) searched = encode (scheme, options, w, 0);
  g_autofree float *a = encoded_must_decode (rtn, 0), *b = encoded_must_decode (searched, 0);
  g_autofree float *exact = g_new (float, rows *cols);
  QconvBuffer from = kernel_matrix_buffer (w);
  QconvBuffer to = { .data = (guint8 *) exact, .size = rows * cols * 4, .dtype = QCONV_F32 };

  KERNEL_RUN (qconv_kernel_levels (), "convert", QCONV_BUF (&from), QCONV_BUF (&to));
  for (guint64 r = 0; r < rows; r += height)
    for (guint64 c = 0; c < cols; c += width)
      {
        const Area tile = { r, c, height, width };
        double before = squared_error (exact, a, cols, &tile);
        double after = squared_error (exact, b, cols, &tile);

        g_assert_cmpfloat (after, <=, before * 1.00001);
      }
}

static void
test_never_worse (void)
{
  const guint64 rows = 64, cols = 192;
  g_autofree float *wide = g_new (float, rows *cols);
  guint64 state = 5;

  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    for (guint round = 0; round < (test_is_small () ? 1 : 4); round++)
      for (guint d = 0; d < 3; d++)
        {
          KernelMatrix m = { kernel_weight_dtypes[d], NULL, rows, cols }, small = { m.dtype, NULL, 5, 7 };
          g_autofree void *w = NULL;

          kernel_fill (kind, wide, rows * cols, &state);
          w = kernel_narrow (m.dtype, wide, rows * cols);
          m.data = small.data = w;
          assert_never_worse ("fp8", "dtype=e4m3", &m, rows, cols);
          assert_never_worse ("fp8", "dtype=e5m2", &m, rows, cols);
          assert_never_worse ("fp8", "range=unit", &m, rows, cols);
          assert_never_worse ("fp8", "dtype=e4m3", &small, 5, 7);
          assert_never_worse ("fp8_row", NULL, &m, 1, cols);
          assert_never_worse ("fp8_block", "block=16", &m, 16, 16);
        }
}

/* Errors that a scale for tensor, row and block reaches, in 10^-4 */
static const double reached[RANDOM_N_KINDS][3] = {
  [RANDOM_GAUSSIAN] = { 7.00, 6.24, 6.81 },
  [RANDOM_LAPLACE] = { 7.01, 5.98, 6.76 },
  [RANDOM_STUDENT] = { 7.00, 5.95, 6.71 },
  [RANDOM_COLUMNS] = { 7.00, 4.88, 6.30 },
};

static void
test_quality (void)
{
  const guint64 n = random_side ();

  for (RandomKind kind = 0; kind < RANDOM_N_KINDS; kind++)
    {
      g_autofree float *wide = random_weights (kind, n, n, 1);
      g_autofree void *w = kernel_narrow (QCONV_BF16, wide, n * n);

      for (guint s = 0; s < G_N_ELEMENTS (schemes); s++)
        {
          const char *block = s == 2 ? "block=128,effort=rtn" : "effort=rtn";
          g_autoptr (Encoded) rtn = encode (schemes[s], block, KERNEL_MATRIX (QCONV_BF16, w, n, n), 256);
          g_autoptr (Encoded) searched
              = encode (schemes[s], s == 2 ? "block=128" : NULL, KERNEL_MATRIX (QCONV_BF16, w, n, n), 256);
          double before = error_of (rtn, w) * 1e4, after = error_of (searched, w) * 1e4;

          g_test_message ("%s %s: rtn %.3fe-4, search %.3fe-4, %.2f %%", random_kind_names[kind], schemes[s], before,
                          after, 100 * (after / before - 1));
          g_assert_cmpfloat (after, <=, before);
          g_assert_cmpfloat (after, <=, reached[kind][s] * 1.01);
        }
    }
}

/* ---- Edges ---- */

static void
test_zeros (void)
{
  float w[64 * 64] = { 0 };

  w[3] = -0.0f;
  for (guint s = 0; s < G_N_ELEMENTS (schemes); s++)
    for (guint rtn = 0; rtn < 2; rtn++)
      {
        g_autoptr (Encoded) e
            = encode (schemes[s], rtn ? "effort=rtn" : NULL, KERNEL_MATRIX (QCONV_F32, w, 64, 64), 64);
        g_autofree float *floats = encoded_must_decode (e, 64);
        gsize n = s == 1 ? 64 : 1;

        for (gsize i = 0; i < n; i++)
          g_assert_cmpfloat (scales (e)[i], ==, 1.0f);
        for (guint i = 0; i < 64 * 64; i++)
          g_assert_cmpfloat (floats[i], ==, 0.0f);
      }
  w[64 * 63] = 2.0f;
  for (guint rtn = 0; rtn < 2; rtn++)
    {
      g_autoptr (Encoded) e = encode ("fp8_row", rtn ? "effort=rtn" : NULL, KERNEL_MATRIX (QCONV_F32, w, 64, 64), 7);
      const guint8 *codes = encoded_data (e, "codes", NULL);

      g_assert_cmpfloat (scales (e)[0], ==, 1.0f / (448.0f * (1.0f / 1e-12f)));
      g_assert_cmphex (codes[3], ==, 0x80);
      g_assert_cmphex (codes[2], ==, 0x00);
    }
}

/* Tests weights that the floor of the reference formula makes zero; the search keeps them */
static void
test_tiny (void)
{
  float w[64 * 64];
  guint64 state = 9;
  static const float powers[] = { 0x1p-100f, 0x1p-126f, 0x1p-133f };

  for (guint p = 0; p < G_N_ELEMENTS (powers); p++)
    for (guint s = 0; s < G_N_ELEMENTS (schemes); s++)
      {
        g_autoptr (Encoded) rtn = NULL, searched = NULL;

        for (guint i = 0; i < 64 * 64; i++)
          w[i] = powers[p] * (float) kernel_normal (&state);
        rtn = encode (schemes[s], "effort=rtn", KERNEL_MATRIX (QCONV_F32, w, 64, 64), 0);
        searched = encode (schemes[s], NULL, KERNEL_MATRIX (QCONV_F32, w, 64, 64), 0);
        g_assert_cmpfloat (error_of (rtn, w), ==, 1.0);
        g_assert_cmpfloat (error_of (searched, w), <, p < 2 ? 1e-3 : 1e-2);
      }
}

static void
assert_same_components (const Encoded *a, const Encoded *b)
{
  const char *names[] = { "codes", scales_of (encoded_layer (a)->scheme) };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      gsize n, m;
      const guint8 *x = encoded_data (a, names[i], &n), *y = encoded_data (b, names[i], &m);

      g_assert_cmpmem (x, n, y, m);
    }
}

/* Returns: (transfer full): [rows, cols] of F16. Weights are drawn for 101 rows only: their copies lie in other places
   of tiles and chunks, whose heights 101 does not divide */
static guint16 *
repeated_weights (guint64 rows, guint64 cols)
{
  const guint64 drawn = 101;
  g_autofree float *wide = random_weights (RANDOM_STUDENT, drawn, cols, 3);
  g_autofree guint16 *some = kernel_narrow (QCONV_F16, wide, drawn * cols);
  guint16 *all = g_new (guint16, rows * cols);

  for (guint64 row = 0; row < rows; row += drawn)
    memcpy (all + row * cols, some, MIN (drawn, rows - row) * cols * sizeof *all);
  return all;
}

/* Tests enough rows for several chunks, which the search cuts at another size. Only a scale per tensor has chunks, so a
   small test takes fewer rows for the others */
static void
test_tiles (void)
{
  const guint64 most = 4416, cols = 2048, heights[] = { 64, 704, 4096 };
  const guint n_heights = test_is_small () ? 1 : G_N_ELEMENTS (heights);
  g_autofree guint16 *w = repeated_weights (most, cols);

  for (guint s = 0; s < G_N_ELEMENTS (schemes); s++)
    {
      const guint64 rows = test_is_small () && s > 0 ? 704 : most;
      g_autoptr (Encoded) whole = encode (schemes[s], NULL, KERNEL_MATRIX (QCONV_F16, w, rows, cols), 0);
      g_autofree float *a = encoded_must_decode (whole, 0);

      for (guint i = 0; i < n_heights; i++)
        {
          g_autoptr (Encoded) e = encode (schemes[s], NULL, KERNEL_MATRIX (QCONV_F16, w, rows, cols), heights[i]);
          g_autofree float *b = encoded_must_decode (whole, heights[i]);

          assert_same_components (whole, e);
          g_assert_cmpmem (a, rows * cols * sizeof *a, b, rows * cols * sizeof *b);
        }
    }
}

static void
assert_refused (Encoded *e, const char *name, gconstpointer value, gsize n, gboolean refused)
{
  guint8 *data = encoded_data (e, name, NULL), before[4];
  g_autoptr (GError) error = NULL;

  memcpy (before, data, n);
  memcpy (data, value, n);
  g_assert_true (encoded_validate (e, &error) == !refused);
  if (refused)
    g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
  memcpy (data, before, n);
}

static void
test_validate (void)
{
  static const float bad[] = { NAN, INFINITY, -1.0f };
  static const struct {
    const char *scheme, *options;
    guint8 largest;
  } cases[] = {
    { "fp8", NULL, 0x7e }, { "fp8", "dtype=e5m2", 0x7b }, { "fp8_row", NULL, 0x7e }, { "fp8_block", "block=8", 0x7e }
  };
  float w[64], one = 1.0f, zero = 0.0f;

  for (guint i = 0; i < 64; i++)
    w[i] = (float) i;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Encoded) e = encode (cases[i].scheme, cases[i].options, KERNEL_MATRIX (QCONV_F32, w, 8, 8), 0);

      assert_refused (e, "input_scale", &zero, 4, TRUE);
      memcpy (encoded_data (e, "input_scale", NULL), &one, 4);
      assert_refused (e, scales_of (cases[i].scheme), &zero, 4, FALSE);
      for (guint k = 0; k < G_N_ELEMENTS (bad); k++)
        {
          assert_refused (e, scales_of (cases[i].scheme), &bad[k], 4, TRUE);
          assert_refused (e, "input_scale", &bad[k], 4, TRUE);
        }
      for (guint code = 0; code < 256; code++)
        assert_refused (e, "codes", &(guint8) { (guint8) code }, 1, (code & 0x7f) > cases[i].largest);
      encoded_drop (e, "input_scale");
      g_assert_true (encoded_validate (e, NULL));
    }
}

static void
test_shapes (void)
{
  static const struct {
    const char *scheme;
    guint64 rows, cols;
  } refused[] = { { "fp8", 0, 8 }, { "fp8_row", 8, 0 }, { "fp8_block", 64, 100 }, { "fp8_block", 100, 64 } };

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (encoded_new (driver_quantizer (qconv_plugin_fp8 (), refused[i].scheme), NULL, QCONV_F32,
                                  refused[i].rows, refused[i].cols, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (goldens); i++)
    {
      g_autofree char *path
          = g_strdup_printf ("/fp8/golden/%.*s", (int) strlen (goldens[i].prefix) - 1, goldens[i].prefix);

      g_test_add_data_func (path, &goldens[i], test_golden);
    }
  g_test_add_func ("/fp8/example", test_example);
  g_test_add_func ("/fp8/never-worse", test_never_worse);
  g_test_add_func ("/fp8/quality", test_quality);
  g_test_add_func ("/fp8/zeros", test_zeros);
  g_test_add_func ("/fp8/tiny", test_tiny);
  g_test_add_func ("/fp8/tiles", test_tiles);
  g_test_add_func ("/fp8/validate", test_validate);
  g_test_add_func ("/fp8/shapes", test_shapes);
  return g_test_run ();
}
