/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests files of other writers that differ from ComfyUI's own. */
#include "fixture.h"

#include <string.h>

static const float one = 1.0f;

/* A scale of one item, in any number of dimensions */
static const struct {
  const char *marker, *dtype, *shape, *suffix, *scheme;
  gsize n;
} single[] = {
  { "{\"format\": \"float8_e4m3fn_blockwise\", \"group_size\": 64}", "F8_E4M3", "[64,64]", "weight_scale", "fp8_block",
    4096 },
  { "{\"format\": \"float8_e4m3fn_blockwise\"}", "F8_E4M3", "[64,64]", "weight_scale", "fp8_block", 4096 },
  { "{\"format\": \"float8_e4m3fn_rowwise\"}", "F8_E4M3", "[1,64]", "weight_scale", "fp8_row", 64 },
  { "{\"format\": \"int8_blockwise\", \"group_size\": 32}", "I8", "[32,32]", "weight_scale", "int8_block", 1024 },
  { "{\"format\": \"int8_tensorwise\"}", "I8", "[1,64]", "weight_scale", "int8", 64 },
  { "{\"format\": \"convrot_w4a4\", \"convrot_groupsize\": 64}", "I8", "[1,32]", "weight_scale", "convrot_w4a4", 32 },
};

static void
test_single (gconstpointer data)
{
  static const char *const shapes[] = { "[]", "[1]", "[1,1]" };
  guint at = GPOINTER_TO_UINT (data);
  g_autofree char *output = scratch_path ("single-out.safetensors");
  g_autofree char *scale = g_strconcat ("l.", single[at].suffix, NULL);
  g_autoptr (GBytes) first = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (QconvModel) m = NULL, made = NULL;
      g_autoptr (GArray) weights = NULL;
      g_autoptr (GBytes) bytes = NULL;
      g_autofree guint8 *codes = g_malloc (single[at].n);
      g_autofree char *input = NULL;

      memset (codes, 0x35, single[at].n);
      builder_add (b, "l.weight", single[at].dtype, single[at].shape, codes, single[at].n);
      builder_add (b, scale, "F32", shapes[i], &one, sizeof one);
      builder_add_text (b, "l.comfy_quant", single[at].marker);
      input = builder_write (b, "single.safetensors");
      m = open_model (input, NULL);
      weights = qconv_model_weights (m);
      g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, 0).scheme, ==, single[at].scheme);
      convert (input, output, "f32-safetensors", NULL);
      made = open_model (output, NULL);
      bytes = tensor_bytes (made, "l.weight");
      if (first == NULL)
        first = g_bytes_ref (bytes);
      g_assert_true (g_bytes_equal (bytes, first));
    }
}

/* Tests input_scale with the tiles of block scales, which convert_to_quant copies there for text encoders. */
static void
test_tiled_input (void)
{
  static const struct {
    const char *dtype, *shape, *scale_dtype, *marker, *problems;
  } rows[] = {
    { "U8", "[16,64]", "F8_E4M3", "{\"format\": \"nvfp4\"}", "input-scale l\n" },
    { "F8_E4M3", "[32,32]", "U8", "{\"format\": \"mxfp8\"}", "" },
  };
  static const char *const targets[] = { "nvfp4-comfy", "mxfp8-comfy" };
  g_autofree char *output = scratch_path ("tiled-out.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gsize n_scales = i == 0 ? 1024 : 512;
      const char *shape = i == 0 ? "[128,8]" : "[128,4]";
      g_autoptr (Builder) b = builder_new ();
      g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
      g_autoptr (QconvModel) m = NULL, moved = NULL;
      g_autofree char *input = NULL, *problems = NULL, *after = NULL;

      builder_add (b, "l.weight", rows[i].dtype, rows[i].shape, NULL, 1024);
      builder_add (b, "l.weight_scale", rows[i].scale_dtype, shape, NULL, n_scales);
      if (i == 0)
        builder_add (b, "l.weight_scale_2", "F32", "[]", &one, sizeof one);
      builder_add (b, "l.input_scale", "F32", shape, NULL, n_scales * sizeof (float));
      builder_add_text (b, "l.comfy_quant", rows[i].marker);
      input = builder_write (b, "tiled.safetensors");
      m = open_model (input, warnings);
      g_assert_cmpuint (warnings->len, ==, i == 0);
      problems = problems_of (input);
      g_assert_cmpstr (problems, ==, rows[i].problems);
      convert (input, output, targets[i], NULL);
      moved = open_model (output, NULL);
      g_assert_null (qconv_directory_find (qconv_model_directory (moved), "l.input_scale"));
      after = problems_of (output);
      g_assert_cmpstr (after, ==, "");
    }
}

/* Tests that a group of AWQ may run downwards */
static void
test_negative_awq (void)
{
  static const guint16 scale = 0xbf80, zero = 0;
  g_autofree char *input = NULL, *problems = NULL, *output = scratch_path ("awq-out.safetensors");
  g_autoptr (Builder) b = builder_new ();

  builder_add (b, "l.weight", "I8", "[1,32]", NULL, 32);
  builder_add (b, "l.weight_scale", "BF16", "[1,1]", &scale, sizeof scale);
  builder_add (b, "l.weight_zeros", "BF16", "[1,1]", &zero, sizeof zero);
  builder_add_text (b, "l.comfy_quant", "{\"format\": \"awq_w4a16\", \"group_size\": 64}");
  input = builder_write (b, "awq.safetensors");
  problems = problems_of (input);
  g_assert_cmpstr (problems, ==, "");
  convert (input, output, "awq-comfy", NULL);
}

/* Tests all keys of a format with a code book in "params". The scale of a block of zeros may be negative. */
static void
test_map_in_params (void)
{
  static const char marker[]
      = "{\"format\": \"bnb_nf4\", \"params\": {\"group_size\": 64, \"quant_type\": \"nf4\", \"dtype\": \"bfloat16\", "
        "\"shape\": [2, 64], \"quant_map\": [-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7]}}";
  static const float absmax[2] = { 1.0f, -0.0f };
  g_autofree char *input = NULL, *output = scratch_path ("map-out.safetensors");
  g_autofree char *moved = scratch_path ("map-moved.safetensors"), *problems = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) bytes = NULL;
  guint8 codes[64];

  memset (codes, 0x9a, sizeof codes);
  builder_add (b, "l.weight", "U8", "[64]", codes, sizeof codes);
  builder_add (b, "l.absmax", "F32", "[2]", absmax, sizeof absmax);
  builder_add_text (b, "l.comfy_quant", marker);
  input = builder_write (b, "map.safetensors");
  convert (input, moved, "nf4-comfy", NULL);
  problems = problems_of (moved);
  g_assert_cmpstr (problems, ==, "");
  convert (input, output, "f32-safetensors", NULL);
  m = open_model (output, NULL);
  bytes = tensor_bytes (m, "l.weight");
  for (guint i = 0; i < 64; i++)
    g_assert_cmpfloat (((const float *) g_bytes_get_data (bytes, NULL))[i], ==, i % 2 == 0 ? 2.0f : 1.0f);
}

/* Tests NULs behind the text, which Python's json.loads() refuses. */
static void
test_trailing_nul (void)
{
  static const char marker[] = "{\"format\": \"float8_e4m3fn\"}\0";
  g_autofree char *input = NULL, *problems = NULL, *output = scratch_path ("nul-out.safetensors"), *after = NULL;
  g_autofree char *shape = g_strdup_printf ("[%zu]", sizeof marker);
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;

  builder_add (b, "l.weight", "F8_E4M3", "[16,64]", NULL, 1024);
  builder_add (b, "l.weight_scale", "F32", "[]", &one, sizeof one);
  builder_add (b, "l.comfy_quant", "U8", shape, marker, sizeof marker);
  input = builder_write (b, "nul.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 0);
  problems = problems_of (input);
  g_assert_cmpstr (problems, ==, "marker l\n");
  convert (input, output, "fp8-comfy", NULL);
  after = problems_of (output);
  g_assert_cmpstr (after, ==, "");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (single); i++)
    {
      g_autofree char *name = g_strdup_printf ("/comfy/odd/single-scale/%u", i);

      g_test_add_data_func (name, GUINT_TO_POINTER (i), test_single);
    }
  g_test_add_func ("/comfy/odd/tiled-input", test_tiled_input);
  g_test_add_func ("/comfy/odd/negative-awq", test_negative_awq);
  g_test_add_func ("/comfy/odd/map-in-params", test_map_in_params);
  g_test_add_func ("/comfy/odd/trailing-nul", test_trailing_nul);
  status = g_test_run ();
  scratch_end ();
  return status;
}
