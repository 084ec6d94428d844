/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the check with numbers that are too large, too small or in the padding. */
#include <math.h>
#include <string.h>

#include "fixture.h"

/* Returns the BF16 of a number */
static guint16
narrow (float x)
{
  guint32 bits;

  memcpy (&bits, &x, sizeof bits);
  return (guint16) (bits >> 16);
}

/* Writes a layer "a" of @rows × @cols. Its weights alternate between @size and -@size, and rise a little */
static char *
write_plain (const char *name, guint rows, guint cols, float size)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree guint16 *weights = g_new (guint16, rows * cols);
  g_autofree char *shape = g_strdup_printf ("[%u,%u]", rows, cols);

  for (guint i = 0; i < rows * cols; i++)
    weights[i] = narrow ((i % 2 != 0 ? -size : size) * (1.0f - (float) (i % 61) / 128));
  builder_add (b, "a.weight", "BF16", shape, weights, rows * cols * sizeof *weights);
  return builder_write (b, name);
}

static gboolean
try (const char *input, const char *output, const char *target, const char *only, guint64 memory, GError **error)
{
  g_autoptr (QconvModel) m = open_model (input, NULL);
  QconvJob job = { .target = target,
                   .output = output,
                   .rules.only = QCONV_LIST (only),
                   .run.memory = memory,
                   .run.force = TRUE,
                   .run.n_threads = 2 };
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, error);

  return plan != NULL && qconv_plan_run (plan, NULL, NULL, NULL, NULL, error);
}

/* Tests rows of padding, in tiles that hold nothing else */
static void
test_padding (void)
{
  static const char *const targets[] = { "nvfp4-comfy", "mxfp8-comfy" };
  g_autofree char *input = write_plain ("in.safetensors", 17, 40000, 1), *output = scratch_path ("out.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autoptr (GError) error = NULL;

      try (input, output, targets[i], "a", 12 << 20, &error);
      g_assert_no_error (error);
    }
}

static QconvReport *
compare (const char *path, const char *against)
{
  g_autoptr (QconvModel) m = open_model (path, NULL), original = open_model (against, NULL);
  g_autoptr (GError) error = NULL;
  QconvReport *r = qconv_model_verify (m, &(QconvVerifyOptions) { .original = original, .n_threads = 1 }, &error);

  g_assert_no_error (error);
  return r;
}

/* Tests that a large error fails the check even if the weights are zero or tiny. */
static void
test_vanishing (void)
{
  static const float sizes[] = { 0, 1e-12f };
  g_autofree char *large = write_plain ("large.safetensors", 64, 64, 1), *output = scratch_path ("out.safetensors");

  convert (large, output, "fp8-comfy", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree char *small = write_plain ("small.safetensors", 64, 64, sizes[i]);
      g_autoptr (QconvReport) wrong = compare (output, small), right = NULL;

      g_assert_false (wrong->ok);
      convert (small, output, "fp8-comfy", NULL);
      right = compare (output, small);
      g_assert_true (right->ok);
      convert (large, output, "fp8-comfy", NULL);
    }
}

/* Tests codes whose products with their scale are infinite */
static void
test_overflow (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *output = scratch_path ("none.safetensors"), *input = NULL;
  guint8 codes[64 * 64];
  float scale = 3e38f;

  memset (codes, 0x7e, sizeof codes);
  builder_add (b, "a.weight", "F8_E4M3", "[64,64]", codes, sizeof codes);
  builder_add (b, "a.weight_scale", "F32", "[]", &scale, sizeof scale);
  builder_add_text (b, "a.comfy_quant", "{\"format\": \"float8_e4m3fn\"}");
  input = builder_write (b, "in.safetensors");
  g_assert_false (try (input, output, "fp8-comfy", NULL, 0, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
  g_assert_nonnull (strstr (error->message, "a: the weights hold Inf or NaN"));
  g_assert_false (g_file_test (output, G_FILE_TEST_EXISTS));
}

/* Tests that the error names the layer that a quantizer cannot encode. */
static void
test_names (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *output = scratch_path ("out.safetensors"), *input = write_plain ("in.safetensors", 64, 256, 3e38f);

  g_assert_false (try (input, output, "convrot-w4a4-comfy", "a", 0, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_NON_FINITE);
  g_assert_nonnull (strstr (error->message, "layer \"a\": "));
}

/* Tests that a layer that the source had quantized is converted, however small it is. */
static void
test_small (void)
{
  g_autofree char *input = write_plain ("in.safetensors", 64, 64, 1), *middle = scratch_path ("middle.safetensors");
  g_autofree char *output = scratch_path ("out.safetensors");
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GArray) weights = NULL;

  convert (input, middle, "fp8-comfy", NULL);
  g_assert_true (try (middle, output, "mxfp8-comfy", NULL, 0, &error));
  g_assert_no_error (error);
  m = open_model (output, NULL);
  weights = qconv_model_weights (m);
  g_assert_cmpuint (weights->len, ==, 1);
  g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, 0).scheme, ==, "mxfp8");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/comfy/numbers/padding", test_padding);
  g_test_add_func ("/comfy/numbers/vanishing", test_vanishing);
  g_test_add_func ("/comfy/numbers/overflow", test_overflow);
  g_test_add_func ("/comfy/numbers/names", test_names);
  g_test_add_func ("/comfy/numbers/small", test_small);
  status = g_test_run ();
  scratch_end ();
  return status;
}
