/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole conversions, against comfy-kitchen's bytes and against themselves. */
#include "fixture.h"
#include "golden-file.h"

#include <string.h>

static const char *const cases[] = { "aligned",   "dtypes", "kmin", "outlier", "pad",        "pad_nk",
                                     "shape96x80", "subnormal", "ties", "tiny",    "zero_blocks", "zero" };
static const char *const dtypes[] = { "bf16", "f16", "f32" };
static const char *const rtn[] = { "nvfp4.effort=rtn", NULL };

static char *
shape_text (const GoldenTensor *t)
{
  return t->rank == 2 ? g_strdup_printf ("[%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT "]", t->shape[0], t->shape[1])
                      : g_strdup ("[]");
}

static const GoldenTensor *
find (const GoldenFile *file, const char *name)
{
  for (guint i = 0; i < file->tensors->len; i++)
    {
      const GoldenTensor *t = g_ptr_array_index (file->tensors, i);

      if (g_str_equal (t->name, name))
        return t;
    }
  return NULL;
}

static gboolean
same_value (guint32 a, guint32 b)
{
  return a == b || ((a | b) & 0x7fffffff) == 0;
}

/* Rows and columns of padding decode to zeros */
static void
assert_decoded (const char *path, const GoldenTensor *want)
{
  g_autofree char *plain = scratch_path ("plain.safetensors");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const QconvTensor *t;
  const guint32 *got, *expected = (const guint32 *) want->data;

  convert (path, plain, "f32-safetensors", NULL);
  m = open_model (plain, NULL);
  t = qconv_directory_find (qconv_model_directory (m), "blocks.0.lin.weight");
  g_assert_nonnull (t);
  bytes = tensor_bytes (m, t->name);
  got = g_bytes_get_data (bytes, NULL);
  g_assert_cmpuint (t->shape.dim[0], >=, want->shape[0]);
  g_assert_cmpuint (t->shape.dim[1], >=, want->shape[1]);
  for (guint64 row = 0; row < t->shape.dim[0]; row++)
    for (guint64 col = 0; col < t->shape.dim[1]; col++)
      {
        gboolean inside = row < want->shape[0] && col < want->shape[1];

        g_assert_true (same_value (got[row * t->shape.dim[1] + col],
                                   inside ? expected[row * want->shape[1] + col] : 0));
      }
}

static void
assert_tensor (const QconvModel *m, const char *suffix, const GoldenTensor *want)
{
  g_autofree char *name = g_strconcat ("blocks.0.lin.", suffix, NULL);
  g_autoptr (GBytes) got = tensor_bytes (m, name);
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);

  g_assert_cmpstr (qconv_dtype_name (t->dtype), ==, want->dtype);
  g_assert_cmpuint (t->shape.rank, ==, want->rank);
  for (guint i = 0; i < want->rank; i++)
    g_assert_cmpuint (t->shape.dim[i], ==, want->shape[i]);
  g_assert_cmpmem (g_bytes_get_data (got, NULL), g_bytes_get_size (got), want->data, want->size);
}

/* Returns: FALSE where there is no such source, or the peer made NaN of it */
static gboolean
compare (const GoldenFile *file, const char *dtype)
{
  static const char *const suffixes[] = { "weight", "weight_scale", "weight_scale_2", "comfy_quant" };
  g_autofree char *source_name = g_strconcat ("src.", dtype, NULL);
  g_autofree char *decoded_name = g_strconcat (dtype, ".A.decoded", NULL);
  g_autofree char *output = scratch_path ("out.safetensors");
  const GoldenTensor *source = find (file, source_name), *decoded = find (file, decoded_name);
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL, *shape = NULL;
  g_autoptr (QconvModel) m = NULL;

  if (source == NULL || decoded == NULL)
    return FALSE;
  for (guint64 i = 0; i < decoded->n_items; i++)
    if ((((const guint32 *) decoded->data)[i] & 0x7fffffff) > 0x7f800000)
      return FALSE;
  shape = shape_text (source);
  builder_add (b, "blocks.0.lin.weight", source->dtype, shape, source->data, source->size);
  input = builder_write (b, "in.safetensors");
  convert (input, output, "nvfp4-comfy", rtn);
  m = open_model (output, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    {
      g_autofree char *name = g_strconcat (dtype, ".A.", suffixes[i], NULL);

      assert_tensor (m, suffixes[i], golden_file_tensor (file, name));
    }
  assert_decoded (output, decoded);
  return TRUE;
}

static void
test_golden (void)
{
  guint compared = 0;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *relative = g_strdup_printf ("comfy/nvfp4.%s.safetensors", cases[i]);
      g_autofree char *path = golden_path (relative);
      g_autoptr (GoldenFile) file = NULL;

      if (!g_file_test (path, G_FILE_TEST_EXISTS))
        continue;
      file = golden_file_open (relative);
      for (guint j = 0; j < G_N_ELEMENTS (dtypes); j++)
        compared += compare (file, dtypes[j]);
    }
  g_test_message ("%u layers compared", compared);
  g_assert_cmpuint (compared, >=, 15);
}

/* Where the peer divides by zero: codes and scales are zeros, and a scale that decodes them */
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
  /* its shape is what detection looks at, whatever --only says */
  g_assert_null (qconv_directory_find (d, "model.diffusion_model.img_in.comfy_quant"));
  g_assert_nonnull (qconv_directory_find (d, "model.diffusion_model.__x0__"));
  problems = problems_of (output);
  g_assert_cmpstr (problems, ==, "");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/comfy/convert/golden", test_golden);
  g_test_add_func ("/comfy/convert/zero-tensor", test_zero_tensor);
  g_test_add_func ("/comfy/convert/move", test_move);
  g_test_add_func ("/comfy/convert/metadata", test_metadata);
  status = g_test_run ();
  scratch_end ();
  return status;
}
