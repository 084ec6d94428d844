/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests FP8 and MXFP8: every level against the reference, the reference against all codes, and the counts of
   magnitudes. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

static const QconvDType code_dtypes[] = { QCONV_F8_E4M3, QCONV_F8_E5M2 };

static float
value_of (QconvDType dtype, guint8 code)
{
  return dtype == QCONV_F8_E4M3 ? f32_of_e4m3 (code) : f32_of_e5m2 (code);
}

static guint8
largest_code (QconvDType dtype)
{
  return dtype == QCONV_F8_E4M3 ? 0x7e : 0x7b;
}

/* Returns memory of exactly @n bytes, so that a sanitizer finds writes behind it */
static guint8 *
filled (gsize n)
{
  return memset (g_malloc (n), 0xaa, n);
}

/* ---- The reference ---- */

static guint8 *
encode (const QconvKernelLevel *level, const KernelMatrix *m, QconvDType codes_dtype, float scale)
{
  guint8 *out = filled (m->rows * m->cols);
  QconvBuffer w = kernel_matrix_buffer (m), codes = QCONV_BUFFER (out, m->rows * m->cols, codes_dtype);
  QconvBuffer s = QCONV_BUFFER (&scale, 4, QCONV_F32);

  KERNEL_RUN (level, "fp8-encode", QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&s), QCONV_I (m->rows),
              QCONV_I (m->cols));
  return out;
}

/* Tests each number of the format, the middle to the next one, and both neighbours of that middle */
static void
test_all_codes (const QconvKernelLevel *level)
{
  for (guint d = 0; d < G_N_ELEMENTS (code_dtypes); d++)
    for (guint8 code = 0; code <= largest_code (code_dtypes[d]); code++)
      {
        float x = value_of (code_dtypes[d], code);
        float next = code < largest_code (code_dtypes[d]) ? value_of (code_dtypes[d], code + 1) : 2 * x;
        guint8 up = MIN (code + 1, largest_code (code_dtypes[d]));
        float middle = (x + next) / 2;
        float w[] = { x, middle, nextafterf (middle, 0.0f), nextafterf (middle, INFINITY), -x, -middle };
        const guint8 want[]
            = { code, code % 2 == 0 ? code : up, code, up, code | 0x80, (code % 2 == 0 ? code : up) | 0x80 };
        g_autofree guint8 *got = encode (level, KERNEL_MATRIX (QCONV_F32, w, 1, 6), code_dtypes[d], 1.0f);

        g_assert_cmpmem (got, 6, want, 6);
      }
}

/* Tests that nothing becomes Inf or NaN, with any scale, and that levels agree about it */
static void
test_saturation (const QconvKernelLevel *level)
{
  static const float scales[] = { 1.0f, 0.0f, 1e-45f, 1e38f, INFINITY, NAN };
  static const float edges[] = { 0.0f,     -0.0f, 1e-45f,  464.0f,   465.0f,    480.0f, 61439.0f,
                                 61440.0f, -1e9f, 3.4e38f, INFINITY, -INFINITY, NAN,    -NAN };
  float w[7 * G_N_ELEMENTS (edges)];

  for (guint k = 0; k < G_N_ELEMENTS (w); k++)
    w[k] = edges[k % G_N_ELEMENTS (edges)];
  for (guint d = 0; d < G_N_ELEMENTS (code_dtypes); d++)
    for (guint i = 0; i < G_N_ELEMENTS (scales); i++)
      {
        const KernelMatrix m = { QCONV_F32, w, 1, G_N_ELEMENTS (w) };
        g_autofree guint8 *got = encode (level, &m, code_dtypes[d], scales[i]);
        g_autofree guint8 *want = encode (qconv_kernel_levels (), &m, code_dtypes[d], scales[i]);

        for (guint k = 0; k < G_N_ELEMENTS (w); k++)
          g_assert_cmphex (got[k] & 0x7f, <=, largest_code (code_dtypes[d]));
        g_assert_cmpmem (got, G_N_ELEMENTS (w), want, G_N_ELEMENTS (w));
      }
}

static void
test_decode (const QconvKernelLevel *level)
{
  const gsize rows = 6, cols = 43;
  guint8 codes[6 * 43];
  float scales[] = { 1.0f, 0.1f, 1e-40f, 3e38f, -2.0f, 0.0f }, out[6 * 43];

  for (guint i = 0; i < sizeof codes; i++)
    codes[i] = (guint8) i;
  for (guint d = 0; d < G_N_ELEMENTS (code_dtypes); d++)
    {
      QconvBuffer in = QCONV_BUFFER (codes, sizeof codes, code_dtypes[d]);
      QconvBuffer s = QCONV_BUFFER (scales, sizeof scales, QCONV_F32), dst = QCONV_BUFFER (out, sizeof out, QCONV_F32);

      /* tiles of 2 rows and 22 columns, of which the second is cut */
      KERNEL_RUN (level, "fp8-decode", QCONV_BUF (&in), QCONV_BUF (&s), QCONV_BUF (&dst), QCONV_I (rows),
                  QCONV_I (cols), QCONV_I (2), QCONV_I (22));
      for (gsize i = 0; i < rows * cols; i++)
        {
          float want = value_of (code_dtypes[d], codes[i]) * scales[i / cols / 2 * 2 + i % cols / 22];

          if (isnan (want))
            g_assert_true (isnan (out[i]));
          else
            g_assert_cmphex (bits_of_f32 (out[i]), ==, bits_of_f32 (want));
        }
    }
}

/* ---- Levels ---- */

/* Codes and scales of one operation */
typedef struct {
  guint8 *codes, *scales;
} Encoded;

static void
encoded_clear (Encoded *e)
{
  g_free (e->codes);
  g_free (e->scales);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Encoded, encoded_clear)

static void
encode_tiles (const QconvKernelLevel *level, const char *op, const KernelMatrix *m, gsize height, gsize width,
              Encoded *e)
{
  gsize rows = m->rows, cols = m->cols, n_scales = (rows + height - 1) / height * ((cols + width - 1) / width);
  QconvBuffer w = kernel_matrix_buffer (m), codes, scales;

  e->codes = filled (rows * cols);
  e->scales = filled (n_scales * sizeof (float));
  codes = QCONV_BUFFER (e->codes, rows * cols, QCONV_F8_E4M3);
  scales = QCONV_BUFFER (e->scales, n_scales * sizeof (float), QCONV_F32);
  KERNEL_RUN (level, op, QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_I (rows), QCONV_I (cols),
              QCONV_I (height), QCONV_I (width));
}

static void
encode_mx (const QconvKernelLevel *level, const KernelMatrix *m, Encoded *e)
{
  gsize rows = m->rows, cols = m->cols, n_scales = rows * ((cols + 31) / 32);
  QconvBuffer w = kernel_matrix_buffer (m), codes, scales;

  e->codes = filled (rows * cols);
  e->scales = filled (n_scales);
  codes = QCONV_BUFFER (e->codes, rows * cols, QCONV_F8_E4M3);
  scales = QCONV_BUFFER (e->scales, n_scales, QCONV_F8_E8M0);
  KERNEL_RUN (level, "mxfp8-encode", QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_I (rows),
              QCONV_I (cols));
}

static void
assert_equal_tiles (const QconvKernelLevel *level, const KernelMatrix *m, gsize height, gsize width)
{
  static const char *const ops[] = { "fp8-tile-encode-rtn", "fp8-tile-encode-search" };
  gsize rows = m->rows, cols = m->cols, n_scales = (rows + height - 1) / height * ((cols + width - 1) / width);

  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      g_auto (Encoded) want = { 0 }, got = { 0 };

      encode_tiles (qconv_kernel_levels (), ops[i], m, height, width, &want);
      encode_tiles (level, ops[i], m, height, width, &got);
      g_assert_cmpmem (got.codes, rows * cols, want.codes, rows * cols);
      g_assert_cmpmem (got.scales, n_scales * 4, want.scales, n_scales * 4);
      for (gsize k = 0; k < rows * cols; k++)
        g_assert_cmphex (got.codes[k] & 0x7f, !=, 0x7f);
    }
}

static void
assert_equal_mx (const QconvKernelLevel *level, const KernelMatrix *m)
{
  gsize rows = m->rows, cols = m->cols, n_scales = rows * ((cols + 31) / 32);
  g_autofree float *a = g_new (float, rows *cols), *b = g_new (float, rows *cols);
  g_auto (Encoded) want = { 0 }, got = { 0 };
  QconvBuffer codes, scales, dst = QCONV_BUFFER (a, rows * cols * 4, QCONV_F32);

  encode_mx (qconv_kernel_levels (), m, &want);
  encode_mx (level, m, &got);
  g_assert_cmpmem (got.codes, rows * cols, want.codes, rows * cols);
  g_assert_cmpmem (got.scales, n_scales, want.scales, n_scales);
  codes = QCONV_BUFFER (got.codes, rows * cols, QCONV_F8_E4M3);
  scales = QCONV_BUFFER (got.scales, n_scales, QCONV_F8_E8M0);
  KERNEL_RUN (level, "mxfp8-decode", QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&dst), QCONV_I (rows),
              QCONV_I (cols));
  for (gsize i = 0; i < rows * cols; i++)
    {
      guint8 e = got.scales[i / cols * ((cols + 31) / 32) + i % cols / 32];

      b[i] = f32_of_e4m3 (got.codes[i]) * (e == 0 ? 0.0f : f32_of_e8m0 (e));
    }
  g_assert_cmpmem (a, rows * cols * 4, b, rows * cols * 4);
}

static void
assert_equal_levels (const QconvKernelLevel *level, const KernelMatrix *m)
{
  static const float scales[] = { 1.0f, 0.02f / 448, 1e-12f, 1e30f };
  gsize n = m->rows * m->cols;

  for (guint i = 0; i < G_N_ELEMENTS (scales); i++)
    for (guint d = 0; d < G_N_ELEMENTS (code_dtypes); d++)
      {
        g_autofree guint8 *want = encode (qconv_kernel_levels (), m, code_dtypes[d], scales[i]);
        g_autofree guint8 *got = encode (level, m, code_dtypes[d], scales[i]);

        g_assert_cmpmem (got, n, want, n);
      }
  assert_equal_tiles (level, m, 1, m->cols);
  assert_equal_tiles (level, m, 8, 8);
  assert_equal_tiles (level, m, 3, 50);
  assert_equal_mx (level, m);
}

static void
test_kinds (const QconvKernelLevel *level)
{
  const gsize rows = 8, cols = 1040;
  g_autofree float *wide = g_new (float, rows *cols);
  guint64 state = 7;

  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    for (guint d = 0; d < 3; d++)
      {
        g_autofree void *w = NULL;

        kernel_fill (kind, wide, rows * cols, &state);
        w = kernel_narrow (kernel_weight_dtypes[d], wide, rows * cols);
        assert_equal_levels (level, KERNEL_MATRIX (kernel_weight_dtypes[d], w, rows, cols));
      }
}

/* Fills with a few mantissas in many octaves, times @unit: many scales are about as good as others, and estimates skip
   some weights */
static void
fill_with_octaves (float *w, gsize n, float unit, guint64 *state)
{
  for (gsize i = 0; i < n; i++)
    {
      guint32 r = kernel_random (state);
      float mantissa = 1.0f + (float) (r >> 8 & 3) / 128.0f;

      w[i] = (r & 0x80000000 ? -unit : unit) * mantissa * f32_of_bits ((127 - (r & 31)) << 23);
    }
}

/* Tests tiles that are large enough for estimates, within their range and outside */
static void
test_large_tiles (const QconvKernelLevel *level)
{
  static const float units[] = { 1.0f, 0.02f, 1e-4f, 1e-12f, 1e-30f, 1e29f, 1e31f, 1e38f };
  const gsize rows = 10, cols = 1040;
  g_autofree float *wide = g_new (float, rows *cols);
  guint64 state = 17;

  for (guint i = 0; i < G_N_ELEMENTS (units) + KERNEL_N_KINDS; i++)
    for (guint d = 0; d < 3; d++)
      {
        g_autofree void *w = NULL;
        KernelMatrix m = { kernel_weight_dtypes[d], NULL, rows, cols };

        if (i < G_N_ELEMENTS (units))
          fill_with_octaves (wide, rows * cols, units[i], &state);
        else
          kernel_fill (i - G_N_ELEMENTS (units), wide, rows * cols, &state);
        m.data = w = kernel_narrow (m.dtype, wide, rows * cols);
        assert_equal_tiles (level, &m, rows, cols);
        assert_equal_tiles (level, &m, 7, 600);
        assert_equal_tiles (level, &m, 1, cols);
      }
}

static void
check_tail (QconvDType dtype, gconstpointer weights, gsize cols, gconstpointer level)
{
  assert_equal_levels (level, KERNEL_MATRIX (dtype, weights, 3, cols));
}

static void
test_tails (const QconvKernelLevel *level)
{
  kernel_each_tail (3, check_tail, level);
}

/* Tests that the largest numbers of F32 and BF16 become finite ones, in whole blocks and in the rest of a row */
static void
test_largest_mx (const QconvKernelLevel *level)
{
  static const float largest[] = { FLT_MAX, 0x1.fep127f };
  float w[2 * 70];

  for (guint i = 0; i < G_N_ELEMENTS (w); i++)
    w[i] = largest[i % 2] * (i % 3 == 0 ? -1.0f : i % 3 == 1 ? 1.0f : 0x1p-3f);
  for (guint d = 0; d < 3; d += 2)
    {
      g_autofree void *narrow = kernel_narrow (kernel_weight_dtypes[d], w, G_N_ELEMENTS (w));
      const KernelMatrix m = { kernel_weight_dtypes[d], narrow, 2, 70 };
      g_auto (Encoded) e = { 0 };

      if (d > 0)
        for (guint i = 0; i < G_N_ELEMENTS (w); i++)
          ((guint16 *) narrow)[i] = i % 2 == 0 ? 0x7f7f : 0xff7f;
      assert_equal_mx (level, &m);
      encode_mx (level, &m, &e);
      for (guint i = 0; i < 6; i++)
        g_assert_cmpuint (e.scales[i], ==, 247);
      for (guint i = 0; i < G_N_ELEMENTS (w); i++)
        g_assert_cmphex (e.codes[i] & 0x7f, <=, 0x77);
    }
}

/* ---- Magnitudes ---- */

static void
test_magnitudes (const QconvKernelLevel *level)
{
  const gsize n = 5003;
  g_autofree float *wide = g_new (float, n);
  g_autofree guint32 *want = g_new (guint32, 2 + 32768), *got = g_new (guint32, 2 + 32768);
  guint64 state = 13;

  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    for (guint d = 0; d < 3; d++)
      {
        QconvDType dtype = kernel_weight_dtypes[d];
        g_autofree void *w = NULL;
        QconvBuffer in, out = QCONV_BUFFER (got, (2 + 32768) * 4, QCONV_F32);

        kernel_fill (kind, wide, n, &state);
        w = kernel_narrow (dtype, wide, n);
        memset (want, 0, (2 + 32768) * 4);
        memset (got, 0, (2 + 32768) * 4);
        for (gsize i = 0; i < n; i++)
          {
            float x = d == 0 ? wide[i] : d == 1 ? f32_of_f16 (((guint16 *) w)[i]) : f32_of_bf16 (((guint16 *) w)[i]);

            want[0] = MAX (want[0], bits_of_f32 (fabsf (x)));
            want[1] |= d == 1 ? 1 : f32_of_bf16 (bf16_of_f32 (x)) == x ? 0 : 2;
            want[2 + ((d == 1 ? ((guint16 *) w)[i] : bf16_of_f32 (x)) & 0x7fff)]++;
          }
        in = QCONV_BUFFER (w, n * qconv_dtype_bits (dtype) / 8, dtype);
        KERNEL_RUN (level, "magnitudes", QCONV_BUF (&in), QCONV_BUF (&out));
        g_assert_cmpmem (got, (2 + 32768) * 4, want, (2 + 32768) * 4);
        KERNEL_RUN (level, "magnitudes", QCONV_BUF (&in), QCONV_BUF (&out));
        g_assert_cmpuint (got[2 + 0x3c23], ==, 2 * want[2 + 0x3c23]);
      }
}

/* Tests that NaN of any payload never counts beyond the last counter */
static void
test_magnitudes_of_nan (const QconvKernelLevel *level)
{
  guint32 w[] = { 0x7fffffff, 0xffffffff, 0x7f800001, 0x7f7fffff };
  g_autofree guint8 *counts = g_malloc0 ((2 + 32768) * 4);
  QconvBuffer in = QCONV_BUFFER (w, sizeof w, QCONV_F32), out = QCONV_BUFFER (counts, (2 + 32768) * 4, QCONV_F32);
  guint32 last;

  KERNEL_RUN (level, "magnitudes", QCONV_BUF (&in), QCONV_BUF (&out));
  memcpy (&last, counts + (2 + 0x7f80) * 4, sizeof last);
  g_assert_cmpuint (last, ==, 2); /* the largest number is rounded up, and the NaN of the smallest payload */
}

KERNEL_TESTS (fp8)
{
  kernel_add_tests ("/fp8/all-codes", test_all_codes);
  kernel_add_tests ("/fp8/saturation", test_saturation);
  kernel_add_tests ("/fp8/decode", test_decode);
  kernel_add_tests ("/fp8/kinds", test_kinds);
  kernel_add_tests ("/fp8/large-tiles", test_large_tiles);
  kernel_add_tests ("/fp8/tails", test_tails);
  kernel_add_tests ("/fp8/largest-mx", test_largest_mx);
  kernel_add_tests ("/fp8/magnitudes", test_magnitudes);
  kernel_add_tests ("/fp8/magnitudes-of-nan", test_magnitudes_of_nan);
}
