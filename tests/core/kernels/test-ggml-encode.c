/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests encoding the block types of ggml: against golden files and checksums of ggml, the levels against each other,
   and the search against ggml's blocks. */
#include <math.h>
#include <string.h>

#include "golden-file.h"
#include "kernel-fixture.h"

/**
 * Type: a type and ggml's bytes for the weights of make_weights().
 *
 * @golden: the file in golden/gguf/types
 * @reached: the relative error that the search reaches on normally distributed weights
 * @plain, @weighted: the first 12 bytes of the SHA-256 without and with importance; (nullable): the same
 */
typedef struct {
  const char *golden, *op;
  gsize items, bytes;
  double reached;
  const char *plain, *weighted;
} Type;

static const Type types[] = {
  { "Q8_0", "q8_0", 32, 34, 2.4e-05, "4e3cbe7cb5fd97e35097f8c9" },
  { "Q4_0", "q4_0", 32, 18, 0.0066, "e8f50209d0baa9cee343b231", "134fe744eebbb150af3ef42a" },
  { "Q4_1", "q4_1", 32, 20, 0.00485, "2d953e36ee8ad67996543e9b", "c01f158ba4adeca5ace8b037" },
  { "Q5_0", "q5_0", 32, 22, 0.00161, "dd840ffb152044ab741825db", "11af27ab262edc6a560bb590" },
  { "Q5_1", "q5_1", 32, 24, 0.00115, "a3b154d85cf03db6dc618b04", "18ad6ae06a0f2bd62203a2ce" },
  { "MXFP4", "mxfp4_blocks", 32, 17, 0.0125, "dfe5636e8eb4721a1e4c1904" },
  { "NVFP4", "nvfp4_blocks", 64, 36, 0.007, "4aa09c392b86c80fe37ab128" },
  { "TQ1_0", "tq1_0", 256, 54, 0.19, "2a62ef1e07d925f434d11bae" },
  { "TQ2_0", "tq2_0", 256, 66, 0.19, "1a0683a8e329ff3bf69b5b4e" },
  { "Q2_K", "q2_k", 256, 84, 0.07, "20be5a0fd3c2ab97823744a1", "724e48fd6c9bffd7605a6fdf" },
  { "Q3_K", "q3_k", 256, 110, 0.021, "58cc9e04f603c2cdfe7b8306", "4ca9fdd5b095ca01b9750ad7" },
  { "Q4_K", "q4_k", 256, 144, 0.00496, "a418c91295e2b26190403b22", "960e1ed83493170868a8389f" },
  { "Q5_K", "q5_k", 256, 176, 0.0012, "ed8d483edb79260b87e010e4", "64b31cdc95d72f2bd162bf78" },
  { "Q6_K", "q6_k", 256, 210, 0.000285, "2d6b2944510ad397c0612eaa", "d373e12390ff4b4902a8213a" },
  { "IQ4_NL", "iq4_nl", 32, 18, 0.0055, "e62e23bda6725a0230b89a19", "ee69ba0d779c203f1585cade" },
  { "IQ4_XS", "iq4_xs", 256, 136, 0.0056, "2549fbafc2d24581613a8cb6", "15ffb95ffadea937254f37d5" },
};

/* One call of an encoder. @importance: (nullable) */
typedef struct {
  QconvDType dtype;
  gconstpointer weights;
  const float *importance;
  gsize rows, cols;
  gboolean search;
} Call;

/* Returns: (transfer full): the blocks. Checks that nothing is written behind them */
static guint8 *
encode (const QconvKernelLevel *level, const Type *type, const Call *c)
{
  gsize size = c->rows * (c->cols / type->items) * type->bytes;
  g_autofree char *op = g_strconcat (type->op, "-encode", NULL);
  guint8 *out = g_malloc (size + 16);
  QconvBuffer src = QCONV_BUFFER (c->weights, c->rows * c->cols * qconv_dtype_bits (c->dtype) / 8, c->dtype);
  QconvBuffer dst = QCONV_BUFFER (out, size, QCONV_OPAQUE);
  QconvBuffer importance = QCONV_BUFFER (c->importance, c->cols * sizeof (float), QCONV_F32);

  memset (out, 0xaa, size + 16);
  KERNEL_RUN (level, op, QCONV_BUF (&src), QCONV_BUF (&dst), QCONV_BUF (c->importance != NULL ? &importance : NULL),
              QCONV_I (c->rows), QCONV_I (c->cols), QCONV_I (c->search));
  for (gsize i = 0; i < 16; i++)
    g_assert_cmpuint (out[size + i], ==, 0xaa);
  return out;
}

/* Returns: (transfer full): the values of @n blocks, by the reference level */
static float *
decode (const Type *type, const guint8 *blocks, gsize n)
{
  g_autofree char *op = g_strconcat (type->op, "-decode", NULL);
  float *out = g_new (float, n * type->items);
  QconvBuffer src = QCONV_BUFFER (blocks, n * type->bytes, QCONV_OPAQUE);
  QconvBuffer dst = QCONV_BUFFER (out, n * type->items * sizeof (float), QCONV_F32);

  KERNEL_RUN (qconv_kernel_levels (), op, QCONV_BUF (&src), QCONV_BUF (&dst), QCONV_I (n));
  return out;
}

enum { ROWS = 2, COLS = 512, N = ROWS * COLS };

/* Fills two rows of sums of four random bytes, and the importance of their columns. Row 1 is small, has a block of
   zeros and one of large numbers. The checksums of ggml's bytes belong to these numbers */
static void
make_weights (float x[N], float importance[COLS])
{
  guint32 s = 1;

  for (gsize i = 0; i < N + COLS; i++)
    {
      guint sum = 0, last = 0;

      for (guint k = 0; k < (i < N ? 4u : 1u); k++)
        {
          s = 1664525 * s + 1013904223;
          last = s >> 24;
          sum += last;
        }
      if (i < N)
        x[i] = ((float) sum - 510.0f) / 128.0f * (i < COLS ? 1.0f : 0x1p-6f);
      else
        importance[i - N] = (float) ((1 + last) * (1 + last)) / 4096.0f;
    }
  memset (x + COLS, 0, 32 * sizeof *x);
  for (gsize i = 0; i < 32; i++)
    x[COLS + 64 + i] += 3.0f;
}

static void
check_digest (const guint8 *blocks, gsize size, const char *want)
{
  g_autofree char *digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, blocks, size);

  digest[24] = '\0';
  g_assert_cmpstr (digest, ==, want);
}

static void
test_checksums (const QconvKernelLevel *level)
{
  float x[N], importance[COLS];

  make_weights (x, importance);
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    {
      const Type *t = &types[i];
      g_autofree guint8 *plain = encode (level, t, &(Call) { QCONV_F32, x, NULL, ROWS, COLS, FALSE });
      g_autofree guint8 *weighted = encode (level, t, &(Call) { QCONV_F32, x, importance, ROWS, COLS, FALSE });

      g_test_message ("%s", t->golden);
      check_digest (plain, N / t->items * t->bytes, t->plain);
      check_digest (weighted, N / t->items * t->bytes, t->weighted != NULL ? t->weighted : t->plain);
    }
}

static void
check_golden (const QconvKernelLevel *level, const Type *type, const char *name, const char *source)
{
  g_autofree char *blocks_name = g_strdup_printf ("gguf/types/%s.gguf", type->golden);
  g_autofree char *source_name = g_strdup_printf ("gguf/types/%s.expected.safetensors", type->golden);
  g_autoptr (GoldenFile) blocks = golden_file_open (blocks_name), sources = golden_file_open (source_name);
  const GoldenTensor *want = golden_file_tensor (blocks, name), *x = golden_file_tensor (sources, source);
  gsize rows = x->shape[0], cols = x->shape[1];
  g_autofree guint8 *got = encode (level, type, &(Call) { QCONV_F32, x->data, NULL, rows, cols, FALSE });

  g_test_message ("%s %s", type->golden, name);
  g_assert_cmpmem (got, x->n_items / type->items * type->bytes, want->data, x->n_items / type->items * type->bytes);
}

static void
test_golden (const QconvKernelLevel *level)
{
  static const char *const python[] = { "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0", "MXFP4", NULL };
  static const char *const quirks[] = { "MXFP4", "NVFP4", NULL };

  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    {
      check_golden (level, &types[i], "real.ggml", "real.source");
      if (g_strv_contains (python, types[i].golden))
        check_golden (level, &types[i], "real.py", "real.source");
      if (g_strv_contains (quirks, types[i].golden))
        check_golden (level, &types[i], "quirk", "quirk.source");
    }
}

/* Fills rows of a kind: those of the fixture, then huge and tiny weights, and one weight among zeros of either sign */
enum { HUGE_WEIGHTS = KERNEL_N_KINDS, TINY, SINGLE, N_KINDS };
static void
fill (guint kind, float *x, gsize n, guint64 *state)
{
  kernel_fill (kind < KERNEL_N_KINDS ? kind : KERNEL_NORMAL, x, n, state);
  for (gsize i = 0; i < n; i++)
    if (kind == HUGE_WEIGHTS)
      x[i] *= i / 256 % 2 == 0 ? 1e6f : 1e12f;
    else if (kind == TINY)
      x[i] *= powf (0.1f, (float) (4 + i / 256 % 40));
    else if (kind == SINGLE)
      x[i] = i % 256 == i / 256 * 5 ? x[i] : i % 3 == 0 ? -0.0f : 0.0f;
}

enum { EDGE_ROWS = 3, EDGE_COLS = 2816, EDGE_N = EDGE_ROWS * EDGE_COLS };

/* Every level gives the bytes of the first one, for all types of weights, with and without importance */
static void
test_levels (const QconvKernelLevel *level)
{
  guint64 state = 1;

  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    for (guint kind = 0; kind < N_KINDS; kind++)
      {
        QconvDType dtype = kernel_weight_dtypes[kind % 3];
        float wide[EDGE_N], importance[EDGE_COLS];
        g_autofree void *x = NULL;

        fill (kind, wide, EDGE_N, &state);
        x = kernel_narrow (dtype, wide, EDGE_N);
        for (gsize c = 0; c < EDGE_COLS; c++)
          importance[c] = c % 7 == 0 ? 0.0f : (float) exp (kernel_normal (&state));
        for (guint k = 0; k < 4; k++)
          {
            Call c = { dtype, x, k % 2 == 0 ? NULL : importance, EDGE_ROWS, EDGE_COLS, k >= 2 };
            g_autofree guint8 *want = encode (qconv_kernel_levels (), &types[i], &c);
            g_autofree guint8 *got = encode (level, &types[i], &c);
            gsize size = EDGE_N / types[i].items * types[i].bytes;

            g_assert_cmpmem (got, size, want, size);
          }
      }
}

/* Returns a uniform number above 0 and below 1 */
static double
uniform (guint64 *state)
{
  return (kernel_random (state) + 0.5) / 0x1p32;
}

/* Kinds of weights of deviation 1: normal, Laplace, Student's t with five degrees of freedom, normal with columns that
   are twenty times larger, and normal ones of which a few are not zero */
enum { LAPLACE = 1, STUDENT, COLUMNS, FEW, N_DISTRIBUTIONS };

static float
draw (guint distribution, gsize i, guint64 *state)
{
  double v = kernel_normal (state), squares = 0;

  if (distribution == LAPLACE)
    return (float) (log (uniform (state)) * G_SQRT2 / 2 * (kernel_random (state) % 2 == 0 ? 1 : -1));
  for (guint k = 0; k < 5 && distribution == STUDENT; k++)
    squares += pow (kernel_normal (state), 2);
  if (distribution == STUDENT)
    return (float) (v / sqrt (squares / 3));
  if (distribution == COLUMNS && i % 97 == 5)
    return (float) (20 * v);
  return distribution == FEW && i % 61 != 0 ? 0.0f : (float) v;
}

/* Returns the error of one block, weighted by the @importance (nullable) of its columns */
static double
block_error (const float *x, const float *y, const float *importance, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (importance != NULL ? (double) importance[i] : 1) * pow ((double) x[i] - (double) y[i], 2);
  return sum;
}

/* Compares the search with ggml's blocks: no block may have a larger error. Returns the relative error of the search in
   parts of 1, and ggml's in @before */
static double
compare_search (const QconvKernelLevel *level, const Type *type, const float *x, const float *importance,
                double *before)
{
  Call c = { QCONV_F32, x, importance, EDGE_ROWS, EDGE_COLS, FALSE };
  g_autofree guint8 *rtn = encode (level, type, &c), *search = NULL;
  g_autofree float *was = decode (type, rtn, EDGE_N / type->items), *is = NULL;
  double squares = 0, error = 0;

  c.search = TRUE;
  search = encode (level, type, &c);
  is = decode (type, search, EDGE_N / type->items);
  *before = 0;
  for (gsize at = 0; at < EDGE_N; at += type->items)
    {
      const float *weights = importance != NULL ? importance + at % EDGE_COLS : NULL;
      g_autofree float *zeros = g_new0 (float, type->items);
      double then = block_error (x + at, was + at, weights, type->items);
      double now = block_error (x + at, is + at, weights, type->items);

      /* sums of the same squares in another order differ in the last places */
      g_assert_cmpfloat (now, <=, then * (1 + 1e-12));
      *before += then;
      error += now;
      squares += block_error (x + at, zeros, weights, type->items);
    }
  *before /= squares;
  return error / squares;
}

/* No block loses, on any distribution and scale; on normal weights the mean error is what the type should reach */
static void
test_search (const QconvKernelLevel *level)
{
  guint64 state = 3;
  float x[EDGE_N], importance[EDGE_COLS];

  for (gsize i = 0; i < EDGE_COLS; i++)
    importance[i] = (float) exp (kernel_normal (&state));
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    for (guint kind = 0; kind < N_DISTRIBUTIONS; kind++)
      {
        double before, error;

        for (gsize k = 0; k < EDGE_N; k++)
          x[k] = draw (kind, k % EDGE_COLS, &state);
        error = compare_search (level, &types[i], x, NULL, &before);
        g_test_message ("%s, distribution %u: %.4g, ggml %.4g", types[i].golden, kind, error, before);
        if (kind == 0)
          g_assert_cmpfloat (error, <=, types[i].reached * 1.02);
        error = compare_search (level, &types[i], x, importance, &before);
        g_assert_cmpfloat (error, <, before);
      }
}

static void
test_search_edges (const QconvKernelLevel *level)
{
  guint64 state = 4;
  float x[EDGE_N];
  double before;

  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    for (guint kind = 0; kind < N_KINDS; kind++)
      if (kind != KERNEL_WIDE && kind != KERNEL_SPECIAL) /* squares of differences overflow or vanish */
        {
          fill (kind, x, EDGE_N, &state);
          compare_search (level, &types[i], x, NULL, &before);
        }
}

/* Whatever finite weights come, no block decodes to Inf or NaN, not even if no column counts */
static void
test_finite (const QconvKernelLevel *level)
{
  guint64 state = 2;
  float x[EDGE_N], zeros[EDGE_COLS] = { 0 };

  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    for (guint kind = 0; kind < 4 * N_KINDS; kind++)
      {
        Call c = { QCONV_F32, x, kind % 4 >= 2 ? zeros : NULL, EDGE_ROWS, EDGE_COLS, kind % 2 == 1 };
        g_autofree guint8 *blocks = NULL;
        g_autofree float *y = NULL;

        fill (kind / 4, x, EDGE_N, &state);
        blocks = encode (level, &types[i], &c);
        y = decode (&types[i], blocks, EDGE_N / types[i].items);
        for (gsize k = 0; k < EDGE_N; k++)
          g_assert_true (isfinite (y[k]));
      }
}

/* Buffers that are too small, rows of broken blocks and other types of weights are refused */
static void
test_refused (const QconvKernelLevel *level)
{
  const QconvOp *op = kernel_op (level, "q4_k-encode");
  float weights[512] = { 0 }, numbers[256] = { 0 };
  guint8 bytes[288];
  const struct {
    gsize bytes, importance;
    QconvDType dtype;
    gint64 rows, cols;
  } cases[] = {
    { 287, 256, QCONV_F32, 2, 256 }, { 288, 255, QCONV_F32, 2, 256 }, { 288, 256, QCONV_F64, 2, 256 },
    { 288, 256, QCONV_F32, 3, 256 }, { 288, 256, QCONV_F32, 1, 288 }, { 288, 256, QCONV_F32, -1, 256 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      QconvBuffer src = QCONV_BUFFER (weights, sizeof weights, cases[i].dtype);
      QconvBuffer dst = QCONV_BUFFER (bytes, cases[i].bytes, QCONV_OPAQUE);
      QconvBuffer importance = QCONV_BUFFER (numbers, cases[i].importance * sizeof (float), QCONV_F32);
      const QconvArg args[] = { QCONV_BUF (&src),        QCONV_BUF (&dst),        QCONV_BUF (&importance),
                                QCONV_I (cases[i].rows), QCONV_I (cases[i].cols), QCONV_I (0) };
      g_autoptr (GError) error = NULL;

      g_assert_false (op->run (NULL, NULL, args, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
    }
}

KERNEL_TESTS (ggml_encode)
{
  kernel_add_tests ("/ggml-encode/checksums", test_checksums);
  kernel_add_tests ("/ggml-encode/golden", test_golden);
  kernel_add_tests ("/ggml-encode/levels", test_levels);
  kernel_add_tests ("/ggml-encode/finite", test_finite);
  kernel_add_tests ("/ggml-encode/refused", test_refused);
  kernel_add_tests ("/ggml-encode/search", test_search);
  kernel_add_tests ("/ggml-encode/search-edges", test_search_edges);
}
