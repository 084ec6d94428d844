/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests what of compressed-tensors moves into ComfyUI's files, and what config.json decides, or says otherwise than the
   tensors. */
#include <math.h>
#include <string.h>

#include "maker.h"

#define ROWS 32
#define COLS 64

/* ---- NVFP4 ---- */

static char *
write_nvfp4 (float divisor, guint8 *codes, guint8 *scales)
{
  g_autoptr (Builder) b = builder_new ();
  guint64 seed = 77;

  for (guint i = 0; i < ROWS * COLS / 2; i++)
    codes[i] = (guint8) next_random (&seed, 256);
  for (guint i = 0; i < ROWS * COLS / 16; i++)
    scales[i] = (guint8) next_random (&seed, 0x7f);
  builder_add (b, "m.weight_packed", "U8", "[32, 32]", codes, ROWS * COLS / 2);
  builder_add (b, "m.weight_scale", "F8_E4M3", "[32, 4]", scales, ROWS * COLS / 16);
  builder_add (b, "m.weight_global_scale", "F32", "[1]", &divisor, sizeof divisor);
  builder_add (b, "m.input_global_scale", "F32", "[1]", &divisor, sizeof divisor);
  return builder_write (b, "nvfp4.safetensors");
}

/* Tests that decoding divides, and that ComfyUI's file gets the same codes and scales with the reciprocal. */
static void
test_nvfp4 (void)
{
  const float divisor = 394.0f;
  guint8 codes[ROWS * COLS / 2], scales[ROWS * COLS / 16];
  g_autofree char *input = write_nvfp4 (divisor, codes, scales), *out = scratch_path ("four.safetensors");
  g_autofree char *how = how_planned (input, "nvfp4-comfy");
  g_autoptr (GBytes) exact = decoded (input, "m.weight"), moved = NULL, whole = NULL, packed = NULL;
  g_autoptr (QconvModel) m = NULL;
  gsize n = 0;
  const float *x = g_bytes_get_data (exact, &n), *y;
  gboolean differ = FALSE;

  g_assert_cmpstr (how, ==, "adopt");
  convert (input, out, "nvfp4-comfy", NULL);
  m = open_model (out, NULL);
  whole = tensor_bytes (m, "m.weight_scale_2");
  g_assert_cmpfloat (*(const float *) g_bytes_get_data (whole, NULL), ==, 1.0f / divisor);
  packed = tensor_bytes (m, "m.weight");
  g_assert_cmpuint (g_bytes_get_size (packed), ==, sizeof codes);
  g_assert_null (qconv_directory_find (qconv_model_directory (m), "m.input_scale"));
  moved = decoded (out, "m.weight");
  y = g_bytes_get_data (moved, NULL);
  for (gsize i = 0; i < n / sizeof *x; i++)
    {
      g_assert_cmpfloat (fabsf (x[i] - y[i]), <=, fabsf (x[i]) * 0x1p-22f);
      differ |= x[i] < y[i] || x[i] > y[i];
    }
  g_assert_true (differ); /* 1.125 / 394 is not 1.125 × (1 / 394) in F32 */
}

/* Tests that weights below the normal numbers are decoded and encoded: there quotient and product may differ by more
   than the check after writing allows. */
static void
test_far_divisor (void)
{
  guint8 codes[ROWS * COLS / 2], scales[ROWS * COLS / 16];
  g_autofree char *out = scratch_path ("far.safetensors"), *input = NULL;
  g_autoptr (GBytes) x = NULL, y = NULL;
  const float divisor = 0x1.4cccccp120f, *before, *after;
  gboolean encoded = FALSE;
  g_autoptr (Builder) b = builder_new ();

  g_free (write_nvfp4 (divisor, codes, scales)); /* for the codes */
  memset (scales, 1, sizeof scales);
  builder_add (b, "m.weight_packed", "U8", "[32, 32]", codes, sizeof codes);
  builder_add (b, "m.weight_scale", "F8_E4M3", "[32, 4]", scales, sizeof scales);
  builder_add (b, "m.weight_global_scale", "F32", "[1]", &divisor, sizeof divisor);
  input = builder_write (b, "far-in.safetensors");
  convert (input, out, "nvfp4-comfy", NULL);
  x = decoded (input, "m.weight");
  y = decoded (out, "m.weight");
  before = g_bytes_get_data (x, NULL);
  after = g_bytes_get_data (y, NULL);
  for (guint i = 0; i < ROWS * COLS; i++)
    {
      g_assert_cmpfloat (fabsf (before[i] - after[i]), <=, 0x1p-130f);
      encoded |= fabsf (before[i] - after[i]) > fabsf (before[i]) * 0x1p-10f;
    }
  g_assert_true (encoded);
}

/* Tests that a block scale that is NaN does not get into a file. */
static void
test_nan_scale (void)
{
  const float one = 1.0f;
  guint8 scales[ROWS * COLS / 16];
  g_autofree char *never = scratch_path ("never.safetensors"), *input = NULL;
  const QconvJob comfy = { .target = "nvfp4-comfy", .output = never, .rules.only = QCONV_LIST (".*") };
  const QconvJob plain = { .target = "f32-safetensors", .output = never };
  g_autoptr (Builder) b = builder_new ();

  memset (scales, 0x38, sizeof scales);
  scales[40] = 0x7f;
  builder_add (b, "m.weight_packed", "U8", "[32, 32]", NULL, ROWS * COLS / 2);
  builder_add (b, "m.weight_scale", "F8_E4M3", "[32, 4]", scales, sizeof scales);
  builder_add (b, "m.weight_global_scale", "F32", "[1]", &one, sizeof one);
  input = builder_write (b, "nan.safetensors");
  assert_job_refused (input, &comfy, QCONV_ERROR_NON_FINITE, "1 block scales are NaN or negative");
  assert_job_refused (input, &plain, QCONV_ERROR_NON_FINITE, "\"m");
}

/* ---- FP8 and others beside it ---- */

/* Tests that FP8 moves with its scale of the input, and that scales of the KV cache are dropped with a warning. */
static void
test_fp8 (void)
{
  static const char config[] = "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"ignore\": "
                               "[\"re:.*head\"]}}";
  const float scale = 0.5f, input_scale = 0.25f;
  g_autofree char *input = NULL, *out = scratch_path ("fp8.safetensors"), *how = NULL;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, moved = NULL;
  g_autoptr (GBytes) kept = NULL;

  write_beside ("config.json", config);
  builder_add (b, "attn.q.weight", "F8_E4M3", "[32, 64]", NULL, ROWS * COLS);
  builder_add (b, "attn.q.weight_scale", "F32", "[1]", &scale, sizeof scale);
  builder_add (b, "attn.q.input_scale", "F32", "[1]", &input_scale, sizeof input_scale);
  builder_add (b, "attn.k_scale", "F32", "[1]", &scale, sizeof scale);
  builder_add (b, "attn.v_scale", "F32", "[1]", &scale, sizeof scale);
  input = builder_write (b, "fp8-in.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 1);
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "it scales the KV cache"));
  how = how_planned (input, "fp8-comfy");
  g_assert_cmpstr (how, ==, "move");
  convert (input, out, "fp8-comfy", NULL);
  moved = open_model (out, NULL);
  kept = tensor_bytes (moved, "attn.q.input_scale");
  g_assert_cmpfloat (*(const float *) g_bytes_get_data (kept, NULL), ==, input_scale);
  g_assert_null (qconv_directory_find (qconv_model_directory (moved), "attn.k_scale"));
  write_beside ("config.json", NULL);
}

/* Tests that the user can say whose file it is: without config.json the names show nothing. */
static void
test_forced (void)
{
  const QconvOpenOptions forced = { .from = "compressed-tensors" };
  const float scales[4] = { 1, 2, 3, 4 };
  g_autofree char *input = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) guessed = NULL, m = NULL;
  g_autoptr (GArray) weights = NULL;
  g_autoptr (GError) error = NULL;

  builder_add (b, "m.weight", "I8", "[4, 64]", NULL, 256);
  builder_add (b, "m.weight_scale", "F32", "[4, 1]", scales, sizeof scales);
  builder_add (b, "m.weight_zero_point", "I8", "[4, 1]", NULL, 4);
  input = builder_write (b, "forced.safetensors");
  guessed = open_model (input, NULL);
  weights = qconv_model_weights (guessed);
  g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, 0).scheme, ==, "unknown-scaled");
  m = qconv_model_open (input, &forced, &error);
  g_assert_no_error (error);
  g_clear_pointer (&weights, g_array_unref);
  weights = qconv_model_weights (m);
  g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, 0).scheme, ==, "gptq");
}

/* ---- config.json says otherwise ---- */

static const struct {
  const char *config, *says;
} quarrels[] = {
  { "\"format\": \"float-quantized\", \"config_groups\": {\"g\": {\"targets\": [\"re:.*m$\"]}}",
    "config.json says float-quantized, but its tensors are those of pack-quantized" },
  { "\"config_groups\": {\"g\": {\"targets\": [\"Linear\"], \"weights\": {\"num_bits\": 8}}}",
    "config.json says 8 bits, but its tensors have 4" },
  { "\"config_groups\": {\"g\": {\"targets\": [\"m\"], \"weights\": {\"num_bits\": 4, \"group_size\": 128}}}",
    "config.json says groups of 128, but its tensors have groups of 32" },
  { "\"ignore\": [\"re:^m\"]", "config.json lists it in ignore, but it is quantized" },
};

static void
test_quarrels (void)
{
  const PackedForm f = { 8, 256, 4, 32, FALSE, FALSE };
  g_auto (Packed) l = { 0 };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL;

  packed_fill (&l, &f, 1);
  packed_add (b, &f, &l);
  input = builder_write (b, "quarrel.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (quarrels); i++)
    {
      g_autofree char *config = g_strdup_printf (
          "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", %s}}", quarrels[i].config);
      g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (QconvModel) m = NULL;

      write_beside ("config.json", config);
      m = open_model (input, warnings);
      g_assert_cmpuint (warnings->len, ==, 1);
      if (strstr (g_ptr_array_index (warnings, 0), quarrels[i].says) == NULL)
        g_error ("\"%s\" does not say \"%s\"", (char *) g_ptr_array_index (warnings, 0), quarrels[i].says);
    }
  write_beside ("config.json", NULL);
}

/* Tests that any JSON, and a pattern that takes forever, is survived. */
static void
test_odd_config (void)
{
  static const char *const texts[] = {
    "",
    "[]",
    "{\"quantization_config\": 3}",
    "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"config_groups\": [1], \"ignore\": {}}}",
    ("{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"a\": 1, \"b\": "
     "{\"targets\": [1, null, \"re:(\"], \"weights\": []}, \"c\": {\"weights\": {\"num_bits\": -4, \"group_size\": "
     "-9, \"block_structure\": [-1, \"x\"]}}}, \"ignore\": [2, \"re:*\", \"re:(.+)+$x\"]}}"),
    ("{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"a\": {\"targets\": "
     "[\"re:(m|m+)+[^m]\"], \"weights\": {\"num_bits\": 9223372036854775807, \"group_size\": 9223372036854775807}}}}}"),
  };
  const PackedForm f = { 8, 64, 4, 32, FALSE, FALSE };
  g_auto (Packed) l = { 0 };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL;

  packed_fill (&l, &f, 1);
  packed_add (b, &f, &l);
  input = builder_write (b, "odd.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GBytes) got = NULL;

      write_beside ("config.json", texts[i]);
      got = decoded (input, "m.weight");
      assert_floats (got, l.weights, f.rows * f.cols);
    }
  write_beside ("config.json", NULL);
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/compressed-tensors/nvfp4", test_nvfp4);
  g_test_add_func ("/compressed-tensors/far-divisor", test_far_divisor);
  g_test_add_func ("/compressed-tensors/nan-scale", test_nan_scale);
  g_test_add_func ("/compressed-tensors/fp8", test_fp8);
  g_test_add_func ("/compressed-tensors/forced", test_forced);
  g_test_add_func ("/compressed-tensors/quarrels", test_quarrels);
  g_test_add_func ("/compressed-tensors/odd-config", test_odd_config);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
