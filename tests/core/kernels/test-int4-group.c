/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests "int4-group-encode-…": every level against the reference, the reference against its definition, and the
   search against the formula. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

enum { ROWS = 7, COLS = 192, GROUP = 64, GROUPS = ROWS * COLS / GROUP };

/* One encoded matrix, to the byte, so that a sanitizer finds writes behind it */
typedef struct {
  guint8 codes[ROWS * COLS / 2];
  float scales[ROWS * COLS / 16];
} Encoded;

static void
encode_groups (const QconvKernelLevel *level, const char *op, const float *w, gsize group, QconvDType dtype, Encoded *e)
{
  QconvBuffer floats = QCONV_BUFFER (w, sizeof (float) * ROWS * COLS, QCONV_F32);
  QconvBuffer codes = QCONV_BUFFER (e->codes, sizeof e->codes, QCONV_U4);
  QconvBuffer scales = QCONV_BUFFER (e->scales, ROWS * COLS / group * sizeof (float), QCONV_F32);

  memset (e, 0xaa, sizeof *e);
  KERNEL_RUN (level, op, QCONV_BUF (&floats), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_I (ROWS), QCONV_I (COLS),
              QCONV_I (group), QCONV_I (dtype));
}

static void
encode (const QconvKernelLevel *level, const char *op, const float *w, QconvDType dtype, Encoded *e)
{
  encode_groups (level, op, w, GROUP, dtype, e);
}

/* Returns the squared error of group @i. Checks that no code is -8 */
static double
group_error (const Encoded *e, const float *w, gsize i)
{
  double sum = 0;

  for (gsize k = i * GROUP; k < (i + 1) * GROUP; k++)
    {
      gint code = e->codes[k / 2] >> k % 2 * 4 & 15;
      double d = (double) w[k] - (double) ((code ^ 8) - 8) * (double) e->scales[i];

      g_assert_cmpint (code, !=, 8);
      sum += d * d;
    }
  return sum;
}

static void
test_levels (const QconvKernelLevel *level)
{
  static const char *const ops[] = { "int4-group-encode-rtn", "int4-group-encode-search" };
  static const QconvDType dtypes[] = { QCONV_BF16, QCONV_F16 };
  guint64 state = 1;

  for (guint i = 0; i < KERNEL_N_KINDS * G_N_ELEMENTS (ops) * G_N_ELEMENTS (dtypes); i++)
    {
      float w[ROWS * COLS];
      Encoded want, got;

      kernel_fill ((KernelKind) (i / 4), w, ROWS * COLS, &state);
      encode (qconv_kernel_levels (), ops[i % 2], w, dtypes[i / 2 % 2], &want);
      encode (level, ops[i % 2], w, dtypes[i / 2 % 2], &got);
      g_assert_cmpmem (&got, sizeof got, &want, sizeof want);
    }
}

/* Tests the search where many scales are about as good as each other: with weights on halves of steps, groups of one
   magnitude, and scales that the type cannot hold, for groups of any size */
static void
test_close_decisions (const QconvKernelLevel *level)
{
  static const gsize groups[] = { 16, 48, 64, 96, 192 };
  static const float units[] = { 1.0f, 0.013f, 1e-7f, 1e-30f, 1e4f, 1e30f };
  guint64 state = 5;

  for (guint i = 0; i < 8 * G_N_ELEMENTS (groups) * G_N_ELEMENTS (units); i++)
    {
      gsize group = groups[i % G_N_ELEMENTS (groups)];
      float unit = units[i / G_N_ELEMENTS (groups) % G_N_ELEMENTS (units)], w[ROWS * COLS];
      Encoded want, got;

      for (gsize k = 0; k < ROWS * COLS; k++)
        {
          guint32 r = kernel_random (&state);
          float steps = k / group % 3 == 0 ? 7.0f : (float) (r % 16) / 2.0f, nudge = (float) (r >> 8 & 3) * 0x1p-23f;

          w[k] = (r & 0x80000000 ? -unit : unit) * (k % group == 0 ? 7.0f : steps) * (1.0f + nudge);
        }
      for (guint d = 0; d < 2; d++)
        {
          QconvDType dtype = d == 0 ? QCONV_BF16 : QCONV_F16;

          encode_groups (qconv_kernel_levels (), "int4-group-encode-search", w, group, dtype, &want);
          encode_groups (level, "int4-group-encode-search", w, group, dtype, &got);
          g_assert_cmpmem (&got, sizeof got, &want, sizeof want);
        }
    }
}

/* Returns the BF16 number nearest to @x as a float; ties to even */
static float
rounded (float x)
{
  return f32_of_bf16 (bf16_of_f32 (x));
}

static void
test_definition (const QconvKernelLevel *level)
{
  float w[ROWS * COLS];
  guint64 state = 2;
  Encoded e;

  kernel_fill (KERNEL_NORMAL, w, ROWS * COLS, &state);
  memset (w, 0, GROUP * sizeof *w);
  encode (level, "int4-group-encode-rtn", w, QCONV_BF16, &e);
  g_assert_cmpfloat (e.scales[0], ==, 1.0f);
  for (gsize i = 0; i < GROUPS; i++)
    {
      float top = 0;

      for (gsize k = i * GROUP; k < (i + 1) * GROUP; k++)
        top = fmaxf (top, fabsf (w[k]));
      if (i > 0)
        g_assert_cmpfloat (e.scales[i], ==, rounded (top / 7.0f));
      for (gsize k = i * GROUP; k < (i + 1) * GROUP; k++)
        {
          double y = CLAMP (nearbyint ((double) (w[k] / e.scales[i])), -7, 7);

          g_assert_cmpint (((e.codes[k / 2] >> k % 2 * 4 & 15) ^ 8) - 8, ==, (gint) y);
        }
    }
}

/* No group may lose, and the mean must gain */
static void
test_search (const QconvKernelLevel *level)
{
  double rtn_sum = 0, search_sum = 0;
  guint64 state = 3;

  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    {
      float w[ROWS * COLS];
      Encoded rtn, search;

      if (kind == KERNEL_WIDE || kind == KERNEL_SPECIAL) /* their squares overflow or vanish */
        continue;
      kernel_fill ((KernelKind) kind, w, ROWS * COLS, &state);
      encode (level, "int4-group-encode-rtn", w, QCONV_BF16, &rtn);
      encode (level, "int4-group-encode-search", w, QCONV_BF16, &search);
      for (gsize i = 0; i < GROUPS; i++)
        {
          double before = group_error (&rtn, w, i), after = group_error (&search, w, i);

          g_assert_cmpfloat (after, <=, before * (1 + 1e-5));
          g_assert_cmpfloat (search.scales[i], ==, rounded (search.scales[i]));
          if (kind == KERNEL_NORMAL)
            {
              rtn_sum += before;
              search_sum += after;
            }
        }
    }
  g_assert_cmpfloat (search_sum, <, rtn_sum * 0.92);
}

static void
test_refused (const QconvKernelLevel *level)
{
  float w[64] = { 0 }, numbers[4];
  guint8 bytes[32];
  QconvBuffer floats = QCONV_BUFFER (w, sizeof w, QCONV_F32), codes = QCONV_BUFFER (bytes, sizeof bytes, QCONV_U4);
  QconvBuffer scales = QCONV_BUFFER (numbers, sizeof numbers, QCONV_F32);
  const struct {
    gint64 rows, cols, group, dtype;
  } cases[]
      = { { 1, 64, 0, QCONV_BF16 },  { 1, 64, 24, QCONV_BF16 }, { 1, 64, 128, QCONV_BF16 }, { 1, 64, 16, QCONV_F32 },
          { 2, 64, 64, QCONV_BF16 }, { -1, 64, 64, QCONV_F16 }, { 1, 64, 8, QCONV_BF16 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      const QconvArg args[]
          = { QCONV_BUF (&floats),     QCONV_BUF (&codes),       QCONV_BUF (&scales),     QCONV_I (cases[i].rows),
              QCONV_I (cases[i].cols), QCONV_I (cases[i].group), QCONV_I (cases[i].dtype) };

      g_assert_false (kernel_try (level, "int4-group-encode-rtn", args, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (int4_group)
{
  kernel_add_tests ("/int4-group/levels", test_levels);
  kernel_add_tests ("/int4-group/close-decisions", test_close_decisions);
  kernel_add_tests ("/int4-group/definition", test_definition);
  kernel_add_tests ("/int4-group/search", test_search);
  kernel_add_tests ("/int4-group/refused", test_refused);
}
