/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the encoder of svdq_fp4 and svdq_int4: its errors against those of codes alone and of the first product, the
   numbers that files can hold, weights without a product, and odd shapes. */
#include <math.h>
#include <string.h>

#include "kernels/numbers.h"
#include "quantizer-driver.h"
#include "random-weights.h"
#include "small.h"

const QconvPlugin *qconv_plugin_nunchaku (void);

static const gboolean schemes[] = { TRUE, FALSE };

static Encoded *
encoded (gboolean fp4, const char *options, QconvDType dtype, gconstpointer weights, guint64 rows, guint64 cols)
{
  Encoded *e = encoded_must_new (driver_quantizer (qconv_plugin_nunchaku (), fp4 ? "svdq_fp4" : "svdq_int4"), options,
                                 dtype, rows, cols);

  encoded_drop (e, "row_scale"); /* no encoder makes it, and core drops it then */
  encoded_must_encode (e, weights, 0);
  g_assert_true (encoded_validate (e, NULL));
  return e;
}

static double
error_of (gboolean fp4, const char *options, const float *weights, guint64 rows, guint64 cols)
{
  g_autoptr (Encoded) e = encoded (fp4, options, QCONV_F32, weights, rows, cols);
  g_autofree float *back = encoded_must_decode (e, 0);

  return driver_relative_error (QCONV_F32, weights, back, rows, cols);
}

/* Returns: (transfer full): [side, side] whose singular value number i is i^-0.5. The vectors are those of two cosine
   transforms, so they are orthogonal; signs make the items look random */
static float *
power_law (gsize side)
{
  g_autofree float *signs = random_weights (RANDOM_GAUSSIAN, 2, side, 5);
  float *w = g_new0 (float, side *side);

  for (gsize i = 0; i < side; i++)
    for (gsize row = 0; row < side; row++)
      {
        double u = cos (G_PI * ((double) row + 0.5) * (double) i / (double) side) * (signs[row] < 0 ? -1 : 1);

        u *= (i == 0 ? sqrt (0.5) : 1.0) / sqrt ((double) i + 1.0);
        for (gsize col = 0; col < side; col++)
          w[row * side + col]
              += (float) (0.02 * u
                          * cos (G_PI * ((double) col + 0.5) * ((double) ((i * 7 + 3) % side) + 0.0) / (double) side)
                          * (signs[side + col] < 0 ? -1 : 1));
      }
  return w;
}

/* The shares of the error of the first product that six rounds leave, for a flat and for a decaying spectrum, and those
   of the error that a product of twice the rank leaves */
static void
test_rounds (void)
{
  gsize side = test_is_small () ? 128 : 256;
  g_autofree float *flat = random_weights (RANDOM_GAUSSIAN, side, side, 3), *steep = power_law (side);
  const float *const both[] = { flat, steep };

  for (guint i = 0; i < G_N_ELEMENTS (schemes) * G_N_ELEMENTS (both); i++)
    {
      const float *w = both[i / 2];
      double first = error_of (schemes[i % 2], "rank=32,rounds=0", w, side, side);
      double last = error_of (schemes[i % 2], "rank=32", w, side, side);
      double wide = error_of (schemes[i % 2], "rank=64", w, side, side);
      double rtn = error_of (schemes[i % 2], "rank=32,rounds=0,effort=rtn", w, side, side);

      g_test_message ("%s, spectrum %u: first %.3e, last %.3e, rank 64 %.3e, rtn %.3e", schemes[i % 2] ? "FP4" : "INT4",
                      i / 2, first, last, wide, rtn);
      g_assert_cmpfloat (last, <, first * 0.85);
      g_assert_cmpfloat (wide, <, last * 0.8);
      g_assert_cmpfloat (first, <, rtn);
    }
}

/* FP4 holds these weights exactly, which no product may make worse */
static void
test_never_worse (void)
{
  static const float levels[] = { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f };
  g_autofree float *w = g_new (float, 64 * 128), *signs = random_weights (RANDOM_GAUSSIAN, 64, 128, 9);

  for (gsize i = 0; i < 64 * 128; i++)
    w[i] = i % 16 == 0 ? 6.0f * 448.0f : levels[(i * 5 + i / 16) % 8] * 448.0f * (signs[i] < 0 ? -1.0f : 1.0f);
  g_assert_cmpfloat (error_of (TRUE, NULL, w, 64, 128), ==, 0.0);
}

/* ---- Numbers in files ---- */

static void
assert_rounded (const Encoded *e, const char *name)
{
  gsize size = 0;
  const float *floats = encoded_data (e, name, &size);

  for (gsize i = 0; i < size / sizeof *floats; i++)
    g_assert_cmpfloat (floats[i], ==, f32_of_bf16 (bf16_of_f32 (floats[i])));
}

static void
assert_ones (const Encoded *e, const char *name)
{
  gsize size = 0;
  const float *floats = encoded_data (e, name, &size);

  g_assert_cmpuint (size, >, 0);
  for (gsize i = 0; i < size / sizeof *floats; i++)
    g_assert_cmpfloat (floats[i], ==, 1.0f);
}

/* Tests what files hold: BF16 numbers, no code 8, scales with a positive sign. The encoder replaces code 8 in pieces of
   32 KiB */
static void
test_numbers (void)
{
  enum { ROWS = 272, COLS = 256 };
  g_autofree float *w = random_weights (RANDOM_STUDENT, ROWS, COLS, 4);

  memset (w, 0, 1000 * sizeof *w);
  w[3] = -1e-9f;
  for (guint i = 0; i < G_N_ELEMENTS (schemes); i++)
    {
      static const char *const names[]
          = { "lora_up", "lora_down", "tensor_scale", "group_scale", "smooth", "smooth_orig" };
      g_autoptr (Encoded) e = encoded (schemes[i], NULL, QCONV_F32, w, ROWS, COLS);
      gsize n = 0;
      const guint8 *codes = encoded_data (e, "codes", &n), *scales;

      for (guint k = 0; k < G_N_ELEMENTS (names); k++)
        if (encoded_data (e, names[k], NULL) != NULL)
          assert_rounded (e, names[k]);
      assert_ones (e, "smooth");
      assert_ones (e, "smooth_orig");
      for (gsize k = 0; k < n; k++)
        g_assert_true ((codes[k] & 15) != 8 && codes[k] >> 4 != 8);
      scales = encoded_data (e, "block_scale", &n);
      for (gsize k = 0; scales != NULL && k < n; k++)
        g_assert_cmpuint (scales[k], <, 0x7f);
    }
}

/* Tests that BF16 weights and the same numbers as F32 give the same bytes */
static void
test_narrow (void)
{
  g_autofree float *w = random_weights (RANDOM_GAUSSIAN, 128, 128, 6);
  g_autofree guint16 *halves = g_new (guint16, 128 * 128);

  for (gsize i = 0; i < 128 * 128; i++)
    {
      halves[i] = bf16_of_f32 (w[i]);
      w[i] = f32_of_bf16 (halves[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (schemes); i++)
    {
      static const char *const names[] = { "codes", "lora_up", "lora_down" };
      g_autoptr (Encoded) wide = encoded (schemes[i], NULL, QCONV_F32, w, 128, 128);
      g_autoptr (Encoded) narrow = encoded (schemes[i], NULL, QCONV_BF16, halves, 128, 128);

      for (guint k = 0; k < G_N_ELEMENTS (names); k++)
        {
          gsize n, m;
          gconstpointer a = encoded_data (wide, names[k], &n), b = encoded_data (narrow, names[k], &m);

          g_assert_cmpmem (a, n, b, m);
        }
    }
}

/* Tests that two threads, which a small test leaves out, and five give the bytes of one: blocks, products and chunks of
   Gram matrices end within the layer */
static void
test_threads (void)
{
  enum { ROWS = 1100, COLS = 320 };
  static const char *const names[] = { "codes", "lora_up", "lora_down" };
  g_autofree float *w = random_weights (RANDOM_GAUSSIAN, ROWS, COLS, 8);

  for (guint i = test_is_small () ? 2 : 0; i < G_N_ELEMENTS (schemes) * 2; i++)
    {
      gboolean fp4 = schemes[i % 2];
      g_autoptr (Encoded) one = encoded (fp4, "rank=16,rounds=2", QCONV_F32, w, ROWS, COLS);
      g_autoptr (Encoded) more
          = encoded_must_new (driver_quantizer (qconv_plugin_nunchaku (), fp4 ? "svdq_fp4" : "svdq_int4"),
                              "rank=16,rounds=2", QCONV_F32, ROWS, COLS);

      encoded_drop (more, "row_scale");
      encoded_use_threads (more, i < 2 ? 2 : 5);
      encoded_must_encode (more, w, 0);
      for (guint k = 0; k < G_N_ELEMENTS (names); k++)
        {
          gsize n, m;
          gconstpointer a = encoded_data (one, names[k], &n), b = encoded_data (more, names[k], &m);

          g_assert_cmpmem (a, n, b, m);
        }
    }
}

static void
test_zeros (void)
{
  g_autofree float *w = g_new0 (float, 128 * 128);

  for (guint i = 0; i < G_N_ELEMENTS (schemes); i++)
    {
      g_autoptr (Encoded) e = encoded (schemes[i], NULL, QCONV_F32, w, 128, 128);
      g_autofree float *back = encoded_must_decode (e, 0);

      assert_ones (e, schemes[i] ? "tensor_scale" : "group_scale");
      g_assert_cmpmem (back, 128 * 128 * sizeof *back, w, 128 * 128 * sizeof *w);
    }
}

/* Tests ranks above the smaller side, which leave columns of zeros, and few rows */
static void
test_shapes (void)
{
  static const guint64 shapes[][2] = { { 1, 64 }, { 3, 128 }, { 16, 64 }, { 200, 64 }, { 33, 192 } };

  for (guint i = 0; i < G_N_ELEMENTS (shapes) * G_N_ELEMENTS (schemes); i++)
    {
      const guint64 *shape = shapes[i / 2];
      g_autofree float *w = random_weights (RANDOM_GAUSSIAN, shape[0], shape[1], i);

      /* A product of full rank holds all but its rounding */
      g_assert_cmpfloat (error_of (schemes[i % 2], "rank=64", w, shape[0], shape[1]), <, 1e-3);
    }
}

/* Tests factors of so many rows that they are put into order piece by piece: the product holds these weights, whatever
   the codes hold */
static void
test_pieces (void)
{
  static const guint64 shapes[][2] = { { 64, 8256 }, { 8200, 64 } };

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    {
      const gsize rows = shapes[i][0], cols = shapes[i][1];
      g_autofree float *left = random_weights (RANDOM_GAUSSIAN, rows, 1, 1), *w = g_new (float, rows *cols);
      g_autofree float *right = random_weights (RANDOM_GAUSSIAN, 1, cols, 2);

      for (gsize k = 0; k < rows * cols; k++)
        w[k] = left[k / cols] * right[k % cols];
      g_assert_cmpfloat (error_of (i == 0, "rounds=0,effort=rtn", w, rows, cols), <, 1e-5);
    }
}

/* Tests the largest rank, with which the steps cannot have more columns than that */
static void
test_largest_rank (void)
{
  const QconvQuantizer *q = driver_quantizer (qconv_plugin_nunchaku (), "svdq_fp4");
  g_autoptr (Encoded) e = encoded_must_new (q, "rank=1024", QCONV_BF16, 1152, 1152);
  QconvWork work = { 0 };

  q->encoders[0]->work (q, encoded_layer (e), &work);
  g_assert_cmpuint (work.scratch, >, qconv_low_rank_scratch (1152, 1152, 1024));
  g_assert_cmpuint (work.scratch, <, 64 << 20);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nunchaku/encode/rounds", test_rounds);
  g_test_add_func ("/nunchaku/encode/never-worse", test_never_worse);
  g_test_add_func ("/nunchaku/encode/numbers", test_numbers);
  g_test_add_func ("/nunchaku/encode/narrow", test_narrow);
  g_test_add_func ("/nunchaku/encode/threads", test_threads);
  g_test_add_func ("/nunchaku/encode/zeros", test_zeros);
  g_test_add_func ("/nunchaku/encode/shapes", test_shapes);
  g_test_add_func ("/nunchaku/encode/pieces", test_pieces);
  g_test_add_func ("/nunchaku/encode/largest-rank", test_largest_rank);
  return g_test_run ();
}
