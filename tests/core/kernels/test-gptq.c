/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests "gptq-decode" and "gptq-decode-indexed" of every level against the formula, and that they refuse arguments that
   do not fit. */
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

#define ROWS 5

/* A matrix of random codes. @nibbles: two codes to a byte; @codes: a byte each */
typedef struct {
  gsize cols, group, groups;
  guint8 *nibbles, *codes;
  float *scales;
  gint16 *zeros;
  gint32 *index;
} Sample;

static void
sample_clear (Sample *s)
{
  gpointer all[] = { s->nibbles, s->codes, s->scales, s->zeros, s->index };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    g_free (all[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Sample, sample_clear)

static Sample
new_sample (gsize cols, gsize group, guint64 *state)
{
  gsize groups = (cols + group - 1) / group;
  Sample s = { .cols = cols, .group = group, .groups = groups };

  s.nibbles = g_malloc (ROWS * ((cols + 1) / 2));
  s.codes = g_malloc (ROWS * cols);
  s.scales = g_new (float, ROWS *groups);
  s.zeros = g_new (gint16, ROWS * groups);
  s.index = g_new (gint32, cols);
  for (gsize i = 0; i < ROWS * ((cols + 1) / 2); i++)
    s.nibbles[i] = (guint8) kernel_random (state);
  for (gsize i = 0; i < ROWS * cols; i++)
    s.codes[i] = (guint8) kernel_random (state);
  kernel_fill (KERNEL_NORMAL, s.scales, ROWS * groups, state);
  for (gsize i = 0; i < ROWS * groups; i++)
    s.zeros[i] = (gint16) (kernel_random (state) % 257);
  for (gsize i = 0; i < cols; i++)
    s.index[i] = (gint32) (kernel_random (state) % groups);
  return s;
}

/* @packed: takes the 4-bit codes; @indexed: columns have groups of their own */
static void
check (const QconvKernelLevel *level, const Sample *s, gboolean packed, gboolean indexed)
{
  gsize row_bytes = packed ? (s->cols + 1) / 2 : s->cols;
  g_autofree float *got = g_new (float, ROWS * s->cols);
  QconvBuffer codes = QCONV_BUFFER (packed ? s->nibbles : s->codes, ROWS * row_bytes, packed ? QCONV_U4 : QCONV_U8);
  QconvBuffer scales = QCONV_BUFFER (s->scales, ROWS * s->groups * 4, QCONV_F32);
  QconvBuffer zeros = QCONV_BUFFER (s->zeros, ROWS * s->groups * 2, QCONV_I16);
  QconvBuffer index = QCONV_BUFFER (s->index, s->cols * 4, QCONV_I32);
  QconvBuffer dst = QCONV_BUFFER (got, ROWS * s->cols * 4, QCONV_F32);

  if (indexed)
    KERNEL_RUN (level, "gptq-decode-indexed", QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&zeros),
                QCONV_BUF (&index), QCONV_BUF (&dst), QCONV_I (ROWS), QCONV_I (s->cols), QCONV_I (s->groups));
  else
    KERNEL_RUN (level, "gptq-decode", QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&zeros), QCONV_BUF (&dst),
                QCONV_I (ROWS), QCONV_I (s->cols), QCONV_I (s->group));
  for (gsize r = 0; r < ROWS; r++)
    for (gsize c = 0; c < s->cols; c++)
      {
        gsize k = r * s->groups + (indexed ? (gsize) s->index[c] : c / s->group);
        guint8 code = packed ? s->nibbles[r * row_bytes + c / 2] >> c % 2 * 4 & 15 : s->codes[r * row_bytes + c];
        float want = (float) (code - s->zeros[k]) * s->scales[k];

        g_assert_cmphex (bits_of_f32 (got[r * s->cols + c]), ==, bits_of_f32 (want));
      }
}

static void
test_shapes (const QconvKernelLevel *level)
{
  static const gsize shapes[][2] = { { 1, 1 },     { 31, 8 },     { 64, 64 },     { 72, 32 }, { 100, 7 },
                                     { 512, 128 }, { 1025, 128 }, { 1500, 1499 }, { 3, 9 } };
  guint64 state = 7;

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    {
      g_auto (Sample) s = new_sample (shapes[i][0], shapes[i][1], &state);

      for (guint kind = 0; kind < 4; kind++)
        check (level, &s, kind % 2 == 1, kind / 2 == 1);
    }
}

/* Tests that too small a buffer, and groups that do not exist, are refused before memory is written. */
static void
test_refused (const QconvKernelLevel *level)
{
  guint8 codes[64] = { 0 };
  float scales[4] = { 0.0f }, floats[64];
  gint16 zeros[4] = { 0 };
  gint32 good[32] = { 0 }, high[32] = { 2 }, low[32] = { -1 };
  QconvBuffer c = QCONV_BUFFER (codes, 64, QCONV_U8), s = QCONV_BUFFER (scales, 16, QCONV_F32),
              z = QCONV_BUFFER (zeros, 8, QCONV_I16), d = QCONV_BUFFER (floats, 256, QCONV_F32),
              g = QCONV_BUFFER (good, 128, QCONV_I32), h = QCONV_BUFFER (high, 128, QCONV_I32),
              l = QCONV_BUFFER (low, 128, QCONV_I32), less = QCONV_BUFFER (good, 124, QCONV_I32);
  const QconvArg a[] = { QCONV_BUF (&c), QCONV_BUF (&s), QCONV_BUF (&z), QCONV_BUF (&d) };
  const struct {
    const char *op;
    QconvError code;
    QconvArg args[8];
  } cases[] = {
    { "gptq-decode", QCONV_ERROR_BUG, { a[0], a[1], a[2], a[3], QCONV_I (2), QCONV_I (32), QCONV_I (0) } },
    { "gptq-decode", QCONV_ERROR_BUG, { a[0], a[1], a[2], a[3], QCONV_I (2), QCONV_I (32), QCONV_I (15) } },
    { "gptq-decode", QCONV_ERROR_BUG, { a[0], a[1], a[2], a[3], QCONV_I (2), QCONV_I (33), QCONV_I (33) } },
    { "gptq-decode", QCONV_ERROR_BUG, { a[0], a[1], a[1], a[3], QCONV_I (2), QCONV_I (32), QCONV_I (32) } },
    { "gptq-decode-indexed",
      QCONV_ERROR_BUG,
      { a[0], a[1], a[2], QCONV_BUF (&less), a[3], QCONV_I (2), QCONV_I (32), QCONV_I (2) } },
    { "gptq-decode-indexed",
      QCONV_ERROR_BUG,
      { a[0], a[1], a[2], QCONV_BUF (&g), a[3], QCONV_I (2), QCONV_I (32), QCONV_I (0) } },
    { "gptq-decode-indexed",
      QCONV_ERROR_INPUT,
      { a[0], a[1], a[2], QCONV_BUF (&h), a[3], QCONV_I (2), QCONV_I (32), QCONV_I (2) } },
    { "gptq-decode-indexed",
      QCONV_ERROR_INPUT,
      { a[0], a[1], a[2], QCONV_BUF (&l), a[3], QCONV_I (2), QCONV_I (32), QCONV_I (2) } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (kernel_try (level, cases[i].op, cases[i].args, &error));
      g_assert_error (error, QCONV_ERROR, (gint) cases[i].code);
    }
}

KERNEL_TESTS (gptq)
{
  kernel_add_tests ("/gptq/shapes", test_shapes);
  kernel_add_tests ("/gptq/refused", test_refused);
}
