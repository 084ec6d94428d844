/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the readers of ModelOpt and of gpt-oss with generated layers. */
#include <string.h>

#include "maker.h"

#define ROWS 6
#define COLS 64
#define CONFIG(algorithm, rest) "{\"quantization\": {\"quant_algo\": \"" algorithm "\"" rest "}}"

static const float e2m1[16] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 0, -0.5f, -1, -1.5f, -2, -3, -4, -6 };

/* Tests INT4, of which two rows share a byte, with and without a factor for each column of the input. */
static void
test_int4 (void)
{
  guint8 bytes[ROWS / 2 * COLS] = { 0 };
  float scales[ROWS * 2], pre[COLS], want[ROWS * COLS];
  guint64 seed = 4;

  write_beside ("hf_quant_config.json", CONFIG ("W4A16_AWQ", ", \"group_size\": 32"));
  for (guint i = 0; i < ROWS * 2; i++)
    scales[i] = 0x1p-6f * (float) (1 + next_random (&seed, 50));
  for (guint i = 0; i < COLS; i++)
    pre[i] = 0.25f * (float) (1 + next_random (&seed, 8));
  for (guint with = 0; with < 2; with++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (GBytes) got = NULL;
      g_autofree char *input = NULL;

      memset (bytes, 0, sizeof bytes);
      for (guint i = 0; i < ROWS * COLS; i++)
        {
          guint row = i / COLS, col = i % COLS;
          gint code = (gint) next_random (&seed, 16) - 8;

          bytes[row / 2 * COLS + col] |= (guint8) ((code & 15) << row % 2 * 4);
          want[i] = (float) code * scales[row * 2 + col / 32] * (with ? pre[col] : 1.0f);
        }
      builder_add (b, "m.weight", "U8", "[3, 64]", bytes, sizeof bytes);
      builder_add (b, "m.weight_scale", "F32", "[6, 2]", scales, sizeof scales);
      if (with)
        builder_add (b, "m.pre_quant_scale", "F32", "[64]", pre, sizeof pre);
      builder_add (b, "m.input_scale", "F32", "[]", pre, 4);
      input = builder_write (b, "int4.safetensors");
      got = decoded (input, "m.weight");
      assert_floats (got, want, ROWS * COLS);
    }
  write_beside ("hf_quant_config.json", NULL);
}

/* Tests that NVFP4 moves into ComfyUI's file with the factors of the input, and that plain rows are not guessed: this
   shape is also that of tiles. */
static void
test_nvfp4 (void)
{
  guint8 codes[128 * 32], scales[128 * 4];
  const float second = 0.5f, input_scale = 0.125f;
  g_autofree char *input = NULL, *out = scratch_path ("moved.safetensors"), *how = NULL;
  g_autofree float *want = g_new (float, 128 * 64);
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, moved = NULL;
  g_autoptr (GBytes) got = NULL, kept = NULL, again = NULL;
  float pre[64];
  guint64 seed = 8;

  for (guint i = 0; i < G_N_ELEMENTS (pre); i++)
    pre[i] = 1.0f + (float) (i % 3);
  for (guint i = 0; i < sizeof scales; i++)
    scales[i] = (guint8) ((4 + next_random (&seed, 6)) << 3);
  for (guint i = 0; i < 128 * 64; i++)
    {
      guint code = next_random (&seed, 16), scale = scales[i / 16] >> 3;

      codes[i / 2] = (guint8) (i % 2 == 0 ? code : codes[i / 2] | code << 4);
      want[i] = e2m1[code] * second * (float) (1 << scale) * 0x1p-7f * pre[i % 64];
    }
  write_beside ("hf_quant_config.json", CONFIG ("NVFP4", ", \"group_size\": 16, \"exclude_modules\": [\"lm_*\"]"));
  builder_add (b, "m.weight", "U8", "[128, 32]", codes, sizeof codes);
  builder_add (b, "m.weight_scale", "F8_E4M3", "[128, 4]", scales, sizeof scales);
  builder_add (b, "m.weight_scale_2", "F32", "[]", &second, 4);
  builder_add (b, "m.input_scale", "F32", "[]", &input_scale, 4);
  builder_add (b, "m.pre_quant_scale", "F32", "[64]", pre, sizeof pre);
  input = builder_write (b, "nvfp4.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 0);
  got = decoded (input, "m.weight");
  assert_floats (got, want, 128 * 64);
  how = how_planned (input, "nvfp4-comfy");
  g_assert_cmpstr (how, ==, "move");
  convert (input, out, "nvfp4-comfy", NULL);
  moved = open_model (out, NULL);
  kept = tensor_bytes (moved, "m.input_scale");
  g_assert_cmpfloat (*(const float *) g_bytes_get_data (kept, NULL), ==, input_scale);
  again = decoded (out, "m.weight");
  assert_floats (again, want, 128 * 64);
  write_beside ("hf_quant_config.json", NULL);
}

/* ---- The configuration ---- */

static const struct {
  const char *config, *says;
} quarrels[] = {
  { CONFIG ("NVFP4", ""), "says NVFP4, but its tensors are those of FP8" },
  { CONFIG ("FP8", ", \"exclude_modules\": [\"m\"]"), "excludes it, but it is quantized" },
  { CONFIG ("FP8", ", \"exclude_modules\": [7, \"x*\", \"?\"]"), "excludes it, but it is quantized" },
  { CONFIG ("MIXED_PRECISION", ", \"quantized_layers\": {\"m\": {\"quant_algo\": \"NVFP4\"}}"),
    "says NVFP4, but its tensors are those of FP8" },
  { CONFIG ("MIXED_PRECISION", ", \"quantized_layers\": {\"m\": {\"quant_algo\": \"FP8\"}}"), NULL },
  { CONFIG ("FP8", ", \"exclude_modules\": {}, \"quantized_layers\": [], \"group_size\": \"x\""), NULL },
};

static void
test_quarrels (void)
{
  const float scale = 1.0f;
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL;

  builder_add (b, "m.weight", "F8_E4M3", "[32, 64]", NULL, 2048);
  builder_add (b, "m.weight_scale", "F32", "[]", &scale, 4);
  builder_add (b, "m.k_scale", "F32", "[]", &scale, 4);
  input = builder_write (b, "fp8.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (quarrels); i++)
    {
      g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (QconvModel) m = NULL;

      write_beside ("hf_quant_config.json", quarrels[i].config);
      m = open_model (input, warnings);
      g_assert_cmpuint (warnings->len, ==, quarrels[i].says != NULL ? 2 : 1);
      g_assert_nonnull (strstr (g_ptr_array_index (warnings, warnings->len - 1), "KV cache"));
      if (quarrels[i].says != NULL && strstr (g_ptr_array_index (warnings, 0), quarrels[i].says) == NULL)
        g_error ("\"%s\" does not say \"%s\"", (char *) g_ptr_array_index (warnings, 0), quarrels[i].says);
    }
  write_beside ("hf_quant_config.json", NULL);
}

/* ---- gpt-oss ---- */

/* Tests experts: a weight [experts, rows, columns] without ".weight" in its name, beside its bias. */
static void
test_gpt_oss (void)
{
  guint8 codes[2 * 3 * 2 * 16], scales[2 * 3 * 2];
  float want[2 * 3 * 64];
  g_autofree char *input = NULL, *out = scratch_path ("experts.safetensors");
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) got = NULL;
  const QconvTensor *t;
  guint64 seed = 6;

  for (guint i = 0; i < sizeof scales; i++)
    scales[i] = (guint8) (124 + next_random (&seed, 8));
  for (guint i = 0; i < G_N_ELEMENTS (want); i++)
    {
      guint code = next_random (&seed, 16);

      codes[i / 2] = (guint8) (i % 2 == 0 ? code : codes[i / 2] | code << 4);
      want[i] = e2m1[code] * (float) (1 << (scales[i / 32] - 120)) * 0x1p-7f;
    }
  builder_add (b, "l.experts.up_proj_blocks", "U8", "[2, 3, 2, 16]", codes, sizeof codes);
  builder_add (b, "l.experts.up_proj_scales", "U8", "[2, 3, 2]", scales, sizeof scales);
  builder_add (b, "l.experts.up_proj_bias", "F32", "[2, 3]", NULL, 24);
  input = builder_write (b, "gpt-oss.safetensors");
  got = decoded (input, "l.experts.up_proj");
  assert_floats (got, want, G_N_ELEMENTS (want));
  convert (input, out, "bf16-safetensors", NULL);
  m = open_model (out, NULL);
  t = qconv_directory_find (qconv_model_directory (m), "l.experts.up_proj");
  g_assert_nonnull (t);
  g_assert_cmpuint (t->shape.rank, ==, 3);
  g_assert_cmpuint (t->shape.dim[0], ==, 2);
  g_assert_cmpuint (t->shape.dim[1], ==, 3);
  g_assert_cmpuint (t->shape.dim[2], ==, 64);
  g_assert_nonnull (qconv_directory_find (qconv_model_directory (m), "l.experts.up_proj_bias"));
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (m)), ==, 2);
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/modelopt/int4", test_int4);
  g_test_add_func ("/modelopt/nvfp4", test_nvfp4);
  g_test_add_func ("/modelopt/quarrels", test_quarrels);
  g_test_add_func ("/gpt-oss/experts", test_gpt_oss);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
