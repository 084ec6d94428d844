/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests whole conversions, there and back. */
#include "fixture.h"

#include <string.h>

/* Tests a tensor of zeros: the peer divides by zero here; ours are zero codes, zero scales and a scale that decodes
   them. */
static void
test_zero_tensor (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL, *output = scratch_path ("zero-out.safetensors");
  g_autoptr (GBytes) scale = NULL, codes = NULL;
  g_autoptr (QconvModel) m = NULL;
  const guint8 *bytes;
  float one = 1.0f;
  gsize n;

  builder_add (b, "l.weight", "F32", "[32,64]", NULL, 32 * 64 * 4);
  input = builder_write (b, "zero.safetensors");
  convert (input, output, "nvfp4-comfy", NULL);
  m = open_model (output, NULL);
  scale = tensor_bytes (m, "l.weight_scale_2");
  g_assert_cmpmem (g_bytes_get_data (scale, NULL), g_bytes_get_size (scale), &one, sizeof one);
  codes = tensor_bytes (m, "l.weight");
  bytes = g_bytes_get_data (codes, &n);
  g_assert_cmpuint (n, ==, 32 * 32);
  for (gsize i = 0; i < n; i++)
    g_assert_cmphex (bytes[i], ==, 0);
}

static char *
some_layers (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree float *w = noise (300 * 512, 1);

  builder_add (b, "model.diffusion_model.double_blocks.9.txt_attn.proj.weight", "F32", "[256,256]", w, 256 * 256 * 4);
  builder_add (b, "model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "F32", "[300,512]", w, 300 * 512 * 4);
  builder_add (b, "model.diffusion_model.double_blocks.0.img_attn.qkv.bias", "F32", "[300]", w, 300 * 4);
  builder_add (b, "model.diffusion_model.double_blocks.10.txt_attn.proj.weight", "F32", "[256,600]", w, 256 * 600 * 4);
  builder_add (b, "model.diffusion_model.img_in.weight", "F32", "[256,64]", w, 256 * 64 * 4);
  builder_add (b, "model.diffusion_model.__x0__", "F32", "[0]", NULL, 0);
  builder_add_metadata (b, "config", "{\"transformer\": 1}");
  return builder_write (b, "some.safetensors");
}

static void
test_move (void)
{
  g_autofree char *input = some_layers (), *first = scratch_path ("first.safetensors");
  g_autofree char *second = scratch_path ("second.safetensors"), *a = NULL, *b = NULL;
  gsize n_a = 0, n_b = 0;

  convert (input, first, "nvfp4-comfy", NULL);
  convert (first, second, "nvfp4-comfy", NULL);
  g_assert_true (g_file_get_contents (first, &a, &n_a, NULL) && g_file_get_contents (second, &b, &n_b, NULL));
  g_assert_cmpmem (a, n_a, b, n_b);
}

static void
test_metadata (void)
{
  static const char layer[] = "model.diffusion_model.double_blocks.0.img_attn.qkv";
  g_autofree char *input = some_layers (), *output = scratch_path ("meta.safetensors"), *problems = NULL;
  g_autoptr (QconvModel) m = NULL;
  const QconvDirectory *d;

  convert (input, output, "nvfp4-comfy", NULL);
  m = open_model (output, NULL);
  d = qconv_model_directory (m);
  g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (d, "format"), NULL), ==, "pt");
  g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (d, "config"), NULL), ==, "{\"transformer\": 1}");
  g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (d, "_quantization_metadata"), NULL), ==,
                   "{\"format_version\": \"1.0\", \"layers\": {"
                   "\"model.diffusion_model.double_blocks.0.img_attn.qkv\": {\"format\": \"nvfp4\"}, "
                   "\"model.diffusion_model.double_blocks.10.txt_attn.proj\": {\"format\": \"nvfp4\"}, "
                   "\"model.diffusion_model.double_blocks.9.txt_attn.proj\": {\"format\": \"nvfp4\"}}}");
  g_assert_nonnull (qconv_directory_find2 (d, layer, ".comfy_quant"));
  /* its shape is probed, so --only cannot pack it */
  g_assert_null (qconv_directory_find (d, "model.diffusion_model.img_in.comfy_quant"));
  g_assert_nonnull (qconv_directory_find (d, "model.diffusion_model.__x0__"));
  problems = problems_of (output);
  g_assert_cmpstr (problems, ==, "");
}

/* Tests that a verbatim copy has the metadata that name the formats of its layers. */
static void
test_copy (void)
{
  g_autofree char *input = some_layers (), *quantized = scratch_path ("copy-in.safetensors"),
                  *output = scratch_path ("copy.safetensors");
  g_autoptr (QconvModel) a = NULL, b = NULL;
  const char *const *keys;

  convert (input, quantized, "nvfp4-comfy", NULL);
  convert (quantized, output, "copy-safetensors", NULL);
  a = open_model (quantized, NULL);
  b = open_model (output, NULL);
  keys = qconv_directory_metadata_keys (qconv_model_directory (a));
  g_assert_true (g_strv_contains (keys, "_quantization_metadata"));
  for (guint i = 0; keys[i] != NULL; i++)
    {
      GVariant *copied = qconv_directory_metadata (qconv_model_directory (b), keys[i]);

      g_assert_true (copied != NULL);
      if (!g_str_has_prefix (keys[i], "qconv_")) /* which say how the file was made */
        g_assert_true (g_variant_equal (copied, qconv_directory_metadata (qconv_model_directory (a), keys[i])));
    }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/comfy/convert/zero-tensor", test_zero_tensor);
  g_test_add_func ("/comfy/convert/move", test_move);
  g_test_add_func ("/comfy/convert/metadata", test_metadata);
  g_test_add_func ("/comfy/convert/copy", test_copy);
  status = g_test_run ();
  scratch_end ();
  return status;
}
