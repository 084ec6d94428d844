/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the quantizers of the block types: golden bytes of ggml, efforts, types of weights, tiles, bounds, refusals. */
#include <string.h>

#include "golden-file.h"
#include "kernel-fixture.h"
#include "quantizer-driver.h"

const QconvPlugin *qconv_plugin_gguf (void);

/* Types with an encoder: the golden file and the scheme */
static const char *const types[][2] = {
  { "Q8_0", "q8_0" }, { "Q4_0", "q4_0" },          { "Q4_1", "q4_1" },          { "Q5_0", "q5_0" },
  { "Q5_1", "q5_1" }, { "MXFP4", "mxfp4_blocks" }, { "NVFP4", "nvfp4_blocks" }, { "TQ1_0", "tq1_0" },
  { "Q2_K", "q2_k" }, { "Q3_K", "q3_k" },          { "Q4_K", "q4_k" },          { "Q5_K", "q5_k" },
  { "Q6_K", "q6_k" }, { "IQ4_NL", "iq4_nl" },      { "IQ4_XS", "iq4_xs" },      { "TQ2_0", "tq2_0" },
};

static Encoded *
new_matrix (const char *scheme, const char *options, QconvDType dtype, guint64 rows, guint64 cols)
{
  return encoded_must_new (driver_quantizer (qconv_plugin_gguf (), scheme), options, dtype, rows, cols);
}

/* --effort rtn gives ggml's bytes, whatever the height of tiles */
static void
test_golden (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autofree char *blocks_name = g_strdup_printf ("gguf/types/%s.gguf", types[i][0]);
      g_autofree char *source_name = g_strdup_printf ("gguf/types/%s.expected.safetensors", types[i][0]);
      g_autoptr (GoldenFile) blocks = golden_file_open (blocks_name), source = golden_file_open (source_name);
      const GoldenTensor *x = golden_file_tensor (source, "real.source");
      g_autoptr (Encoded) e = new_matrix (types[i][1], "effort=rtn", QCONV_F32, x->shape[0], x->shape[1]);
      gpointer got;
      gsize size;

      g_test_message ("%s", types[i][0]);
      encoded_must_encode (e, x->data, 1 + i % 3);
      got = encoded_data (e, "blocks", &size);
      g_assert_cmpmem (got, size, golden_file_tensor (blocks, "real.ggml")->data, size);
    }
}

enum { ROWS = 5, COLS = 768, N = ROWS * COLS };

/* The default has a smaller error than ggml, and both stay within the bound; NVFP4 has no tensor scale */
static void
test_efforts (void)
{
  const QconvPlugin *plugin = qconv_plugin_gguf ();
  guint64 state = 1;
  float x[N];

  for (gsize i = 0; i < N; i++)
    x[i] = (float) kernel_normal (&state);
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      const QconvQuantizer *q = driver_quantizer (plugin, types[i][1]);
      g_autoptr (Encoded) rtn = new_matrix (types[i][1], "effort=rtn", QCONV_F32, ROWS, COLS);
      g_autoptr (Encoded) search = new_matrix (types[i][1], NULL, QCONV_F32, ROWS, COLS);
      g_autofree float *was = NULL, *is = NULL;
      double before, after;

      encoded_must_encode (rtn, x, 0);
      encoded_must_encode (search, x, 2);
      if (encoded_data (rtn, "tensor_scale", NULL) != NULL)
        {
          encoded_drop (rtn, "tensor_scale");
          encoded_drop (search, "tensor_scale");
        }
      was = encoded_must_decode (rtn, 0);
      is = encoded_must_decode (search, 0);
      before = driver_relative_error (QCONV_F32, x, was, ROWS, COLS);
      after = driver_relative_error (QCONV_F32, x, is, ROWS, COLS);
      g_assert_cmpfloat (after, <, before);
      g_assert_cmpfloat (before, <, q->bound (q, encoded_layer (rtn)));
    }
}

/* F16 and BF16 give the bytes of the same numbers in F32 */
static void
test_dtypes (void)
{
  guint64 state = 2;
  float x[N];

  for (guint i = 0; i < 2 * G_N_ELEMENTS (types); i++)
    {
      const char *scheme = types[i / 2][1];
      QconvDType dtype = i % 2 == 0 ? QCONV_F16 : QCONV_BF16;
      g_autofree void *narrow = NULL;
      g_autofree float *wide = g_new (float, N);
      g_autoptr (Encoded) a = new_matrix (scheme, NULL, dtype, ROWS, COLS);
      g_autoptr (Encoded) b = new_matrix (scheme, NULL, QCONV_F32, ROWS, COLS);
      gsize size, same;
      gconstpointer got, want;

      kernel_fill (KERNEL_NORMAL, x, N, &state);
      narrow = kernel_narrow (dtype, x, N);
      g_assert_true (qconv_floats_from (dtype, narrow, N, wide));
      encoded_must_encode (a, narrow, 0);
      encoded_must_encode (b, wide, 0);
      got = encoded_data (a, "blocks", &size);
      want = encoded_data (b, "blocks", &same);
      g_assert_cmpmem (got, size, want, same);
    }
}

/* Weights that F16 scales cannot hold show by an error beyond the bound, never by Inf */
static void
test_too_small (void)
{
  static const char *const schemes[] = { "q6_k", "q5_k", "q4_k", "q2_k" };
  guint64 state = 3;
  float x[N];

  for (gsize i = 0; i < N; i++)
    x[i] = (float) kernel_normal (&state) * 1e-7f;
  for (guint i = 0; i < G_N_ELEMENTS (schemes); i++)
    {
      const QconvQuantizer *q = driver_quantizer (qconv_plugin_gguf (), schemes[i]);
      g_autoptr (Encoded) e = new_matrix (schemes[i], NULL, QCONV_F32, ROWS, COLS);
      g_autofree float *y = NULL;

      encoded_must_encode (e, x, 0);
      y = encoded_must_decode (e, 0);
      g_assert_cmpfloat (driver_relative_error (QCONV_F32, x, y, ROWS, COLS), >, q->bound (q, encoded_layer (e)));
    }
}

static void
test_refused (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (encoded_new (driver_quantizer (qconv_plugin_gguf (), "q4_k"), NULL, QCONV_F32, 2, 288, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
  g_assert_null (driver_quantizer (qconv_plugin_gguf (), "iq2_xs")->encoders);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gguf/encode/golden", test_golden);
  g_test_add_func ("/gguf/encode/efforts", test_efforts);
  g_test_add_func ("/gguf/encode/dtypes", test_dtypes);
  g_test_add_func ("/gguf/encode/too-small", test_too_small);
  g_test_add_func ("/gguf/encode/refused", test_refused);
  return g_test_run ();
}
