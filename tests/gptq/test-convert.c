/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests whole conversions of GPTQ models: the error of the result against the dense original beside that of the GPTQ
   file, and what moves to other schemes without a change of value. */
#include <math.h>
#include <string.h>

#include "packer.h"

enum { ROWS = 256, COLS = 512, LAYERS = 3 };

/* Returns the relative squared error of @path against @weights. */
static double
error_of (const char *path, float *const *weights)
{
  g_autofree char *out = scratch_path ("error.safetensors");
  g_autoptr (QconvModel) m = NULL;
  double wrong = 0, all = 0;

  convert (path, out, "f32-safetensors", NULL);
  m = open_model (out, NULL);
  for (guint l = 0; l < LAYERS; l++)
    {
      g_autofree char *name = g_strdup_printf ("model.layers.%u.up.weight", l);
      g_autoptr (GBytes) bytes = tensor_bytes (m, name);
      const float *x = g_bytes_get_data (bytes, NULL);

      g_assert_cmpuint (g_bytes_get_size (bytes), ==, ROWS * COLS * sizeof *x);
      for (guint i = 0; i < ROWS * COLS; i++)
        {
          wrong += pow ((double) x[i] - (double) weights[l][i], 2);
          all += pow ((double) weights[l][i], 2);
        }
    }
  return wrong / all;
}

/* @at_most: how many times the error of the GPTQ file the result may have */
static const struct {
  const char *target;
  double at_most;
} targets[] = { { "bf16-safetensors", 1.002 }, { "nvfp4-comfy", 3.0 }, { "int8-comfy", 1.05 } };

static void
test_errors (gconstpointer data)
{
  guint bits = GPOINTER_TO_UINT (data);
  GptqRecipe r = { .bits = bits,
                   .rows = ROWS,
                   .cols = COLS,
                   .group = 128,
                   .word = 32,
                   .symmetric = TRUE,
                   .stored_less = 1,
                   .shuffled = TRUE };
  g_autofree char *path = NULL, *out = scratch_path ("errors-out.safetensors");
  g_autoptr (Builder) b = builder_new ();
  float *weights[LAYERS];
  double own;

  for (guint l = 0; l < LAYERS; l++)
    {
      g_autofree char *name = g_strdup_printf ("model.layers.%u.up", l);
      g_autoptr (GptqSample) s = gptq_sample_new (&r, l);

      weights[l] = noise (ROWS * COLS, l + 1);
      gptq_sample_quantize (s, weights[l]);
      gptq_sample_add (s, b, name);
    }
  path = builder_write (b, "errors.safetensors");
  own = error_of (path, weights);
  g_test_message ("%u bits: the GPTQ file itself %.3g", bits, own);
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      double error;

      convert (path, out, targets[i].target, NULL);
      error = error_of (out, weights);
      g_test_message ("%u bits to %s: %.3g, %.3f times", bits, targets[i].target, error, error / own);
      /* 8 bits are finer than what they become */
      g_assert_cmpfloat (error, <, bits == 4 ? own * targets[i].at_most : 2e-2);
      g_assert_cmpfloat (error, >, 0.0);
    }
  for (guint l = 0; l < LAYERS; l++)
    g_free (weights[l]);
}

/* ---- Moved ---- */

static const char *
scheme_of (const QconvModel *m)
{
  g_autoptr (GArray) weights = qconv_model_weights (m);

  g_assert_cmpuint (weights->len, ==, 1);
  return g_array_index (weights, QconvWeightInfo, 0).scheme;
}

/* Converts a layer and asserts that no value changes. @scheme: that the reader must find */
static void
check_moved (const GptqRecipe *r, gboolean awq, const char *scheme, const char *target)
{
  g_autoptr (GptqSample) s = gptq_sample_new (r, r->bits);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autofree char *path = NULL, *out = scratch_path ("moved.safetensors");

  if (awq)
    gptq_sample_add_gemm (s, b, "m");
  else
    gptq_sample_add (s, b, "m");
  path = builder_write (b, "move.safetensors");
  m = open_model (path, NULL);
  g_assert_cmpstr (scheme_of (m), ==, scheme);
  convert (path, out, target, NULL);
  gptq_assert_decodes (out, "m", s, NULL);
}

/* Tests that layers with one group around the middle are int8, of any bits. */
static void
test_int8 (void)
{
  for (guint bits = 2; bits <= 8; bits++)
    {
      GptqRecipe r = { .bits = bits, .rows = 64, .cols = 130, .word = 32, .symmetric = TRUE, .stored_less = 1 };

      if (bits > 4 && bits < 8)
        continue;
      check_moved (&r, FALSE, "int8", "int8-comfy");
      r.stored_less = 0;
      r.shuffled = TRUE;
      check_moved (&r, FALSE, "int8", "int8-comfy");
    }
}

/* Tests that awq takes codes, scales and zero points as they are. */
static void
test_awq (void)
{
  GptqRecipe r = { .bits = 4, .rows = 64, .cols = 256, .group = 128, .word = 32, .symmetric = TRUE, .stored_less = 1 };

  check_moved (&r, FALSE, "gptq", "awq-comfy");
  check_moved (&r, TRUE, "gptq", "awq-comfy");
  r.group = 64;
  r.bits = 3;
  check_moved (&r, FALSE, "gptq", "awq-comfy");
}

/* Tests zero points that the type of awq cannot hold: the layer is encoded again, so values change. */
static void
test_awq_inexact (void)
{
  GptqRecipe r = { .bits = 4, .rows = 64, .cols = 256, .group = 64, .word = 32 };
  g_autoptr (GptqSample) s = gptq_sample_new (&r, 4);
  g_autofree float *want = gptq_sample_values (s);
  g_autofree char *path = NULL, *out = scratch_path ("inexact.safetensors"),
                  *plain = scratch_path ("plain.safetensors");
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const float *x;
  double wrong = 0, all = 0;

  gptq_sample_add_gemm (s, b, "m");
  path = builder_write (b, "inexact-in.safetensors");
  convert (path, out, "awq-comfy", NULL);
  convert (out, plain, "f32-safetensors", NULL);
  m = open_model (plain, NULL);
  bytes = tensor_bytes (m, "m.weight");
  x = g_bytes_get_data (bytes, NULL);
  for (guint i = 0; i < r.rows * r.cols; i++)
    {
      wrong += pow ((double) x[i] - (double) want[i], 2);
      all += pow ((double) want[i], 2);
    }
  g_assert_cmpfloat (wrong, >, 0.0);
  g_assert_cmpfloat (wrong, <, 1e-3 * all);
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_data_func ("/gptq/convert/errors-4", GUINT_TO_POINTER (4), test_errors);
  g_test_add_data_func ("/gptq/convert/errors-8", GUINT_TO_POINTER (8), test_errors);
  g_test_add_func ("/gptq/convert/int8", test_int8);
  g_test_add_func ("/gptq/convert/awq", test_awq);
  g_test_add_func ("/gptq/convert/awq-inexact", test_awq_inexact);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
