/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests NVFP4: every level against the reference, against golden bytes, and the search against its promises. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "golden-file.h"
#include "kernel-fixture.h"

/**
 * Encoded: the result of an encoder.
 *
 * @codes, @scales: allocated to the byte, so that a sanitizer finds writes behind them
 */
typedef struct {
  guint8 *codes, *scales;
  gsize n_codes, n_scales;
} Encoded;

static void
encoded_clear (Encoded *e)
{
  g_free (e->codes);
  g_free (e->scales);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Encoded, encoded_clear)

static void
encode (const QconvKernelLevel *level, const char *op, const KernelMatrix *m, float tensor_scale, Encoded *e)
{
  gsize rows = m->rows, cols = m->cols;
  QconvBuffer w = kernel_matrix_buffer (m), codes, scales, tensor = QCONV_BUFFER (&tensor_scale, 4, QCONV_F32);

  e->n_codes = rows * ((cols + 1) / 2);
  e->n_scales = rows * ((cols + 15) / 16);
  e->codes = g_malloc (e->n_codes);
  e->scales = g_malloc (e->n_scales);
  memset (e->codes, 0xaa, e->n_codes);
  memset (e->scales, 0xaa, e->n_scales);
  codes = QCONV_BUFFER (e->codes, e->n_codes, QCONV_U4);
  scales = QCONV_BUFFER (e->scales, e->n_scales, QCONV_F8_E4M3);
  KERNEL_RUN (level, op, QCONV_BUF (&w), QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&tensor), QCONV_I (rows),
              QCONV_I (cols));
}

static float *
decode (const QconvKernelLevel *level, const Encoded *e, float tensor_scale, gsize rows, gsize cols)
{
  float *out = g_new (float, rows *cols);
  QconvBuffer codes = QCONV_BUFFER (e->codes, e->n_codes, QCONV_U4);
  QconvBuffer scales = QCONV_BUFFER (e->scales, e->n_scales, QCONV_F8_E4M3);
  QconvBuffer tensor = QCONV_BUFFER (&tensor_scale, 4, QCONV_F32);
  QconvBuffer dst = QCONV_BUFFER (out, rows * cols * sizeof *out, QCONV_F32);

  KERNEL_RUN (level, "nvfp4-decode", QCONV_BUF (&codes), QCONV_BUF (&scales), QCONV_BUF (&tensor), QCONV_BUF (&dst),
              QCONV_I (rows), QCONV_I (cols));
  return out;
}

static float
tensor_scale_of (const QconvKernelLevel *level, QconvDType dtype, const void *weight, gsize n)
{
  float top = 0.0f;
  QconvBuffer w = QCONV_BUFFER (weight, n * qconv_dtype_bits (dtype) / 8, dtype);
  QconvBuffer result = QCONV_BUFFER (&top, sizeof top, QCONV_F32);

  KERNEL_RUN (level, "amax", QCONV_BUF (&w), QCONV_BUF (&result));
  return top == 0.0f ? 1.0f : top / 2688.0f;
}

/* Compares with the reference, which is the first level. For that one itself it encodes once, so that memory checkers
   see it */
static void
assert_equal_levels (const QconvKernelLevel *level, const KernelMatrix *m, float tensor_scale)
{
  static const char *const ops[] = { "nvfp4-encode-rtn", "nvfp4-encode-search" };

  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      g_auto (Encoded) want = { 0 }, got = { 0 };

      encode (qconv_kernel_levels (), ops[i], m, tensor_scale, &want);
      if (level == qconv_kernel_levels ())
        continue;
      encode (level, ops[i], m, tensor_scale, &got);
      g_assert_cmpmem (got.scales, got.n_scales, want.scales, want.n_scales);
      g_assert_cmpmem (got.codes, got.n_codes, want.codes, want.n_codes);
    }
}

static void
test_kinds (const QconvKernelLevel *level)
{
  static const float tensor_scales[]
      = { 1.0f, 0.25f, 0.1f / 2688, 1.0f / 3, 0x1p-140f, 0x1p-126f, 0x1p-70f, 1e15f, 1e30f, 3e38f };
  const gsize rows = test_is_small () ? 3 : 8, cols = 16 * 67;
  g_autofree float *wide = g_new (float, rows *cols);
  guint64 state = 7;

  for (guint kind = 0; kind < KERNEL_N_KINDS; kind++)
    for (guint d = 0; d < G_N_ELEMENTS (kernel_weight_dtypes); d++)
      for (guint i = 0; i <= G_N_ELEMENTS (tensor_scales); i++)
        {
          QconvDType dtype = kernel_weight_dtypes[d];
          g_autofree void *w = NULL;

          kernel_fill (kind, wide, rows * cols, &state);
          w = kernel_narrow (dtype, wide, rows * cols);
          assert_equal_levels (level, KERNEL_MATRIX (dtype, w, rows, cols),
                               i == 0 ? tensor_scale_of (level, dtype, w, rows * cols) : tensor_scales[i - 1]);
        }
}

/* Tests many more blocks in which two scales are nearly as good as each other, or one is at its limit */
static void
test_close_decisions (const QconvKernelLevel *level)
{
  static const KernelKind kinds[] = { KERNEL_BOUNDARIES, KERNEL_TIES, KERNEL_SPARSE, KERNEL_NORMAL };
  const gsize cols = 16 * (test_is_small () ? 2048 : 16384);
  g_autofree float *w = g_new (float, cols);
  const KernelMatrix m = { QCONV_F32, w, 1, cols };
  guint64 state = 11;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      kernel_fill (kinds[i], w, cols, &state);
      assert_equal_levels (level, &m, tensor_scale_of (level, QCONV_F32, w, cols));
      assert_equal_levels (level, &m, 1.0f);
    }
}

/* Tests blocks for which several scales are exactly or all but equally good, and blocks of one magnitude, whose sums of
   squares are the largest: estimates must neither exclude the winner nor overflow */
static void
test_equal_errors (const QconvKernelLevel *level)
{
  static const float steps[] = { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f };
  const gsize blocks = test_is_small () ? 1024 : 16384;
  g_autofree float *w = g_new (float, 16 * blocks);
  guint64 state = 13;

  for (gsize b = 0; b < blocks; b++)
    {
      gboolean same = b % 4 == 0;
      /* 24 times a step is a multiple of the scales 8, 12 and 16 */
      float unit = (float) (8 + kernel_random (&state) % 24) * (same ? 1.0f : 24.0f);

      for (gsize i = 0; i < 16; i++)
        {
          guint32 r = kernel_random (&state), nudge = b % 3 == 0 ? r >> 8 & 3 : 0;
          float step = same ? 6.0f : steps[r % 8], x = unit * (i == 0 ? 6.0f : step);

          w[16 * b + i] = (r & 0x80000000 ? -1.0f : 1.0f) * x * (1.0f + (float) nudge * 0x1p-23f);
        }
    }
  assert_equal_levels (level, KERNEL_MATRIX (QCONV_F32, w, 1, 16 * blocks), 1.0f);
  assert_equal_levels (level, KERNEL_MATRIX (QCONV_F32, w, 1, 16 * blocks), 24.0f);
  assert_equal_levels (level, KERNEL_MATRIX (QCONV_F32, w, 1, 16 * blocks), 0.37f);
}

static void
check_tail (QconvDType dtype, gconstpointer weights, gsize cols, gconstpointer level)
{
  assert_equal_levels (level, KERNEL_MATRIX (dtype, weights, 3, cols), 0.01f);
}

static void
test_tails (const QconvKernelLevel *level)
{
  kernel_each_tail (3, check_tail, level);
}

/* Tests that a block that ends early equals a block with zeros behind it */
static void
test_padding (const QconvKernelLevel *level)
{
  float wide[2 * 48] = { 0 }, cut[2 * 37];
  guint64 state = 5;
  g_auto (Encoded) whole = { 0 }, part = { 0 };

  for (guint r = 0; r < 2; r++)
    {
      kernel_fill (KERNEL_NORMAL, wide + r * 48, 37, &state);
      memcpy (cut + r * 37, wide + r * 48, 37 * sizeof *cut);
    }
  encode (level, "nvfp4-encode-search", KERNEL_MATRIX (QCONV_F32, wide, 2, 48), 1e-4f, &whole);
  encode (level, "nvfp4-encode-search", KERNEL_MATRIX (QCONV_F32, cut, 2, 37), 1e-4f, &part);
  g_assert_cmpmem (whole.scales, whole.n_scales, part.scales, part.n_scales);
  for (guint r = 0; r < 2; r++)
    g_assert_cmpmem (whole.codes + r * 24, 19, part.codes + r * 19, 19);
}

static void
test_zeros (const QconvKernelLevel *level)
{
  static const char *const ops[] = { "nvfp4-encode-rtn", "nvfp4-encode-search" };
  float w[48] = { 1.0f, -0.0f, [16] = -0.0f, [32] = 1e-12f };

  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      g_auto (Encoded) e = { 0 }, none = { 0 };

      encode (level, ops[i], KERNEL_MATRIX (QCONV_F32, w, 1, 48), 1.0f / 2688, &e);
      g_assert_cmphex (e.codes[0], ==, 0x87); /* minus zero beside other weights keeps its sign */
      g_assert_cmphex (e.scales[0], ==, 0x7e);
      for (guint k = 8; k < 24; k++)
        g_assert_cmphex (e.codes[k], ==, 0); /* not in a zero block, and not if the scale underflows */
      g_assert_cmphex (e.scales[1] | e.scales[2], ==, 0);
      encode (level, ops[i], KERNEL_MATRIX (QCONV_F32, w, 1, 48), 0.0f, &none);
      for (guint k = 0; k < 24; k++)
        g_assert_cmphex (none.codes[k], ==, 0);
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
test_quality (const QconvKernelLevel *level)
{
  const gsize rows = test_is_small () ? 256 : 1024, cols = 1024, n = rows * cols;
  g_autofree float *wide = g_new (float, n), *zero = g_new0 (float, n), *rtn = NULL, *searched = NULL;
  g_autofree guint16 *w = NULL;
  g_auto (Encoded) a = { 0 }, b = { 0 };
  guint64 state = 1;
  double power, rtn_error, searched_error;
  float t;

  kernel_fill (KERNEL_NORMAL, wide, n, &state);
  w = kernel_narrow (QCONV_BF16, wide, n);
  for (gsize i = 0; i < n; i++)
    {
      guint32 bits = (guint32) w[i] << 16;

      memcpy (&wide[i], &bits, sizeof bits);
    }
  t = tensor_scale_of (level, QCONV_BF16, w, n);
  encode (level, "nvfp4-encode-rtn", KERNEL_MATRIX (QCONV_BF16, w, rows, cols), t, &a);
  encode (level, "nvfp4-encode-search", KERNEL_MATRIX (QCONV_BF16, w, rows, cols), t, &b);
  rtn = decode (level, &a, t, rows, cols);
  searched = decode (level, &b, t, rows, cols);
  power = squared (wide, zero, n);
  rtn_error = squared (wide, rtn, n) / power;
  searched_error = squared (wide, searched, n) / power;
  g_test_message ("relative squared error: rtn %.4e, search %.4e", rtn_error, searched_error);
  /* The error grows a little with the largest of all weights */
  g_assert_cmpfloat_with_epsilon (rtn_error, 9.07e-3, test_is_small () ? 0.2e-3 : 0.05e-3);
  g_assert_cmpfloat (searched_error, <=, 6.62e-3);
  for (gsize i = 0; i < n; i += 16)
    g_assert_cmpfloat (squared (wide + i, searched + i, 16), <=, squared (wide + i, rtn + i, 16) * 1.00001);
}

static const GoldenTensor *
tensor_of_layer (const GoldenFile *file, const char *layer, const char *suffix)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", layer, suffix);

  for (guint i = 0; i < file->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (file->tensors, i);

      if (strcmp (t->name, name) == 0)
        return t;
    }
  return NULL;
}

/* Compares with stored codes: the even column in the high half, rows padded to a multiple of 16 columns */
static void
assert_stored_codes (const GoldenTensor *stored, const Encoded *e, gsize rows, gsize cols)
{
  gsize stored_bytes = stored->shape[1], bytes = (cols + 1) / 2;

  for (gsize r = 0; r < stored->shape[0]; r++)
    for (gsize b = 0; b < stored_bytes; b++)
      {
        guint8 x = stored->data[r * stored_bytes + b];

        g_assert_cmphex ((guint8) (x << 4 | x >> 4), ==, r < rows && b < bytes ? e->codes[r * bytes + b] : 0);
      }
}

/* Compares with stored scales: tiles of 128 rows and 4 blocks; in a tile the rows that are equal modulo 32 come
   first */
static void
assert_stored_scales (const GoldenTensor *stored, const Encoded *e, gsize rows, gsize blocks)
{
  gsize stored_rows = stored->shape[0], stored_blocks = stored->shape[1];

  for (gsize r = 0; r < stored_rows; r++)
    for (gsize c = 0; c < stored_blocks; c++)
      {
        gsize tile = r / 128 * (stored_blocks / 4) + c / 4;
        gsize at = tile * 512 + r % 32 * 16 + r % 128 / 32 * 4 + c % 4;

        g_assert_cmphex (stored->data[at], ==, r < rows && c < blocks ? e->scales[r * blocks + c] : 0);
      }
}

static void
assert_same_but_for_zero_sign (const float *got, const float *want, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      float a = got[i] + 0.0f, b = want[i] + 0.0f;

      g_assert_cmpmem (&a, sizeof a, &b, sizeof b);
    }
}

static guint
check_golden_layer (const QconvKernelLevel *level, GoldenFile *file, const char *source, QconvDType dtype,
                    const char *mode)
{
  g_autofree char *layer = g_strdup_printf ("%s.%s", source, mode), *source_name = g_strdup_printf ("src.%s", source);
  const GoldenTensor *codes = tensor_of_layer (file, layer, "weight"), *w, *decoded;
  g_auto (Encoded) e = { 0 };
  gsize rows, cols;
  float t, stored_t;

  if (codes == NULL || golden_file_informative (file, layer))
    return 0;
  memcpy (&stored_t, tensor_of_layer (file, layer, "weight_scale_2")->data, sizeof stored_t);
  if (*mode == 'Q' && stored_t > 0.0f && stored_t < FLT_MIN)
    return 0; /* comfy-quants divides by the smallest normal number then, unlike comfy-kitchen */
  w = golden_file_tensor (file, source_name);
  rows = w->shape[0];
  cols = w->shape[1];
  t = tensor_scale_of (level, dtype, w->data, rows * cols);
  encode (level, "nvfp4-encode-rtn", KERNEL_MATRIX (dtype, w->data, rows, cols), t, &e);
  assert_stored_codes (codes, &e, rows, cols);
  assert_stored_scales (tensor_of_layer (file, layer, "weight_scale"), &e, rows, (cols + 15) / 16);
  if (stored_t == 0.0f) /* a tensor of zeros, for which any scale will do */
    g_assert_cmpfloat (t, ==, 1.0f);
  else
    g_assert_cmpmem (&stored_t, sizeof t, &t, sizeof t);
  decoded = tensor_of_layer (file, layer, "decoded");
  if (decoded != NULL)
    {
      g_autofree float *values = decode (level, &e, t, rows, cols);

      assert_same_but_for_zero_sign (values, (const float *) decoded->data, rows * cols);
    }
  return 1;
}

static void
test_golden (const QconvKernelLevel *level)
{
  static const char *const cases[]
      = { "zero", "zero_blocks", "kmin", "pad_nk", "dtypes", "ties", "outlier", "tiny", "subnormal", "shape96x80" };
  static const char *const sources[] = { "f32", "f16", "bf16" }, *const modes[] = { "A", "Q" };
  guint checked = 0;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *name = g_strdup_printf ("comfy/nvfp4.%s.safetensors", cases[i]);
      g_autoptr (GoldenFile) file = golden_file_open (name);

      for (guint s = 0; s < G_N_ELEMENTS (sources); s++)
        for (guint m = 0; m < G_N_ELEMENTS (modes); m++)
          checked += check_golden_layer (level, file, sources[s], kernel_weight_dtypes[s], modes[m]);
    }
  g_test_message ("%u layers", checked);
  g_assert_cmpuint (checked, >=, 30);
}

KERNEL_TESTS (nvfp4)
{
  kernel_add_tests ("/nvfp4/kinds", test_kinds);
  kernel_add_tests ("/nvfp4/close-decisions", test_close_decisions);
  kernel_add_tests ("/nvfp4/equal-errors", test_equal_errors);
  kernel_add_tests ("/nvfp4/tails", test_tails);
  kernel_add_tests ("/nvfp4/padding", test_padding);
  kernel_add_tests ("/nvfp4/zeros", test_zeros);
  kernel_add_tests ("/nvfp4/quality", test_quality);
  kernel_add_tests ("/nvfp4/golden", test_golden);
}
