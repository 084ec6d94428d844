/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests tables of 16 levels: every level of the instruction set against the reference, and the promises of the
   search. */
#include <math.h>
#include <string.h>

#include "kernel-fixture.h"

#define LEVELS 16

/* NF4; FP4, whose codes are not sorted and hold zero twice; AF4, which descends */
static const float tables[3][LEVELS] = {
  { -1.0f, -0.6961928f, -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f, -0.091050036f, 0.0f, 0.0795803f,
    0.1609302f, 0.2461123f, 0.33791524f, 0.44070983f, 0.562617f, 0.72295684f, 1.0f },
  { 0.0f, 0.0052083335f, 0.6666667f, 1.0f, 0.33333334f, 0.5f, 0.16666667f, 0.25f, 0.0f, -0.0052083335f, -0.6666667f,
    -1.0f, -0.33333334f, -0.5f, -0.16666667f, -0.25f },
  { 1.0f, 0.72424863f, 0.55496234f, 0.42563882f, 0.31675666f, 0.21961274f, 0.12934483f, 0.04273164f, 0.0f, -0.04934812f,
    -0.14982478f, -0.25607552f, -0.3736951f, -0.51243739f, -0.69441008f, -1.0f },
};

/* The result of an encoder; allocated to the byte, so that a sanitizer finds writes behind it */
typedef struct {
  guint8 *codes;
  float *absmax;
  gsize n_codes, n_blocks;
} Encoded;

static void
clear_encoded (Encoded *e)
{
  g_free (e->codes);
  g_free (e->absmax);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Encoded, clear_encoded)

/* A matrix and the way to encode it */
typedef struct {
  QconvDType dtype;
  const void *weight;
  const float *table;
  gsize rows, cols, block;
} Matrix;

/* Encodes with operation "codebook4-encode-" and @op. @given: its absmax, or NULL */
static void
encode (const QconvKernelLevel *level, const char *op, const Matrix *m, const float *given, Encoded *e)
{
  g_autofree char *name = g_strconcat ("codebook4-encode-", op, NULL);
  gsize all = m->rows * m->cols;
  QconvBuffer w = QCONV_BUFFER (m->weight, all * qconv_dtype_bits (m->dtype) / 8, m->dtype);
  QconvBuffer table = QCONV_BUFFER (m->table, LEVELS * sizeof (float), QCONV_F32), codes, absmax;

  e->n_codes = m->rows * ((m->cols + 1) / 2);
  e->n_blocks = (all + m->block - 1) / m->block;
  e->codes = g_malloc (e->n_codes);
  e->absmax = g_new (float, e->n_blocks);
  memset (e->codes, 0xaa, e->n_codes);
  if (given != NULL)
    memcpy (e->absmax, given, e->n_blocks * sizeof *given);
  codes = QCONV_BUFFER (e->codes, e->n_codes, QCONV_U4);
  absmax = QCONV_BUFFER (e->absmax, e->n_blocks * sizeof (float), QCONV_F32);
  KERNEL_RUN (level, name, QCONV_BUF (&w), QCONV_BUF (&table), QCONV_BUF (&codes), QCONV_BUF (&absmax),
              QCONV_I (m->rows), QCONV_I (m->cols), QCONV_I (m->block));
}

static float *
find_absmax (const QconvKernelLevel *level, const char *op, const Matrix *m)
{
  g_autofree char *name = g_strconcat ("codebook4-absmax-", op, NULL);
  gsize all = m->rows * m->cols, n = (all + m->block - 1) / m->block;
  float *absmax = g_new (float, n);
  QconvBuffer w = QCONV_BUFFER (m->weight, all * qconv_dtype_bits (m->dtype) / 8, m->dtype);
  QconvBuffer table = QCONV_BUFFER (m->table, LEVELS * sizeof (float), QCONV_F32);
  QconvBuffer result = QCONV_BUFFER (absmax, n * sizeof *absmax, QCONV_F32);

  KERNEL_RUN (level, name, QCONV_BUF (&w), QCONV_BUF (&table), QCONV_BUF (&result), QCONV_I (m->rows),
              QCONV_I (m->cols), QCONV_I (m->block));
  return absmax;
}

static float *
decode (const QconvKernelLevel *level, const Matrix *m, const Encoded *e)
{
  float *out = g_new (float, m->rows * m->cols);
  QconvBuffer table = QCONV_BUFFER (m->table, LEVELS * sizeof (float), QCONV_F32);
  QconvBuffer codes = QCONV_BUFFER (e->codes, e->n_codes, QCONV_U4);
  QconvBuffer absmax = QCONV_BUFFER (e->absmax, e->n_blocks * sizeof (float), QCONV_F32);
  QconvBuffer dst = QCONV_BUFFER (out, m->rows * m->cols * sizeof *out, QCONV_F32);

  KERNEL_RUN (level, "codebook4-decode", QCONV_BUF (&codes), QCONV_BUF (&table), QCONV_BUF (&absmax), QCONV_BUF (&dst),
              QCONV_I (m->rows), QCONV_I (m->cols), QCONV_I (m->block));
  return out;
}

static void
assert_equal_levels (const QconvKernelLevel *level, const Matrix *m)
{
  static const char *const ops[] = { "rtn", "search", "given" };
  const QconvKernelLevel *scalar = qconv_kernel_levels ();
  g_autofree float *given = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      g_auto (Encoded) want = { 0 }, got = { 0 };
      g_autofree float *a = NULL, *b = NULL;

      encode (scalar, ops[i], m, given, &want);
      encode (level, ops[i], m, given, &got);
      g_assert_cmpmem (got.absmax, got.n_blocks * sizeof (float), want.absmax, want.n_blocks * sizeof (float));
      g_assert_cmpmem (got.codes, got.n_codes, want.codes, want.n_codes);
      a = decode (scalar, m, &want);
      b = decode (level, m, &want);
      g_assert_cmpmem (b, m->rows * m->cols * sizeof *b, a, m->rows * m->cols * sizeof *a);
      if (given == NULL) /* the last one half as large and negative */
        {
          given = g_memdup2 (want.absmax, want.n_blocks * sizeof (float));
          given[want.n_blocks - 1] *= -0.5f;
        }
      if (i < 2)
        {
          g_autofree float *absmax = find_absmax (level, ops[i], m);

          g_assert_cmpmem (absmax, want.n_blocks * sizeof (float), want.absmax, want.n_blocks * sizeof (float));
        }
    }
}

static void
test_kinds (const QconvKernelLevel *level)
{
  static const gsize blocks[] = { 16, 32, 64, 128, 1024, 4096 };
  const gsize rows = 8, cols = 1032;
  g_autofree float *wide = g_new (float, rows *cols);
  guint64 state = 7;

  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    for (guint d = 0; d < G_N_ELEMENTS (kernel_weight_dtypes); d++)
      for (guint i = 0; i < G_N_ELEMENTS (blocks); i++)
        {
          g_autofree void *w = NULL;
          Matrix m = { kernel_weight_dtypes[d], NULL, tables[i % G_N_ELEMENTS (tables)], rows, cols, blocks[i] };

          kernel_fill (kind, wide, rows * cols, &state);
          m.weight = w = kernel_narrow (kernel_weight_dtypes[d], wide, rows * cols);
          assert_equal_levels (level, &m);
        }
}

static void
check_tail (QconvDType dtype, gconstpointer weights, gsize cols, gconstpointer level)
{
  assert_equal_levels (level, &(Matrix) { dtype, weights, tables[cols % 3], 5, cols, cols % 2 ? 64 : 32 });
}

/* Tests blocks that span rows, rows of odd length, a last block that ends early, and memory without alignment */
static void
test_tails (const QconvKernelLevel *level)
{
  kernel_each_tail (5, check_tail, level);
}

/* Blocks of weights at the edges of what a search may estimate */
typedef enum {
  EDGE_NORMAL,
  EDGE_LEVELS,     /* levels under a factor that is tried: the least error is 0 or nearly so */
  EDGE_THRESHOLDS, /* midway between them */
  EDGE_STEPS,      /* 256ths of the largest magnitude, and their neighbours */
  EDGE_EQUAL,      /* magnitudes that are all the same: factors above and below 1 have nearly equal errors */
  EDGE_ONE,        /* one weight far above the others */
  EDGE_ZEROS,
  EDGE_TINY,
  EDGE_HUGE,
  EDGE_INFINITE,
  N_EDGES
} Edge;

static float
edge_weight (Edge edge, const float *table, float factor, guint64 *state)
{
  guint r = kernel_random (state), level = r % LEVELS, sign = r >> 8 & 1;
  float random = (float) (gint) (kernel_random (state) % 2001) / 1000.0f - 1.0f;

  switch (edge)
    {
    case EDGE_LEVELS:
      return table[level] * factor;
    case EDGE_THRESHOLDS:
      return nextafterf ((table[level] + table[(level + 1) % LEVELS]) / 2.0f * factor, sign ? 2.0f : random);
    case EDGE_STEPS:
      return nextafterf (truncf (random * 256.0f) / 256.0f, r % 3 == 0 ? 0.0f : random);
    case EDGE_EQUAL:
      return sign ? 1.0f : -1.0f;
    case EDGE_ONE:
      return random / 1000.0f;
    case EDGE_ZEROS:
      return sign ? 0.0f : -0.0f;
    case EDGE_TINY:
      return random * 0x1p-126f;
    case EDGE_HUGE:
      return random * 0x1p119f;
    case EDGE_INFINITE:
      return r % 7 == 0 ? (sign ? INFINITY : -INFINITY) : random;
    default:
      return random * random * random;
    }
}

/* The factors of the search, those beside them, and one that it does not try */
static void
fill_edges (float *w, gsize n, gsize block, const float *table, guint64 *state)
{
  static const float factors[]
      = { 1.0f, 0.95f, 0.9f, 0.85f, 0.8f, 0.75f, 0.7f, 0.5f, 0.3f, 1.05f, 1.1f, 1.25f, 1.4f, 0.975f, 1.125f, 0.983f };

  for (gsize at = 0; at < n; at += block)
    {
      Edge edge = kernel_random (state) % N_EDGES;
      float factor = factors[kernel_random (state) % G_N_ELEMENTS (factors)];
      gsize end = MIN (n, at + block), largest = at + kernel_random (state) % (end - at);

      for (gsize i = at; i < end; i++)
        w[i] = edge_weight (edge, table, factor, state);
      if (edge < EDGE_ZEROS)
        w[largest] = kernel_random (state) % 2 ? 1.0f : -1.0f;
    }
}

static void
test_edges (const QconvKernelLevel *level)
{
  const gsize rows = 37, cols = 1021, all = rows * cols;
  g_autofree float *w = g_new (float, all);
  guint64 state = 11;

  for (gsize block = 16; block <= 256; block *= 2)
    for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
      {
        Matrix m = { QCONV_F32, w, tables[i], rows, cols, block };

        fill_edges (w, all, block, tables[i], &state);
        assert_equal_levels (level, &m);
      }
}

/* Tests that blocks with NaNs leave the others as they are */
static void
test_nans (const QconvKernelLevel *level)
{
  enum { ROWS = 33, COLS = 1024, BLOCK = 64 };
  g_autofree float *w = g_new (float, ROWS *COLS);
  Matrix m = { QCONV_F32, w, tables[0], ROWS, COLS, BLOCK };
  g_auto (Encoded) want = { 0 }, got = { 0 };
  guint64 state = 17;

  fill_edges (w, ROWS * COLS, BLOCK, tables[0], &state);
  for (gsize at = 5; at < ROWS * COLS; at += 3 * BLOCK)
    w[at] = NAN;
  encode (qconv_kernel_levels (), "search", &m, NULL, &want);
  encode (level, "search", &m, NULL, &got);
  for (gsize b = 0; b < want.n_blocks; b++)
    if (b % 3 != 0)
      {
        g_assert_cmpmem (&got.absmax[b], sizeof (float), &want.absmax[b], sizeof (float));
        g_assert_cmpmem (got.codes + b * BLOCK / 2, BLOCK / 2, want.codes + b * BLOCK / 2, BLOCK / 2);
      }
}

/* Tests tables for which estimates may not hold: without a zero, with large and with equal levels */
static void
test_other_tables (const QconvKernelLevel *level)
{
  const gsize rows = 32, cols = 1024;
  g_autofree float *w = g_new (float, rows *cols);
  float table[LEVELS];
  guint64 state = 13;

  for (guint kind = 0; kind < 4; kind++)
    {
      Matrix m = { QCONV_F32, w, table, rows, cols, 64 };

      for (guint i = 0; i < LEVELS; i++)
        table[i] = kind == 0   ? (float) i / 7.5f - 1.0f
                   : kind == 1 ? (float) i - 8.0f
                   : kind == 2 ? tables[0][i] * 0.4f
                               : tables[0][i / 2 * 2];
      fill_edges (w, rows * cols, 64, table, &state);
      assert_equal_levels (level, &m);
    }
}

static guint
code_at (const Encoded *e, gsize cols, gsize i)
{
  gsize row = i / cols, col = i % cols;

  return e->codes[row * ((cols + 1) / 2) + col / 2] >> (col % 2 * 4) & 15;
}

/* Finds the code by the rule of bitsandbytes, one weight at a time: the lowest of the nearest levels by value; between
   the two zeros of FP4 the threshold is 0 */
static guint
nearest_code (const float *table, float t)
{
  guint best = 0;

  for (guint code = 1; code < LEVELS; code++)
    {
      gboolean higher = table[code] > table[best] || (table[code] >= table[best] && code > best);
      float middle = (table[code] + table[best]) / 2.0f;

      if (higher ? t > middle : !(t > middle))
        best = code;
    }
  return best;
}

static void
test_rule (const QconvKernelLevel *level)
{
  enum { ROWS = 7, COLS = 45, ALL = ROWS * COLS, BLOCK = 64 };
  float w[ALL];
  guint64 state = 9;

  for (guint i = 0; i < 3 * KERNEL_N_KINDS; i++)
    {
      Matrix m = { QCONV_F32, w, tables[i % 3], ROWS, COLS, BLOCK };
      g_auto (Encoded) e = { 0 };

      kernel_fill (i / 3, w, ALL, &state);
      memset (w + BLOCK, 0, BLOCK * sizeof *w);
      encode (level, "rtn", &m, NULL, &e);
      for (gsize k = 0; k < ALL; k++)
        {
          float a = e.absmax[k / BLOCK];

          g_assert_cmpuint (code_at (&e, COLS, k), ==, nearest_code (m.table, w[k] * (1.0f / MAX (a, 1e-38f))));
          g_assert_cmpfloat (fabsf (w[k]), <=, a);
        }
      g_assert_cmpfloat (e.absmax[1], ==, 0.0f);
    }
}

static double
squared (const float *a, const float *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += ((double) a[i] - (double) b[i]) * ((double) a[i] - (double) b[i]);
  return sum;
}

static void
test_never_worse (const QconvKernelLevel *level)
{
  const gsize rows = 16, cols = 4096, all = rows * cols;
  g_autofree float *w = g_new (float, all);
  guint64 state = 1, better = 0;

  for (guint i = 0; i < 3 * KERNEL_N_KINDS; i++)
    {
      Matrix m = { QCONV_F32, w, tables[i % 3], rows, cols, i % 2 ? 64 : 512 };
      g_auto (Encoded) a = { 0 }, b = { 0 };
      g_autofree float *rtn = NULL, *searched = NULL;

      kernel_fill (i / 3, w, all, &state);
      encode (level, "rtn", &m, NULL, &a);
      encode (level, "search", &m, NULL, &b);
      rtn = decode (level, &m, &a);
      searched = decode (level, &m, &b);
      for (gsize k = 0; k < all; k += m.block)
        {
          double before = squared (w + k, rtn + k, m.block), after = squared (w + k, searched + k, m.block);

          g_assert_cmpfloat (after, <=, before * 1.00001);
          better += after < before;
        }
    }
  g_assert_cmpuint (better, >, 1000);
}

static void
test_refused (const QconvKernelLevel *level)
{
  float w[64] = { 0 }, absmax[1];
  guint8 codes[32];
  QconvBuffer weight = QCONV_BUFFER (w, sizeof w, QCONV_F32), table = QCONV_BUFFER (tables[0], 64, QCONV_F32);
  QconvBuffer c = QCONV_BUFFER (codes, sizeof codes, QCONV_U4), a = QCONV_BUFFER (absmax, sizeof absmax, QCONV_F32);
  const struct {
    gint64 rows, cols, block;
  } sizes[] = { { 1, 64, 0 },  { 1, 64, 8 },   { 1, 64, 48 }, { 1, 64, 8192 },
                { 2, 64, 64 }, { -1, 64, 64 }, { 1, 64, 32 }, { G_MAXINT64 / 8, 64, 64 } };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      const QconvArg args[]
          = { QCONV_BUF (&weight),     QCONV_BUF (&table),      QCONV_BUF (&c),          QCONV_BUF (&a),
              QCONV_I (sizes[i].rows), QCONV_I (sizes[i].cols), QCONV_I (sizes[i].block) };
      g_autoptr (GError) error = NULL;

      g_assert_false (kernel_try (level, "codebook4-encode-rtn", args, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (codebook4)
{
  kernel_add_tests ("/codebook4/kinds", test_kinds);
  kernel_add_tests ("/codebook4/tails", test_tails);
  kernel_add_tests ("/codebook4/edges", test_edges);
  kernel_add_tests ("/codebook4/nans", test_nans);
  kernel_add_tests ("/codebook4/other-tables", test_other_tables);
  kernel_add_tests ("/codebook4/rule", test_rule);
  kernel_add_tests ("/codebook4/never-worse", test_never_worse);
  kernel_add_tests ("/codebook4/refused", test_refused);
}
