/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests "w4a8-encode": every level against the reference, and codes near the middle of two steps against their
   definition. Tests "w4a8-decode" against the formula. The tests of the plugin compare both with comfy-kitchen. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"
#include "kernels/numbers.h"

#define N_LEVELS 16

typedef struct {
  gsize rows, group, groups;
  QconvDType codes, scales;
  const float *levels;
  guint effort;
} Matrix;

/* One encoded matrix; every array has just the size that is needed, so that a sanitizer finds writes behind it */
typedef struct {
  gsize code_bytes, scale_bytes;
  guint8 *codes, *scales;
  float *rows;
} Encoded;

static void
encoded_clear (Encoded *e)
{
  g_free (e->codes);
  g_free (e->scales);
  g_free (e->rows);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Encoded, encoded_clear)

static gboolean
try_encode (const QconvKernelLevel *level, const Matrix *m, const float *w, Encoded *e, GError **error)
{
  gsize n = m->rows * m->groups * m->group, scale = m->scales == QCONV_F32 ? sizeof (float) : 1;
  g_autofree float *scratch = g_new (float, m->groups);
  QconvBuffer weights = QCONV_BUFFER (w, n * sizeof *w, QCONV_F32);
  QconvBuffer levels = QCONV_BUFFER (m->levels, N_LEVELS * sizeof (float), QCONV_F32);
  QconvBuffer own = QCONV_BUFFER (scratch, m->groups * sizeof (float), QCONV_F32);
  QconvBuffer codes, scales, rows;

  e->code_bytes = m->codes == QCONV_U4 ? n / 2 : n;
  e->scale_bytes = m->rows * m->groups * scale;
  e->codes = g_malloc0 (e->code_bytes);
  e->scales = g_malloc0 (e->scale_bytes);
  e->rows = g_new0 (float, m->rows);
  codes = QCONV_BUFFER (e->codes, e->code_bytes, m->codes);
  scales = QCONV_BUFFER (e->scales, e->scale_bytes, m->scales);
  rows = QCONV_BUFFER (e->rows, m->rows * sizeof *e->rows, QCONV_F32);
  return kernel_try (level, "w4a8-encode",
                     (const QconvArg[]) { QCONV_BUF (&weights), QCONV_BUF (m->levels != NULL ? &levels : NULL),
                                          QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&rows), QCONV_BUF (&own),
                                          QCONV_I (m->rows), QCONV_I (m->groups * m->group), QCONV_I (m->group),
                                          QCONV_I (m->effort) },
                     error);
}

static void
encode (const QconvKernelLevel *level, const Matrix *m, const float *w, Encoded *e)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (try_encode (level, m, w, e, &error));
  g_assert_no_error (error);
}

static void
assert_as_reference (const QconvKernelLevel *level, const Matrix *m, const float *w)
{
  g_auto (Encoded) want = { 0 }, got = { 0 };

  encode (qconv_kernel_levels (), m, w, &want);
  encode (level, m, w, &got);
  g_assert_cmpmem (got.codes, got.code_bytes, want.codes, want.code_bytes);
  g_assert_cmpmem (got.scales, got.scale_bytes, want.scales, want.scale_bytes);
  g_assert_cmpmem (got.rows, m->rows * sizeof *got.rows, want.rows, m->rows * sizeof *want.rows);
}

static const float uneven[N_LEVELS] = { -0.98f, -0.79f, -0.64f, -0.5f, -0.38f, -0.26f, -0.16f, -0.05f,
                                        0.05f,  0.16f,  0.27f,  0.38f, 0.38f,  0.64f,  0.79f,  1.0f };

/* Tests all kinds of codes, groups of every size, and numbers of groups that fill no vector */
static void
test_levels (const QconvKernelLevel *level)
{
  static const Matrix forms[] = { { .codes = QCONV_U4, .scales = QCONV_F8_E4M3, .levels = uneven },
                                  { .codes = QCONV_U4, .scales = QCONV_F32, .levels = uneven },
                                  { .codes = QCONV_U4, .scales = QCONV_F8_E4M3 },
                                  { .codes = QCONV_U4, .scales = QCONV_F32 },
                                  { .codes = QCONV_U8, .scales = QCONV_F8_E4M3 },
                                  { .codes = QCONV_U8, .scales = QCONV_F32, .effort = 1 },
                                  { .codes = QCONV_U8, .scales = QCONV_F8_E4M3, .effort = 1 } };
  static const gsize groups[] = { 4, 8, 16, 24, 64, 256 }, counts[] = { 1, 3, 8, 17, 33 };
  guint64 state = 1;

  for (guint i = 0; i < G_N_ELEMENTS (forms) * G_N_ELEMENTS (groups) * G_N_ELEMENTS (counts); i++)
    for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
      {
        Matrix m = forms[i % G_N_ELEMENTS (forms)];
        g_autofree float *w = NULL;
        gsize n;

        m.rows = 2;
        m.group = groups[i / G_N_ELEMENTS (forms) % G_N_ELEMENTS (groups)];
        m.groups = counts[i / G_N_ELEMENTS (forms) / G_N_ELEMENTS (groups)];
        n = m.rows * m.groups * m.group;
        w = g_new (float, n);
        kernel_fill ((KernelKind) kind, w, n, &state);
        for (gsize k = 0; k < n; k++)
          w[k] *= fabsf (w[k]) > 3e34f ? 0x1p-14f : 1.0f;
        assert_as_reference (level, &m, w);
      }
}

/* ---- Codes near the middle of two steps ---- */

#define GROUP 64
#define GROUPS 20
#define NEAR 4 /* weights of a group that lie near a middle */

/* Fills a row whose scales are 128 and 1, so that steps are 128 times the levels, and weights need no division. Its
   first group decodes exactly. In the others, some weights lie beside the middle of the steps @low and @high. */
static void
fill_row (float *w, const float *levels, gint low, gint high, guint64 *state)
{
  static const float units[] = { 0x1p-28f, 0x1p-24f, 0x1p-22f, 0x1p-21f, 0x1p-20f, 0x1p-19f };

  for (guint i = 0; i < GROUP * GROUPS; i++)
    {
      guint32 r = kernel_random (state);

      w[i] = 128.0f * levels[i % GROUP < 32 ? (i % 2) * (N_LEVELS - 1) : r % N_LEVELS];
      if (i >= GROUP && i % GROUP >= GROUP - NEAR)
        w[i] = (float) (low + high) / 2.0f + units[r % G_N_ELEMENTS (units)] * (float) ((gint) (r >> 8 & 15) - 8);
    }
}

/* Asserts that codes are those of the nearest step: the lower one if their distances are equal once rounded to F32 */
static void
assert_nearest (const Encoded *e, const float *w, const float *levels)
{
  for (guint i = 0; i < GROUP * GROUPS; i++)
    {
      guint code = e->codes[i / 2] >> i % 2 * 4 & 15, high = 0, low;

      while (high < N_LEVELS - 1 && 128.0f * levels[high] < w[i])
        high++;
      low = high > 0 ? high - 1 : 0;
      g_assert_cmpuint (code, ==,
                        fabsf (w[i] - 128.0f * levels[high]) < fabsf (w[i] - 128.0f * levels[low]) ? high : low);
    }
}

/* Tests steps around zero: there, weights have more bits than their distances to the steps can hold */
static void
test_middles (const QconvKernelLevel *level)
{
  guint64 state = 2;

  for (gint i = 0; i < 40 * 40; i++)
    {
      gint low = -1 - i % 40, high = 1 + i / 40;
      float levels[N_LEVELS] = { -127, -100, -80, -64, -52, -46, -42, 0, 0, 42, 46, 52, 64, 80, 100, 127 };
      const Matrix m = {
        .rows = 1, .group = GROUP, .groups = GROUPS, .codes = QCONV_U4, .scales = QCONV_F8_E4M3, .levels = levels
      };
      float w[GROUP * GROUPS];
      g_auto (Encoded) e = { 0 };

      levels[7] = (float) low;
      levels[8] = (float) high;
      for (guint k = 0; k < N_LEVELS; k++)
        levels[k] /= 128.0f;
      fill_row (w, levels, low, high, &state);
      encode (level, &m, w, &e);
      g_assert_cmpfloat (e.rows[0], ==, 1.0f);
      for (guint k = 0; k < GROUPS; k++)
        g_assert_cmpfloat (f32_of_e4m3 (e.scales[k]), ==, 128.0f);
      assert_nearest (&e, w, levels);
    }
}

/* Tests weights on, and beside, the middle of two levels of a table, for which the group's own scale is 1 */
static void
test_ties (const QconvKernelLevel *level)
{
  const Matrix m
      = { .rows = 1, .group = GROUP, .groups = GROUPS, .codes = QCONV_U4, .scales = QCONV_F32, .levels = uneven };
  guint64 state = 3;

  for (guint i = 0; i < 200; i++)
    {
      float w[GROUP * GROUPS];

      for (guint k = 0; k < GROUP * GROUPS; k++)
        {
          guint32 r = kernel_random (&state), at = r % (N_LEVELS - 1);
          float middle = (uneven[at] + uneven[at + 1]) / 2.0f;

          w[k] = k % GROUP == 0 ? 1.0f : middle + (float) ((gint) (r >> 8 & 7) - 4) * 0x1p-26f;
        }
      assert_as_reference (level, &m, w);
    }
}

/* ---- Zeros and refusals ---- */

static void
test_zeros (const QconvKernelLevel *level)
{
  const Matrix m = { .rows = 1, .group = 8, .groups = 3, .codes = QCONV_U8, .scales = QCONV_F8_E4M3, .effort = 1 };
  float w[24] = { [5] = -0.0f };
  g_auto (Encoded) e = { 0 };

  encode (level, &m, w, &e);
  g_assert_cmpfloat (e.rows[0], ==, 1e-8f);
  for (guint i = 0; i < 24; i++)
    g_assert_cmpuint (e.codes[i], ==, 32);
}

static void
test_too_large (const QconvKernelLevel *level)
{
  static const struct {
    QconvDType codes;
    float weight;
    gboolean fine;
  } cases[] = { { QCONV_U4, 1e36f, TRUE },     { QCONV_U4, -1.1e36f, FALSE }, { QCONV_U8, 6e35f, TRUE },
                { QCONV_U8, -6.1e35f, FALSE }, { QCONV_U4, NAN, FALSE },      { QCONV_U8, NAN, FALSE },
                { QCONV_U8, INFINITY, FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const Matrix m = { .rows = 2, .group = 16, .groups = 2, .codes = cases[i].codes, .scales = QCONV_F32 };
      g_autoptr (GError) error = NULL;
      g_auto (Encoded) e = { 0 };
      float w[64];

      for (guint k = 0; k < 64; k++)
        w[k] = cases[i].fine ? cases[i].weight : k == 37 ? cases[i].weight : 1.0f;
      g_assert_true (try_encode (level, &m, w, &e, &error) == cases[i].fine);
      for (guint k = 0; k < 2 && cases[i].fine; k++)
        g_assert_true (isfinite (e.rows[k]) && e.rows[k] > 0.0f);
      if (!cases[i].fine)
        g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
    }
}

static void
test_refused (const QconvKernelLevel *level)
{
  static const Matrix wrong[]
      = { { .rows = 1, .group = 12, .groups = 2, .codes = QCONV_U4, .scales = QCONV_F32 },
          { .rows = 1, .group = 264, .groups = 1, .codes = QCONV_U4, .scales = QCONV_F32 },
          { .rows = 1, .group = 16, .groups = 2, .codes = QCONV_U8, .scales = QCONV_F32, .levels = uneven },
          { .rows = 1, .group = 16, .groups = 2, .codes = QCONV_I8, .scales = QCONV_F32 } };
  float w[264] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (GError) error = NULL;
      g_auto (Encoded) e = { 0 };

      g_assert_false (try_encode (level, &wrong[i], w, &e, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

/* ---- Decoding ---- */

#define DECODED_ROWS 3

static void
fill_bytes (guint8 *bytes, gsize n, guint64 *state)
{
  for (gsize i = 0; i < n; i++)
    bytes[i] = (guint8) kernel_random (state);
}

/* Fills scales of both signs, of which some are zero, subnormal, huge, Inf or NaN */
static void
fill_scales (float *scales, gsize n, guint64 *state)
{
  static const float odd[] = { 0.0f, -0.0f, 0x1p-149f, 0x1p127f, INFINITY, -INFINITY, NAN, 127.0f };

  for (gsize i = 0; i < n; i++)
    scales[i] = kernel_random (state) % 8 == 0 ? odd[kernel_random (state) % G_N_ELEMENTS (odd)]
                                               : (float) (40.0 * kernel_normal (state));
}

/* Returns the weight of code @code. Steps are never -0 */
static float
weight_of (const Matrix *m, guint code, float scale, float row_scale)
{
  float level = m->codes == QCONV_U8 ? (float) code - 32.0f : m->levels != NULL ? m->levels[code] : (float) code - 8.0f;
  float step = level * scale;

  if (!isnan (step))
    step = rintf (CLAMP (step, -127.0f, 127.0f)) + 0.0f;
  return step * row_scale;
}

/* Decodes with @level, and compares all weights with the formula */
static void
check_decoded (const QconvKernelLevel *level, const Matrix *m, const Encoded *e)
{
  gsize cols = m->groups * m->group, n = m->rows * cols;
  g_autofree float *got = g_new (float, n);
  QconvBuffer codes = QCONV_BUFFER (e->codes, e->code_bytes, m->codes);
  QconvBuffer levels = QCONV_BUFFER (m->levels, N_LEVELS * sizeof (float), QCONV_F32);
  QconvBuffer scales = QCONV_BUFFER (e->scales, e->scale_bytes, m->scales);
  QconvBuffer rows = QCONV_BUFFER (e->rows, m->rows * sizeof *e->rows, QCONV_F32);
  QconvBuffer floats = QCONV_BUFFER (got, n * sizeof *got, QCONV_F32);

  KERNEL_RUN (level, "w4a8-decode", QCONV_BUF (&codes), QCONV_BUF (m->levels != NULL ? &levels : NULL),
              QCONV_BUF (&scales), QCONV_BUF (&rows), QCONV_BUF (&floats), QCONV_I (m->rows), QCONV_I (cols),
              QCONV_I (m->group));
  for (gsize i = 0; i < n; i++)
    {
      guint code = m->codes == QCONV_U8 ? e->codes[i] : e->codes[i / 2] >> i % 2 * 4 & 15;
      gsize k = i / m->group;
      float scale
          = m->scales == QCONV_F32 ? ((const float *) (gconstpointer) e->scales)[k] : f32_of_e4m3 (e->scales[k]);
      float want = weight_of (m, code, scale, e->rows[i / cols]);

      g_assert_true (isnan (want) ? isnan (got[i]) : bits_of_f32 (got[i]) == bits_of_f32 (want));
    }
}

/* Tests all kinds of codes and scales, levels in any order, and groups of every size */
static void
test_decode (const QconvKernelLevel *level)
{
  static const float any[N_LEVELS]
      = { 3.0f, -0.5f, 0.5f, -0.0f, 1e30f, 1.5f, 2.5f, -1.5f, -2.5f, 0.0f, -1.0f, 0.25f, -1e-30f, 7.0f, 0.5f, -126.5f };
  static const Matrix forms[] = { { .codes = QCONV_U4, .scales = QCONV_F8_E4M3, .levels = any },
                                  { .codes = QCONV_U4, .scales = QCONV_F32, .levels = any },
                                  { .codes = QCONV_U4, .scales = QCONV_F8_E4M3 },
                                  { .codes = QCONV_U4, .scales = QCONV_F32 },
                                  { .codes = QCONV_U8, .scales = QCONV_F8_E4M3 },
                                  { .codes = QCONV_U8, .scales = QCONV_F32 } };
  static const gsize groups[] = { 4, 8, 16, 24, 64, 256 }, counts[] = { 1, 3, 8, 65 };
  guint64 state = 4;

  for (guint i = 0; i < G_N_ELEMENTS (forms) * G_N_ELEMENTS (groups) * G_N_ELEMENTS (counts); i++)
    {
      Matrix m = forms[i % G_N_ELEMENTS (forms)];
      g_auto (Encoded) e = { 0 };
      gsize n_scales;

      m.rows = DECODED_ROWS;
      m.group = groups[i / G_N_ELEMENTS (forms) % G_N_ELEMENTS (groups)];
      m.groups = counts[i / G_N_ELEMENTS (forms) / G_N_ELEMENTS (groups)];
      n_scales = m.rows * m.groups;
      e.code_bytes = n_scales * m.group / (m.codes == QCONV_U4 ? 2 : 1);
      e.scale_bytes = n_scales * (m.scales == QCONV_F32 ? sizeof (float) : 1);
      e.codes = g_malloc (e.code_bytes);
      e.scales = g_malloc (e.scale_bytes);
      e.rows = g_new (float, m.rows);
      fill_bytes (e.codes, e.code_bytes, &state);
      if (m.scales == QCONV_F32)
        fill_scales ((float *) (gpointer) e.scales, n_scales, &state);
      else
        fill_bytes (e.scales, e.scale_bytes, &state);
      fill_scales (e.rows, m.rows, &state);
      check_decoded (level, &m, &e);
    }
}

/* Tests that "w4a8-decode" refuses groups that do not fit, levels for 6 bits, and each buffer that is one byte short
   or of another type */
static void
test_decode_refused (const QconvKernelLevel *level)
{
  guint8 codes[64] = { 0 }, scales[4] = { 0 };
  float levels[N_LEVELS] = { 0.0f }, rows[2] = { 0.0f }, floats[64];
  const struct {
    gsize codes, levels, scales, rows, floats, cols, group;
    QconvDType dtype;
    enum { RIGHT, LEVELS, SCALES, ROWS, FLOATS } wrong;
  } cases[] = {
    { 32, 64, 4, 8, 256, 32, 16, QCONV_U4 },         { 31, 64, 4, 8, 256, 32, 16, QCONV_U4 },
    { 32, 63, 4, 8, 256, 32, 16, QCONV_U4 },         { 32, 64, 3, 8, 256, 32, 16, QCONV_U4 },
    { 32, 64, 4, 7, 256, 32, 16, QCONV_U4 },         { 32, 64, 4, 8, 255, 32, 16, QCONV_U4 },
    { 32, 64, 4, 8, 256, 24, 16, QCONV_U4 },         { 32, 64, 4, 8, 256, 24, 12, QCONV_U4 },
    { 32, 64, 4, 8, 256, 32, 0, QCONV_U4 },          { 64, 64, 4, 8, 256, 32, 16, QCONV_U8 },
    { 63, 0, 4, 8, 256, 32, 16, QCONV_U8 },          { 64, 0, 4, 8, 256, 32, 16, QCONV_I8 },
    { 32, 64, 4, 8, 256, 32, 16, QCONV_U4, LEVELS }, { 32, 64, 4, 8, 256, 32, 16, QCONV_U4, SCALES },
    { 32, 64, 4, 8, 256, 32, 16, QCONV_U4, ROWS },   { 32, 64, 4, 8, 256, 32, 16, QCONV_U4, FLOATS },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint wrong = cases[i].wrong;
      QconvBuffer c = QCONV_BUFFER (codes, cases[i].codes, cases[i].dtype);
      QconvBuffer l = QCONV_BUFFER (levels, cases[i].levels, wrong == LEVELS ? QCONV_F16 : QCONV_F32);
      QconvBuffer s = QCONV_BUFFER (scales, cases[i].scales, wrong == SCALES ? QCONV_F8_E5M2 : QCONV_F8_E4M3);
      QconvBuffer r = QCONV_BUFFER (rows, cases[i].rows, wrong == ROWS ? QCONV_F16 : QCONV_F32);
      QconvBuffer f = QCONV_BUFFER (floats, cases[i].floats, wrong == FLOATS ? QCONV_F16 : QCONV_F32);
      const QconvArg args[] = { QCONV_BUF (&c),          QCONV_BUF (cases[i].levels > 0 ? &l : NULL),
                                QCONV_BUF (&s),          QCONV_BUF (&r),
                                QCONV_BUF (&f),          QCONV_I (2),
                                QCONV_I (cases[i].cols), QCONV_I (cases[i].group) };
      g_autoptr (GError) error = NULL;

      g_assert_true (kernel_try (level, "w4a8-decode", args, &error) == (i == 0));
      if (i > 0)
        g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (w4a8)
{
  kernel_add_tests ("/w4a8/levels", test_levels);
  kernel_add_tests ("/w4a8/middles", test_middles);
  kernel_add_tests ("/w4a8/ties", test_ties);
  kernel_add_tests ("/w4a8/zeros", test_zeros);
  kernel_add_tests ("/w4a8/too-large", test_too_large);
  kernel_add_tests ("/w4a8/refused", test_refused);
  kernel_add_tests ("/w4a8/decode", test_decode);
  kernel_add_tests ("/w4a8/decode-refused", test_decode_refused);
}
