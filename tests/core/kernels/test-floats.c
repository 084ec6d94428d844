/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the conversions that plugins are offered: every code of the small types, special numbers, types that are
   refused. */
#include <math.h>
#include <string.h>

#include "kernels/numbers.h"
#include "qconv-numbers.h"

/* All numbers that a type of one or two bytes has must come back as the same bytes; NaN as a NaN, or in FP8 as the
   largest number */
static void
test_all_codes (void)
{
  static const struct {
    QconvDType dtype;
    guint n;
  } rows[] = { { QCONV_F16, 65536 }, { QCONV_BF16, 65536 }, { QCONV_F8_E4M3, 256 }, { QCONV_F8_E5M2, 256 } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gboolean small = rows[i].n == 256;
      g_autofree guint16 *codes = g_new (guint16, rows[i].n), *back = g_new0 (guint16, rows[i].n);
      g_autofree float *wide = g_new (float, rows[i].n);

      for (guint k = 0; k < rows[i].n; k++)
        if (small)
          ((guint8 *) codes)[k] = (guint8) k;
        else
          codes[k] = (guint16) k;
      g_assert_true (qconv_floats_from (rows[i].dtype, codes, rows[i].n, wide));
      g_assert_true (qconv_floats_to (rows[i].dtype, wide, rows[i].n, back));
      for (guint k = 0; k < rows[i].n; k++)
        if (isfinite (wide[k]) && small)
          g_assert_cmphex (((guint8 *) back)[k], ==, k);
        else if (!isnan (wide[k]) && !small)
          g_assert_cmphex (back[k], ==, k);
      g_assert_true (qconv_floats_from (rows[i].dtype, back, rows[i].n, wide));
      for (guint k = 0; k < rows[i].n; k++)
        g_assert_true (!small || isfinite (wide[k]));
    }
}

typedef struct {
  float from;
  guint16 f16, bf16;
  guint8 e4m3, e5m2;
} Row;

/* Ties go to the even code, FP8 saturates, halves do not */
static void
test_rounding (void)
{
  static const Row rows[] = {
    { 0.0f, 0, 0, 0, 0 },
    { -0.0f, 0x8000, 0x8000, 0x80, 0x80 },
    { 1.0f, 0x3c00, 0x3f80, 0x38, 0x3c },
    { -1.5f, 0xbe00, 0xbfc0, 0xbc, 0xbe },
    { 1.0625f, 0x3c40, 0x3f88, 0x38, 0x3c },     /* between 1 and 1.125 */
    { 1.1875f, 0x3cc0, 0x3f98, 0x3a, 0x3d },     /* between 1.125 and 1.25 */
    { 1.00390625f, 0x3c04, 0x3f80, 0x38, 0x3c }, /* between two BF16 */
    { 464.0f, 0x5f40, 0x43e8, 0x7e, 0x5f },      /* beyond 448 */
    { 1e5f, 0x7c00, 0x47c3, 0x7e, 0x7b },        /* beyond 65504 and 57344 */
    { -1e38f, 0xfc00, 0xfe96, 0xfe, 0xfb },
    { 3.4028234e38f, 0x7c00, 0x7f80, 0x7e, 0x7b }, /* the largest F32 rounds to Inf in BF16 */
    { INFINITY, 0x7c00, 0x7f80, 0x7e, 0x7b },
    { -INFINITY, 0xfc00, 0xff80, 0xfe, 0xfb },
    { 0x1p-9f, 0x1800, 0x3b00, 0x01, 0x18 },  /* the smallest E4M3 */
    { 0x1p-10f, 0x1400, 0x3a80, 0x00, 0x14 }, /* half of it */
    { 0x1p-24f, 0x0001, 0x3380, 0x00, 0x00 }, /* the smallest F16 */
    { 0x1p-149f, 0x0000, 0x0000, 0x00, 0x00 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      guint16 f16 = 1, bf16 = 1;
      guint8 e4m3 = 1, e5m2 = 1;

      g_test_message ("%g", (double) rows[i].from);
      g_assert_true (qconv_floats_to (QCONV_F16, &rows[i].from, 1, &f16));
      g_assert_true (qconv_floats_to (QCONV_BF16, &rows[i].from, 1, &bf16));
      g_assert_true (qconv_floats_to (QCONV_F8_E4M3, &rows[i].from, 1, &e4m3));
      g_assert_true (qconv_floats_to (QCONV_F8_E5M2, &rows[i].from, 1, &e5m2));
      g_assert_cmphex (f16, ==, rows[i].f16);
      g_assert_cmphex (bf16, ==, rows[i].bf16);
      g_assert_cmphex (e4m3, ==, rows[i].e4m3);
      g_assert_cmphex (e5m2, ==, rows[i].e5m2);
    }
}

static void
test_nan (void)
{
  const float nans[] = { f32_of_bits (0x7f800001), f32_of_bits (0xffc00000) };
  guint16 halves[2];
  guint8 bytes[2];
  float back[2];

  for (guint i = 0; i < 2; i++)
    {
      QconvDType dtype = i == 0 ? QCONV_F16 : QCONV_BF16;

      g_assert_true (qconv_floats_to (dtype, nans, 2, halves));
      g_assert_true (qconv_floats_from (dtype, halves, 2, back));
      g_assert_true (isnan (back[0]) && isnan (back[1]));
    }
  g_assert_true (qconv_floats_to (QCONV_F8_E4M3, nans, 2, bytes));
  g_assert_true (bytes[0] == 0x7e && bytes[1] == 0xfe);
  g_assert_true (qconv_floats_to (QCONV_F8_E5M2, nans, 2, bytes));
  g_assert_true (bytes[0] == 0x7b && bytes[1] == 0xfb);
}

/* Tests lengths around those of vectors, F64, F32, E8M0 and whole numbers */
static void
test_other_types (void)
{
  double wide[70], again[70];
  float floats[70], same[70];
  gint32 numbers[70];
  guint8 exponents[3] = { 0, 127, 255 }, yes[2] = { 0, 7 };
  float out[3];

  for (guint n = 0; n <= 70; n++)
    {
      for (guint i = 0; i < n; i++)
        {
          wide[i] = (double) i - 35.5;
          numbers[i] = (gint32) i * 1000003;
        }
      g_assert_true (qconv_floats_from (QCONV_F64, wide, n, floats));
      g_assert_true (qconv_floats_to (QCONV_F64, floats, n, again));
      g_assert_true (qconv_floats_to (QCONV_F32, floats, n, same));
      g_assert_cmpmem (wide, n * sizeof *wide, again, n * sizeof *wide);
      g_assert_cmpmem (floats, n * sizeof *floats, same, n * sizeof *floats);
      g_assert_true (qconv_floats_from (QCONV_I32, numbers, n, floats));
      for (guint i = 0; i < n; i++)
        g_assert_cmpfloat (floats[i], ==, (float) numbers[i]);
    }
  g_assert_true (qconv_floats_from (QCONV_F64, (const double[]) { 1e300, 16777217.0 }, 2, out));
  g_assert_true (isinf (out[0]) && out[1] == 16777216.0f);
  g_assert_true (qconv_floats_from (QCONV_F8_E8M0, exponents, 3, out));
  g_assert_true (out[0] == 0x1p-127f && out[1] == 1.0f && isnan (out[2]));
  g_assert_true (qconv_floats_from (QCONV_BOOL, yes, 2, out));
  g_assert_true (out[0] == 0.0f && out[1] == 1.0f);
}

/* Tests that each type is taken in the directions that the header names, and that the others write nothing */
static void
test_refused (void)
{
  const guint from = 1u << QCONV_F64 | 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16 | 1u << QCONV_F8_E4M3
                     | 1u << QCONV_F8_E5M2 | 1u << QCONV_F8_E8M0 | 1u << QCONV_I64 | 1u << QCONV_I32 | 1u << QCONV_I16
                     | 1u << QCONV_I8 | 1u << QCONV_U64 | 1u << QCONV_U32 | 1u << QCONV_U16 | 1u << QCONV_U8
                     | 1u << QCONV_BOOL;
  const guint to = 1u << QCONV_F64 | 1u << QCONV_F32 | 1u << QCONV_F16 | 1u << QCONV_BF16 | 1u << QCONV_F8_E4M3
                   | 1u << QCONV_F8_E5M2;

  for (guint d = 0; d <= QCONV_N_DTYPES; d++)
    {
      double bytes = 0.0, marked = 7.0, before = marked;
      float number = 0.0f, kept = 7.0f;

      g_assert_true (qconv_floats_from ((QconvDType) d, &bytes, 1, &kept) == ((from >> d & 1) != 0));
      g_assert_true ((kept == 7.0f) == ((from >> d & 1) == 0));
      g_assert_true (qconv_floats_to ((QconvDType) d, &number, 1, &marked) == ((to >> d & 1) != 0));
      if ((to >> d & 1) == 0)
        g_assert_cmpmem (&marked, sizeof marked, &before, sizeof before);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/floats/all-codes", test_all_codes);
  g_test_add_func ("/floats/rounding", test_rounding);
  g_test_add_func ("/floats/nan", test_nan);
  g_test_add_func ("/floats/other-types", test_other_types);
  g_test_add_func ("/floats/refused", test_refused);
  return g_test_run ();
}
