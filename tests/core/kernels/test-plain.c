/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests conversions, measures and decoding of 4-bit codes: known values, then every level against the reference. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

static void
convert (const QconvKernelLevel *level, QconvDType from, gconstpointer src, QconvDType to, gpointer dst, gsize n)
{
  QconvBuffer a = QCONV_BUFFER (src, n * qconv_dtype_bits (from) / 8, from);
  QconvBuffer b = QCONV_BUFFER (dst, n * qconv_dtype_bits (to) / 8, to);

  KERNEL_RUN (level, "convert", QCONV_BUF (&a), QCONV_BUF (&b));
}

/* Tests against the compiler's own arithmetic and the definitions of the formats */
static void
test_small_formats (const QconvKernelLevel *level)
{
  guint8 bytes[256];
  float e4m3[256], e5m2[256], e8m0[256];

  for (guint i = 0; i < 256; i++)
    bytes[i] = (guint8) i;
  convert (level, QCONV_F8_E4M3, bytes, QCONV_F32, e4m3, 256);
  convert (level, QCONV_F8_E5M2, bytes, QCONV_F32, e5m2, 256);
  convert (level, QCONV_F8_E8M0, bytes, QCONV_F32, e8m0, 256);
  for (guint i = 0; i < 256; i++)
    {
      gint sign = i & 128 ? -1 : 1, e = (gint) i >> 3 & 15, m = (gint) i & 7;
      double fine = e == 0 ? ldexp (m, -9) : ldexp (8 + m, e - 10);

      if ((i & 127) == 127)
        g_assert_true (isnan (e4m3[i]));
      else
        g_assert_cmpfloat (e4m3[i], ==, sign * fine);
      g_assert_true ((signbit (e4m3[i]) != 0) == (sign < 0));
      e = (gint) i >> 2 & 31;
      m = (gint) i & 3;
      if (e == 31)
        g_assert_true (m == 0 ? isinf (e5m2[i]) : isnan (e5m2[i]));
      else
        g_assert_cmpfloat (e5m2[i], ==, sign * (e == 0 ? ldexp (m, -16) : ldexp (4 + m, e - 17)));
      if (i == 255)
        g_assert_true (isnan (e8m0[i]));
      else
        g_assert_cmpfloat (e8m0[i], ==, ldexp (1, (gint) i - 127));
    }
}

/* Tests every F16 and every BF16, there and back */
static void
test_halves (const QconvKernelLevel *level)
{
  static const QconvDType dtypes[] = { QCONV_F16, QCONV_BF16 };
  g_autofree guint16 *half = g_new (guint16, 65536), *back = g_new (guint16, 65536);
  g_autofree float *wide = g_new (float, 65536);

  for (guint i = 0; i < 65536; i++)
    half[i] = (guint16) i;
  for (guint d = 0; d < 2; d++)
    {
      guint32 exponent = d == 0 ? 0x7c00 : 0x7f80, quiet = d == 0 ? 0x200 : 0x40;

      convert (level, dtypes[d], half, QCONV_F32, wide, 65536);
      convert (level, QCONV_F32, wide, dtypes[d], back, 65536);
      for (guint i = 0; i < 65536; i++)
        {
          gboolean nan = (i & 0x7fff) > exponent;

          g_assert_true ((isnan (wide[i]) != 0) == nan);
          g_assert_cmphex (back[i] | (nan ? quiet : 0), ==, i | (nan ? quiet : 0));
        }
    }
  convert (level, QCONV_F16, half, QCONV_F32, wide, 65536);
  for (guint i = 0; i < 0x7c00; i++)
    g_assert_cmpfloat (wide[i], ==,
                       i < 0x400 ? ldexp (i, -24) : ldexp (0x400 + (gint) (i & 0x3ff), (gint) (i >> 10) - 25));
}

static void
test_rounding (const QconvKernelLevel *level)
{
  static const float narrow[] = { 65504.0f, 65519.996f, 65520.0f, 0x1p-25f, 0x1.000002p-25f, 0x1.002p0f, 0x1.006p0f };
  static const guint16 f16[] = { 0x7bff, 0x7bff, 0x7c00, 0, 1, 0x3c00, 0x3c02 };
  static const float fine[] = { 0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, 3.4e38f };
  static const guint16 bf16[] = { 0x3f80, 0x3f82, 0x3f81, 0x7f80 };
  static const gint64 i64[] = { G_MININT64, -16777217, 16777217, 16777219, G_MAXINT64 };
  static const float of_i64[] = { -0x1p63f, -16777216.0f, 16777216.0f, 16777220.0f, 0x1p63f };
  static const guint64 u64[] = { 0, G_MAXUINT64, 0x8000008000000000, 0x8000008000000001 };
  static const float of_u64[] = { 0, 0x1p64f, 0x1p63f, 0x1.000002p63f };
  static const double f64[] = { 1e300, -1e-300, 0x1.0000010000001p0, 0x1.000001p0 };
  static const float of_f64[] = { INFINITY, -0.0f, 0x1.000002p0f, 1.0f };
  static const guint8 truths[] = { 0, 1, 255 };
  static const float of_truths[] = { 0, 1, 1 };
  guint16 half[8];
  float wide[8];

  convert (level, QCONV_F32, narrow, QCONV_F16, half, 7);
  g_assert_cmpmem (half, sizeof f16, f16, sizeof f16);
  convert (level, QCONV_F32, fine, QCONV_BF16, half, 4);
  g_assert_cmpmem (half, sizeof bf16, bf16, sizeof bf16);
  convert (level, QCONV_I64, i64, QCONV_F32, wide, 5);
  g_assert_cmpmem (wide, sizeof of_i64, of_i64, sizeof of_i64);
  convert (level, QCONV_U64, u64, QCONV_F32, wide, 4);
  g_assert_cmpmem (wide, sizeof of_u64, of_u64, sizeof of_u64);
  convert (level, QCONV_F64, f64, QCONV_F32, wide, 4);
  g_assert_cmpmem (wide, sizeof of_f64, of_f64, sizeof of_f64);
  convert (level, QCONV_BOOL, truths, QCONV_F32, wide, 3);
  g_assert_cmpmem (wide, sizeof of_truths, of_truths, sizeof of_truths);
}

/* Tests random bits of every dtype at every short length, one item off the allocation's alignment */
static void
test_convert_levels (const QconvKernelLevel *level)
{
  static const QconvDType floats[] = { QCONV_F64, QCONV_F32, QCONV_F16, QCONV_BF16 };
  guint64 state = 9;

  for (QconvDType from = QCONV_F64; from <= QCONV_BOOL; from++)
    for (guint t = 0; t < G_N_ELEMENTS (floats); t++)
      for (gsize n = 1; n < 1100; n += n < 70 ? 1 : 513)
        {
          gsize item = qconv_dtype_bits (from) / 8, bytes = n * qconv_dtype_bits (floats[t]) / 8;
          g_autofree guint8 *src = g_malloc (item * (n + 1)), *want = g_malloc (bytes), *got = g_malloc (bytes);

          if (!qconv_dtype_is_float (from) && floats[t] != QCONV_F32)
            continue;
          for (gsize i = 0; i < item * (n + 1); i++)
            src[i] = (guint8) kernel_random (&state);
          convert (qconv_kernel_levels (), from, src + item, floats[t], want, n);
          convert (level, from, src + item, floats[t], got, n);
          g_assert_cmpmem (got, bytes, want, bytes);
        }
}

static void
test_amax (const QconvKernelLevel *level)
{
  guint64 state = 13;

  for (guint d = 0; d < G_N_ELEMENTS (kernel_weight_dtypes); d++)
    for (gsize n = 0; n < 300; n += n < 70 ? 1 : 97)
      for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
        {
          QconvDType dtype = kernel_weight_dtypes[d];
          g_autofree float *wide = g_new0 (float, n + 1);
          g_autofree void *x = NULL;
          QconvBuffer src, dst;
          float top = 0, want = 0;

          kernel_fill (kind, wide, n, &state);
          x = kernel_narrow (dtype, wide, n);
          src = QCONV_BUFFER (x, n * qconv_dtype_bits (dtype) / 8, dtype);
          dst = QCONV_BUFFER (&top, sizeof top, QCONV_F32);
          convert (qconv_kernel_levels (), dtype, x, QCONV_F32, wide, n);
          for (gsize i = 0; i < n; i++)
            want = MAX (want, fabsf (wide[i]));
          KERNEL_RUN (level, "amax", QCONV_BUF (&src), QCONV_BUF (&dst));
          g_assert_cmpfloat (top, ==, want);
          top = INFINITY;
          KERNEL_RUN (level, "amax", QCONV_BUF (&src), QCONV_BUF (&dst));
          g_assert_true (isinf (top));
        }
}

static void
test_nonfinite (const QconvKernelLevel *level)
{
  static const QconvDType dtypes[] = { QCONV_F64, QCONV_F32, QCONV_F16, QCONV_BF16, QCONV_F8_E4M3, QCONV_F8_E5M2 };
  const gsize n = 70001;
  g_autofree guint8 *x = g_malloc (n * 8);
  g_autofree float *wide = g_new (float, n);
  guint64 state = 17;

  for (guint d = 0; d < G_N_ELEMENTS (dtypes); d++)
    for (guint all = 0; all < 2; all++)
      {
        guint64 count = 5, want = 5;
        QconvBuffer src = QCONV_BUFFER (x, n * qconv_dtype_bits (dtypes[d]) / 8, dtypes[d]);
        QconvBuffer dst = QCONV_BUFFER (&count, sizeof count, QCONV_U64);

        for (gsize i = 0; i < src.size; i++)
          x[i] = all ? 0xff : (guint8) (kernel_random (&state) % 3 == 0 ? 0x7f : kernel_random (&state));
        convert (qconv_kernel_levels (), dtypes[d], x, QCONV_F32, wide, n);
        for (gsize i = 0; i < n; i++)
          if (dtypes[d] == QCONV_F64)
            want += !isfinite (((const double *) x)[i]);
          else
            want += !isfinite (wide[i]);
        g_assert_cmpuint (want, >, 5);
        KERNEL_RUN (level, "nonfinite", QCONV_BUF (&src), QCONV_BUF (&dst));
        g_assert_cmpuint (count, ==, want);
      }
}

static void
error_sums (const QconvKernelLevel *level, const KernelMatrix *ref, const float *got, double sums[2])
{
  QconvBuffer a = kernel_matrix_buffer (ref), b = QCONV_BUFFER (got, ref->rows * ref->cols * 4, QCONV_F32);
  QconvBuffer c = QCONV_BUFFER (sums, 16, QCONV_F64);

  KERNEL_RUN (level, "squared-error", QCONV_BUF (&a), QCONV_BUF (&b), QCONV_BUF (&c), QCONV_I (ref->rows),
              QCONV_I (ref->cols));
}

static void
test_squared_error (const QconvKernelLevel *level)
{
  static const QconvDType dtypes[] = { QCONV_F64, QCONV_F32, QCONV_F16, QCONV_BF16 };
  const gsize rows = 3, most = 1100;
  g_autofree float *wide = g_new (float, rows *most), *got = g_new (float, rows *most);
  guint64 state = 19;

  kernel_fill (KERNEL_NORMAL, wide, rows * most, &state);
  kernel_fill (KERNEL_NORMAL, got, rows * most, &state);
  for (guint d = 0; d < G_N_ELEMENTS (dtypes); d++)
    for (gsize cols = 1; cols < most; cols += cols < 70 ? 1 : 333)
      {
        gsize item = qconv_dtype_bits (dtypes[d]) / 8;
        g_autofree guint8 *ref = g_malloc (rows * cols * item);
        double want[2] = { 1, 2 }, whole[2] = { 1, 2 }, tiled[2] = { 1, 2 }, plain = 1;

        convert (level, QCONV_F32, wide, dtypes[d], ref, rows * cols);
        error_sums (qconv_kernel_levels (), KERNEL_MATRIX (dtypes[d], ref, rows, cols), got, want);
        error_sums (level, KERNEL_MATRIX (dtypes[d], ref, rows, cols), got, whole);
        for (gsize r = 0; r < rows; r++)
          error_sums (level, KERNEL_MATRIX (dtypes[d], ref + r * cols * item, 1, cols), got + r * cols, tiled);
        g_assert_cmpmem (whole, sizeof whole, want, sizeof want);
        g_assert_cmpmem (tiled, sizeof tiled, want, sizeof want);
        for (gsize i = 0; i < rows * cols && dtypes[d] == QCONV_F32; i++)
          plain += ((double) wide[i] - (double) got[i]) * ((double) wide[i] - (double) got[i]);
        if (dtypes[d] == QCONV_F32)
          g_assert_cmpfloat_with_epsilon (plain, want[0], 1e-12);
      }
}

static const char *const decoders[] = { "nvfp4-decode", "nvfp4-decode-divided", "mxfp4-decode" };
enum { DIVIDED = 1, MX };

static float
decode_one (guint how, guint8 code, guint8 scale, float tensor_scale)
{
  static const float values[] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 0, -0.5f, -1, -1.5f, -2, -3, -4, -6 };

  if (how == MX)
    return (code == 8 ? -0.0f : 2 * values[code]) * (scale == 0 ? 0x1p-128f : ldexpf (1, scale - 128));
  if (how == DIVIDED)
    return (code == 8 ? -0.0f : values[code]) * (f32_of_e4m3 (scale) / tensor_scale);
  return values[code] * (tensor_scale * f32_of_e4m3 (scale));
}

/* Tests all codes with all scales at all lengths */
static void
test_decode (const QconvKernelLevel *level)
{
  const gsize rows = 7;
  const float tensor_scale = 0.3f;
  guint64 state = 23;

  for (guint how = 0; how < G_N_ELEMENTS (decoders); how++)
    for (gsize cols = 1; cols < 2100; cols += cols < 70 ? 1 : 1013)
      {
        gsize block = how == MX ? 32 : 16, code_bytes = (cols + 1) / 2, blocks = (cols + block - 1) / block;
        g_autofree guint8 *codes = g_malloc (rows * code_bytes), *scales = g_malloc (rows * blocks);
        g_autofree float *out = g_new (float, rows *cols);
        QconvBuffer c = QCONV_BUFFER (codes, rows * code_bytes, QCONV_U4),
                    o = QCONV_BUFFER (out, rows * cols * 4, QCONV_F32);
        QconvBuffer s = QCONV_BUFFER (scales, rows * blocks, how == MX ? QCONV_F8_E8M0 : QCONV_F8_E4M3);
        QconvBuffer t = QCONV_BUFFER (&tensor_scale, 4, QCONV_F32);

        for (gsize i = 0; i < rows * code_bytes; i++)
          codes[i] = (guint8) kernel_random (&state);
        for (gsize i = 0; i < rows * blocks; i++)
          scales[i] = (guint8) (kernel_random (&state) % 5 == 0 ? 255 * (i % 2) : kernel_random (&state));
        if (how == MX)
          KERNEL_RUN (level, decoders[how], QCONV_BUF (&c), QCONV_BUF (&s), QCONV_BUF (&o), QCONV_I (rows),
                      QCONV_I (cols));
        else
          KERNEL_RUN (level, decoders[how], QCONV_BUF (&c), QCONV_BUF (&s), QCONV_BUF (&t), QCONV_BUF (&o),
                      QCONV_I (rows), QCONV_I (cols));
        for (gsize i = 0; i < rows * cols; i++)
          {
            gsize r = i / cols, k = i % cols;
            float want = decode_one (how, codes[r * code_bytes + k / 2] >> (k % 2 * 4) & 15,
                                     scales[r * blocks + k / block], tensor_scale);

            g_assert_true (isnan (want) ? isnan (out[i]) : bits_of_f32 (want) == bits_of_f32 (out[i]));
          }
      }
}

/* Tests that unsuitable arguments are refused before memory is touched */
static void
test_refusals (const QconvKernelLevel *level)
{
  float x[16] = { 0 };
  guint8 y[8] = { 0 };
  QconvBuffer w = QCONV_BUFFER (x, 64, QCONV_F32), t = QCONV_BUFFER (x, 4, QCONV_F32);
  QconvBuffer codes = QCONV_BUFFER (y, 8, QCONV_U4), scales = QCONV_BUFFER (y, 1, QCONV_F8_E4M3);
  QconvBuffer bytes = QCONV_BUFFER (y, 8, QCONV_U8), half = QCONV_BUFFER (y, 8, QCONV_F16);
  const struct {
    const char *op;
    QconvArg args[6];
  } bad[] = {
    { "nvfp4-encode-rtn",
      { QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&t), QCONV_I (2), QCONV_I (16) } },
    { "nvfp4-encode-rtn",
      { QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&t), QCONV_I (1), QCONV_I (17) } },
    { "nvfp4-encode-rtn",
      { QCONV_BUF (&w), QCONV_BUF (&bytes), QCONV_BUF (&scales), QCONV_BUF (&t), QCONV_I (1), QCONV_I (16) } },
    { "nvfp4-encode-search",
      { QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&t), QCONV_I (-1), QCONV_I (16) } },
    { "nvfp4-encode-search",
      { QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&t), QCONV_I (G_MAXINT64), QCONV_I (16) } },
    { "nvfp4-decode",
      { QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&t), QCONV_BUF (&w), QCONV_I (1 << 30),
        QCONV_I (1ll << 40) } },
    { "mxfp4-decode", { QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&w), QCONV_I (1), QCONV_I (16) } },
    { "convert", { QCONV_BUF (&w), QCONV_BUF (&half) } },
    { "convert", { QCONV_BUF (&bytes), QCONV_BUF (&half) } },
    { "amax", { QCONV_BUF (&codes), QCONV_BUF (&t) } },
    { "nonfinite", { QCONV_BUF (&w), QCONV_BUF (&t) } },
    { "squared-error", { QCONV_BUF (&w), QCONV_BUF (&w), QCONV_BUF (&t), QCONV_I (1), QCONV_I (16) } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (kernel_try (level, bad[i].op, bad[i].args, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (plain)
{
  kernel_add_tests ("/plain/small-formats", test_small_formats);
  kernel_add_tests ("/plain/halves", test_halves);
  kernel_add_tests ("/plain/rounding", test_rounding);
  kernel_add_tests ("/plain/convert", test_convert_levels);
  kernel_add_tests ("/plain/amax", test_amax);
  kernel_add_tests ("/plain/nonfinite", test_nonfinite);
  kernel_add_tests ("/plain/squared-error", test_squared_error);
  kernel_add_tests ("/plain/decode", test_decode);
  kernel_add_tests ("/plain/refusals", test_refusals);
}
