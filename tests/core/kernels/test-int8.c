/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests operations on integers under F32 scales: every level against the reference, and the reference against its
   definition. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

typedef struct {
  const char *op;
  QconvDType codes;
  gboolean by_row;
} Encoder;

static const Encoder encoders[] = {
  { "int8-encode-row", QCONV_I8, TRUE },
  { "int8-encode", QCONV_I8, FALSE },
  { "int8-encode-block", QCONV_I8, FALSE },
  { "int4-encode-row", QCONV_U4, TRUE },
};

/**
 * Encoded: the result of an encoder, allocated to the byte, so that a sanitizer finds writes behind it.
 */
typedef struct {
  guint8 *codes;
  float *scales;
  gsize n_codes, n_scales;
} Encoded;

static void
encoded_clear (Encoded *e)
{
  g_free (e->codes);
  g_free (e->scales);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Encoded, encoded_clear)

/* Encodes a matrix. @last: group, or side of a block */
static void
encode (const QconvKernelLevel *level, const Encoder *how, const KernelMatrix *m, float scale, gsize last, Encoded *e)
{
  gboolean by_block = g_str_has_suffix (how->op, "block");
  gsize rows = m->rows, cols = m->cols;
  QconvBuffer w = kernel_matrix_buffer (m), codes, scales, row;
  g_autofree float *scratch = g_new (float, cols);

  e->n_codes = rows * (how->codes == QCONV_U4 ? (cols + 1) / 2 : cols);
  e->n_scales = by_block ? (rows + last - 1) / last * ((cols + last - 1) / last) : how->by_row ? rows : 1;
  e->codes = g_malloc (e->n_codes);
  e->scales = g_new (float, e->n_scales);
  memset (e->codes, 0xaa, e->n_codes);
  e->scales[0] = scale;
  codes = QCONV_BUFFER (e->codes, e->n_codes, how->codes);
  scales = QCONV_BUFFER (e->scales, e->n_scales * sizeof (float), QCONV_F32);
  row = QCONV_BUFFER (scratch, cols * sizeof (float), QCONV_F32);
  KERNEL_RUN (level, how->op, QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&row), QCONV_I (rows),
              QCONV_I (cols), QCONV_I (last));
}

static void
assert_equal_levels (const QconvKernelLevel *level, const KernelMatrix *m, float scale, gsize group, gsize block)
{
  for (guint i = 0; i < G_N_ELEMENTS (encoders); i++)
    {
      gsize last = g_str_has_suffix (encoders[i].op, "block") ? block : group;
      g_auto (Encoded) want = { 0 }, got = { 0 };

      encode (qconv_kernel_levels (), &encoders[i], m, scale, last, &want);
      encode (level, &encoders[i], m, scale, last, &got);
      g_assert_cmpmem (got.scales, got.n_scales * sizeof (float), want.scales, want.n_scales * sizeof (float));
      g_assert_cmpmem (got.codes, got.n_codes, want.codes, want.n_codes);
    }
}

/* Tests every kind of weights. KERNEL_WIDE and KERNEL_SPECIAL hold numbers whose rotation overflows: those are encoded
   without rotation */
static void
test_kinds (const QconvKernelLevel *level)
{
  static const float scales[] = { 1e-30f, 0x1p-140f, 1e-3f, 0.25f, 1e30f };
  const gsize rows = 4, cols = 2048;
  g_autofree float *wide = g_new (float, rows *cols);
  guint64 state = 3;

  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    for (guint d = 0; d < G_N_ELEMENTS (kernel_weight_dtypes); d++)
      for (guint i = 0; i < G_N_ELEMENTS (scales); i++)
        {
          static const gsize groups[] = { 1, 4, 16, 64, 256 };
          gboolean large = kind == KERNEL_WIDE || kind == KERNEL_SPECIAL;
          QconvDType dtype = kernel_weight_dtypes[d];
          g_autofree void *w = NULL;

          kernel_fill (kind, wide, rows * cols, &state);
          w = kernel_narrow (dtype, wide, rows * cols);
          assert_equal_levels (level, KERNEL_MATRIX (dtype, w, rows, cols), scales[i], large ? 1 : groups[i],
                               3 + 20 * i);
        }
}

static void
test_tails (const QconvKernelLevel *level)
{
  float wide[5 * 150];
  guint64 state = 4;

  for (gsize cols = 1; cols <= 150; cols++)
    for (guint d = 0; d < G_N_ELEMENTS (kernel_weight_dtypes); d++)
      {
        QconvDType dtype = kernel_weight_dtypes[d];
        g_autofree void *w = NULL;

        kernel_fill (cols % KERNEL_N_KINDS, wide, 5 * cols, &state);
        w = kernel_narrow (dtype, wide, 5 * cols);
        assert_equal_levels (level, KERNEL_MATRIX (dtype, w, 5, cols), 0.01f, 1, 1 + cols % 7);
      }
}

/* Tests that ties go to the even code, and that no code leaves the range */
static void
test_rounding (const QconvKernelLevel *level)
{
  static const float w[]
      = { 0.5f, -0.5f, 1.5f, -1.5f, 2.5f, -0.0f, 126.5f, 127.5f, 1e9f, -127.5f, -128.5f, -1e9f, 1e-45f, -2.5000002f };
  static const gint8 want[] = { 0, 0, 2, -2, 2, 0, 126, 127, 127, -128, -128, -128, 0, -3 };
  static const guint8 want4[] = { 0xe2, 0x00, 0x76 };
  static const float w4[] = { 1.5f, -1.5f, 0.5f, -0.5f, 6.5f, 7.0f };
  g_auto (Encoded) e = { 0 }, e4 = { 0 };

  encode (level, &encoders[1], KERNEL_MATRIX (QCONV_F32, w, 1, G_N_ELEMENTS (w)), 1.0f, 1, &e);
  g_assert_cmpmem (e.codes, e.n_codes, want, sizeof want);
  encode (level, &encoders[3], KERNEL_MATRIX (QCONV_F32, w4, 1, G_N_ELEMENTS (w4)), 0.0f, 1, &e4);
  g_assert_cmpfloat (e4.scales[0], ==, 1.0f);
  g_assert_cmpmem (e4.codes, e4.n_codes, want4, sizeof want4);
}

static void
test_least_scales (const QconvKernelLevel *level)
{
  static const float least[] = { 1e-30f, 0.0f, 1e-8f, 1e-10f / 7.0f }, w[8] = { 0.0f, -0.0f, 0x1p-149f, -0x1p-140f };

  for (guint i = 0; i < G_N_ELEMENTS (encoders); i++)
    {
      g_auto (Encoded) e = { 0 };

      if (least[i] == 0.0f)
        continue;
      encode (level, &encoders[i], KERNEL_MATRIX (QCONV_F32, w, 1, 8), 0.0f, i == 2 ? 8 : 4, &e);
      g_assert_cmpfloat (e.scales[0], ==, least[i]);
      for (gsize k = 0; k < e.n_codes; k++)
        g_assert_cmphex (e.codes[k], ==, 0);
    }
}

/* Tests that a rotation that overflows shows in the scale; the signs are those of a row of H */
static void
test_overflow (const QconvKernelLevel *level)
{
  float w[64];
  const KernelMatrix m = { QCONV_F32, w, 1, G_N_ELEMENTS (w) };

  for (guint k = 0; k < G_N_ELEMENTS (w); k++)
    w[k] = ((k % 4 == 3) + (k / 4 % 4 == 3) + (k / 16 == 3)) % 2 == 0 ? 3e38f : -3e38f;
  for (guint i = 0; i < G_N_ELEMENTS (encoders); i++)
    {
      g_auto (Encoded) rotated = { 0 }, plain = { 0 };

      if (!encoders[i].by_row)
        continue;
      encode (level, &encoders[i], &m, 0.0f, 64, &rotated);
      g_assert_false (isfinite (rotated.scales[0]));
      encode (level, &encoders[i], &m, 0.0f, 1, &plain);
      g_assert_true (isfinite (plain.scales[0]));
    }
}

/* The number of weights that share a scale; rows of 4-bit codes need no size */
typedef struct {
  gsize n_scales, height, width;
} Tiling;

static void
decode (const QconvKernelLevel *level, const KernelMatrix *codes, const float *scales, const Tiling *t, float *dst)
{
  gsize rows = codes->rows, cols = codes->cols;
  QconvBuffer c = QCONV_BUFFER (codes->data, rows * (codes->dtype == QCONV_U4 ? (cols + 1) / 2 : cols), codes->dtype);
  QconvBuffer s = QCONV_BUFFER (scales, t->n_scales * sizeof *scales, QCONV_F32);
  QconvBuffer d = QCONV_BUFFER (dst, rows * cols * sizeof *dst, QCONV_F32);

  if (codes->dtype == QCONV_U4)
    KERNEL_RUN (level, "int4-decode-row", QCONV_BUF (&c), QCONV_BUF (&s), QCONV_BUF (&d), QCONV_I (rows),
                QCONV_I (cols));
  else
    KERNEL_RUN (level, "int8-decode", QCONV_BUF (&c), QCONV_BUF (&s), QCONV_BUF (&d), QCONV_I (rows), QCONV_I (cols),
                QCONV_I (t->height), QCONV_I (t->width));
}

static void
test_decode (const QconvKernelLevel *level)
{
  const gsize rows = 7;
  guint64 state = 5;

  for (gsize cols = 1; cols < 100; cols++)
    {
      gsize height = 1 + cols % 8, width = 1 + cols / 3, across = (cols + width - 1) / width;
      gsize n_scales = (rows + height - 1) / height * across;
      g_autofree guint8 *codes = g_malloc (rows * cols), *nibbles = g_malloc (rows * ((cols + 1) / 2));
      g_autofree float *scales = g_new (float, MAX (n_scales, rows)), *got = g_new (float, rows *cols);

      for (gsize i = 0; i < rows * cols; i++)
        codes[i] = (guint8) kernel_random (&state);
      memcpy (nibbles, codes, rows * ((cols + 1) / 2));
      kernel_fill (KERNEL_WIDE, scales, MAX (n_scales, rows), &state);
      decode (level, KERNEL_MATRIX (QCONV_I8, codes, rows, cols), scales, &(Tiling) { n_scales, height, width }, got);
      for (gsize r = 0; r < rows; r++)
        for (gsize c = 0; c < cols; c++)
          g_assert_cmpfloat (got[r * cols + c], ==,
                             (float) (gint8) codes[r * cols + c] * scales[r / height * across + c / width]);
      decode (level, KERNEL_MATRIX (QCONV_U4, nibbles, rows, cols), scales, &(Tiling) { .n_scales = rows }, got);
      for (gsize r = 0; r < rows; r++)
        for (gsize c = 0; c < cols; c++)
          {
            gint8 code = (gint8) (nibbles[r * ((cols + 1) / 2) + c / 2] << (c % 2 == 0 ? 4 : 0)) >> 4;

            g_assert_cmpfloat (got[r * cols + c], ==, (float) code * scales[r]);
          }
    }
}

/* Tests all codes under largest magnitudes of all sizes, Inf and NaN. Nearly half of the results would be other ones
   with largest / 127 as a scale */
static void
test_decode_largest (const QconvKernelLevel *level)
{
  enum { ROWS = 9 };
  static const float odd[] = { 0.0f, INFINITY, NAN, 0x1p-149f, 0x1.fffffep127f };
  guint64 state = 6;

  for (gsize cols = 1; cols < 300; cols += 1 + cols / 20)
    {
      g_autofree gint8 *codes = g_new (gint8, ROWS * cols);
      g_autofree float *got = g_new (float, ROWS *cols);
      float largest[ROWS];
      QconvBuffer c = QCONV_BUFFER (codes, ROWS * cols, QCONV_I8),
                  s = QCONV_BUFFER (largest, sizeof largest, QCONV_F32);
      QconvBuffer d = QCONV_BUFFER (got, ROWS * cols * sizeof *got, QCONV_F32);

      kernel_fill (KERNEL_NORMAL, largest, ROWS, &state);
      memcpy (largest, odd, sizeof odd);
      for (gsize i = 0; i < ROWS * cols; i++)
        codes[i] = (gint8) (i % 256);
      KERNEL_RUN (level, "int8-decode-largest", QCONV_BUF (&c), QCONV_BUF (&s), QCONV_BUF (&d), QCONV_I (ROWS),
                  QCONV_I (cols));
      for (gsize i = 0; i < ROWS * cols; i++)
        {
          /* volatile: nothing may join the factors */
          volatile float product = (float) codes[i] * largest[i / cols];
          float want = product * (1.0f / 127.0f);

          g_assert_true (isnan (want) ? isnan (got[i]) : bits_of_f32 (got[i]) == bits_of_f32 (want));
        }
    }
}

/* Tests that too small a buffer, and senseless numbers, are refused before memory is touched */
static void
test_refused (const QconvKernelLevel *level)
{
  float w[64] = { 0.0f }, scales[2], scratch[64];
  gint8 codes[64];
  QconvBuffer in = QCONV_BUFFER (w, sizeof w, QCONV_F32), out = QCONV_BUFFER (codes, sizeof codes, QCONV_I8);
  QconvBuffer s = QCONV_BUFFER (scales, sizeof scales, QCONV_F32);
  QconvBuffer row = QCONV_BUFFER (scratch, sizeof scratch, QCONV_F32), less = QCONV_BUFFER (scratch, 31 * 4, QCONV_F32);
  const QconvArg a = QCONV_BUF (&in), b = QCONV_BUF (&out), c = QCONV_BUF (&s), d = QCONV_BUF (&row);
  const struct {
    const char *op;
    QconvArg args[7];
  } cases[] = {
    { "int8-encode-row", { a, b, c, QCONV_BUF (&less), QCONV_I (2), QCONV_I (32), QCONV_I (1) } },
    { "int8-encode-row", { a, b, c, d, QCONV_I (4), QCONV_I (16), QCONV_I (1) } },
    { "int8-encode-row", { a, b, c, d, QCONV_I (2), QCONV_I (32), QCONV_I (64) } },
    { "int8-encode", { a, b, c, d, QCONV_I (2), QCONV_I (33), QCONV_I (1) } },
    { "int8-encode-block", { a, b, c, d, QCONV_I (2), QCONV_I (32), QCONV_I (0) } },
    { "int8-encode-block", { a, b, c, d, QCONV_I (2), QCONV_I (32), QCONV_I (15) } },
    { "int8-decode", { b, c, a, QCONV_I (2), QCONV_I (32), QCONV_I (0), QCONV_I (32) } },
    { "int8-decode", { b, c, a, QCONV_I (2), QCONV_I (32), QCONV_I (1), QCONV_I (31) } },
    { "int8-decode-largest", { b, c, a, QCONV_I (2), QCONV_I (33) } },
    { "int8-decode-largest", { b, c, a, QCONV_I (3), QCONV_I (16) } },
    { "int8-decode-largest", { a, c, a, QCONV_I (1), QCONV_I (16) } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (kernel_try (level, cases[i].op, cases[i].args, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (int8)
{
  kernel_add_tests ("/int8/kinds", test_kinds);
  kernel_add_tests ("/int8/tails", test_tails);
  kernel_add_tests ("/int8/rounding", test_rounding);
  kernel_add_tests ("/int8/least-scales", test_least_scales);
  kernel_add_tests ("/int8/overflow", test_overflow);
  kernel_add_tests ("/int8/decode", test_decode);
  kernel_add_tests ("/int8/decode-largest", test_decode_largest);
  kernel_add_tests ("/int8/refused", test_refused);
}
