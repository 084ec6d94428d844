/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests "awq-decode" of every level against the formula, and that it refuses arguments that do not fit. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

#define ROWS 5

/* A matrix of random codes; every array has just the size that is needed. @scales, @zeros: of groups, as @stored */
typedef struct {
  gsize cols, group, groups;
  gint centre;
  QconvDType stored;
  guint8 *codes;
  void *scales, *zeros;
} Sample;

static void
sample_clear (Sample *s)
{
  g_free (s->codes);
  g_free (s->scales);
  g_free (s->zeros);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Sample, sample_clear)

/* Returns: (transfer full): @n random bit patterns: numbers of all sizes, and some that are Inf or NaN. @tame: ordinary
   numbers */
static void *
new_numbers (QconvDType dtype, gsize n, gboolean tame, guint64 *state)
{
  gsize width = qconv_dtype_bits (dtype) / 8;
  g_autofree float *wide = g_new (float, n);
  guint8 *bytes;

  kernel_fill (KERNEL_NORMAL, wide, n, state);
  bytes = kernel_narrow (dtype, wide, n);
  for (gsize i = 0; !tame && i < n * width; i++)
    bytes[i] = (guint8) kernel_random (state);
  return bytes;
}

static Sample
new_sample (const gsize shape[2], QconvDType stored, gboolean tame, guint64 *state)
{
  gsize groups = (shape[0] + shape[1] - 1) / shape[1], n_bytes = ROWS * ((shape[0] + 1) / 2);
  Sample s = { .cols = shape[0], .group = shape[1], .groups = groups, .stored = stored };

  s.centre = (gint) (kernel_random (state) % 16);
  s.codes = g_malloc (n_bytes);
  for (gsize i = 0; i < n_bytes; i++)
    s.codes[i] = (guint8) kernel_random (state);
  s.scales = new_numbers (stored, ROWS * groups, tame, state);
  s.zeros = new_numbers (stored, ROWS * groups, tame, state);
  return s;
}

static float
load (QconvDType dtype, const void *numbers, gsize i)
{
  if (dtype == QCONV_F32)
    return ((const float *) numbers)[i];
  return dtype == QCONV_F16 ? f32_of_f16 (((const guint16 *) numbers)[i])
                            : f32_of_bf16 (((const guint16 *) numbers)[i]);
}

static void
check (const QconvKernelLevel *level, const Sample *s)
{
  gsize row_bytes = (s->cols + 1) / 2, n_numbers = ROWS * s->groups * qconv_dtype_bits (s->stored) / 8;
  g_autofree float *got = g_new (float, ROWS * s->cols);
  QconvBuffer codes = QCONV_BUFFER (s->codes, ROWS * row_bytes, QCONV_U4);
  QconvBuffer scales = QCONV_BUFFER (s->scales, n_numbers, s->stored);
  QconvBuffer zeros = QCONV_BUFFER (s->zeros, n_numbers, s->stored);
  QconvBuffer dst = QCONV_BUFFER (got, ROWS * s->cols * sizeof *got, QCONV_F32);

  KERNEL_RUN (level, "awq-decode", QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&zeros), QCONV_BUF (&dst),
              QCONV_I (ROWS), QCONV_I (s->cols), QCONV_I (s->group), QCONV_I (s->centre));
  for (gsize i = 0; i < ROWS * s->cols; i++)
    {
      gsize r = i / s->cols, c = i % s->cols, k = r * s->groups + c / s->group;
      gint code = s->codes[r * row_bytes + c / 2] >> c % 2 * 4 & 15;
      /* volatile: nothing may fuse the product and the sum */
      volatile float product = (float) (code - s->centre) * load (s->stored, s->scales, k);
      float want = product + load (s->stored, s->zeros, k);

      g_assert_true (isnan (want) ? isnan (got[i]) : bits_of_f32 (got[i]) == bits_of_f32 (want));
    }
}

/* Tests rows of odd length, groups that begin within a byte, and a last group with fewer columns */
static void
test_shapes (const QconvKernelLevel *level)
{
  static const gsize shapes[][2] = { { 1, 1 },   { 2, 1 },   { 31, 8 },     { 64, 64 }, { 72, 32 },     { 100, 7 },
                                     { 42, 21 }, { 3, 100 }, { 1025, 128 }, { 9, 2 },   { 1500, 1499 }, { 192, 17 } };
  guint64 state = 7;

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    for (guint kind = 0; kind < 2 * G_N_ELEMENTS (kernel_weight_dtypes); kind++)
      {
        g_auto (Sample) s = new_sample (shapes[i], kernel_weight_dtypes[kind / 2], kind % 2 == 0, &state);

        check (level, &s);
      }
}

/* Tests that each buffer that is one byte short, or of another type, and senseless sizes are refused */
static void
test_refused (const QconvKernelLevel *level)
{
  guint8 codes[66] = { 0 };
  guint16 numbers[8] = { 0 };
  float floats[66];
  const struct {
    gsize codes, scales, zeros, floats;
    QconvDType stored;
    gint64 cols, group, centre;
    enum { RIGHT, CODES, NUMBERS, FLOATS } wrong;
  } cases[] = {
    { 34, 12, 12, 264, QCONV_F16, 33, 11, 15 },
    { 33, 12, 12, 264, QCONV_F16, 33, 11, 8 },
    { 34, 11, 12, 264, QCONV_F16, 33, 11, 8 },
    { 34, 12, 11, 264, QCONV_F16, 33, 11, 8 },
    { 34, 12, 12, 263, QCONV_F16, 33, 11, 8 },
    { 34, 12, 12, 264, QCONV_F16, 33, 10, 8 },
    { 34, 12, 12, 264, QCONV_BF16, 33, 11, 8 },
    { 34, 12, 12, 264, QCONV_F16, 33, 0, 8 },
    { 34, 12, 12, 264, QCONV_F16, 33, -1, 8 },
    { 34, 12, 12, 264, QCONV_F16, 33, 11, 16 },
    { 34, 12, 12, 264, QCONV_F16, 33, 11, -1 },
    { 66, 12, 12, 264, QCONV_F16, 33, 11, 8, CODES },
    { 34, 12, 12, 264, QCONV_F8_E4M3, 33, 11, 8, NUMBERS },
    { 34, 12, 12, 264, QCONV_F16, 33, 11, 8, FLOATS },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      QconvBuffer c = QCONV_BUFFER (codes, cases[i].codes, cases[i].wrong == CODES ? QCONV_U8 : QCONV_U4);
      QconvBuffer s = QCONV_BUFFER (numbers, cases[i].scales, cases[i].stored);
      QconvBuffer z = QCONV_BUFFER (numbers, cases[i].zeros, cases[i].wrong == NUMBERS ? cases[i].stored : QCONV_F16);
      QconvBuffer f = QCONV_BUFFER (floats, cases[i].floats, cases[i].wrong == FLOATS ? QCONV_F16 : QCONV_F32);
      const QconvArg args[]
          = { QCONV_BUF (&c), QCONV_BUF (&s),          QCONV_BUF (&z),           QCONV_BUF (&f),
              QCONV_I (2),    QCONV_I (cases[i].cols), QCONV_I (cases[i].group), QCONV_I (cases[i].centre) };
      g_autoptr (GError) error = NULL;

      g_assert_true (kernel_try (level, "awq-decode", args, &error) == (i == 0));
      if (i > 0)
        g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (awq_decode)
{
  kernel_add_tests ("/awq-decode/shapes", test_shapes);
  kernel_add_tests ("/awq-decode/refused", test_refused);
}
