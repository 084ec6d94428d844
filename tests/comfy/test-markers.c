/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests markers and headers: the layers that are read, and the problems that are found. */
#include "fixture.h"

#include <string.h>

#define NVFP4 "{\"format\": \"nvfp4\"}"

static const float one = 1.0f;

/* Adds a layer of 16 rows and 64 columns whose codes and scales are @codes and @scale; @suffixes: those that are left
   out */
static void
add_layer (Builder *b, const char *name, guint8 codes, guint8 scale, const char *scale_shape, const char *without)
{
  guint8 weight[16 * 32], scales[512];
  const struct {
    const char *suffix, *dtype, *shape;
    gconstpointer data;
    gsize n;
  } members[] = { { ".weight", "U8", "[16,32]", weight, sizeof weight },
                  { ".weight_scale", "F8_E4M3", scale_shape, scales, g_str_equal (scale_shape, "[16,4]") ? 64 : 512 },
                  { ".weight_scale_2", "F32", "[]", &one, sizeof one } };

  memset (weight, codes, sizeof weight);
  memset (scales, scale, sizeof scales);
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    {
      g_autofree char *tensor = g_strconcat (name, members[i].suffix, NULL);

      if (g_strcmp0 (members[i].suffix, without) != 0)
        builder_add (b, tensor, members[i].dtype, members[i].shape, members[i].data, members[i].n);
    }
}

static void
assert_refused (Builder *b, const char *word)
{
  g_autofree char *path = builder_write (b, "refused.safetensors");
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (path, NULL, &error);

  g_assert_null (m);
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  if (strstr (error->message, word) == NULL)
    g_error ("'%s' does not say '%s'", error->message, word);
}

static const QconvWeightInfo *
weight_called (GArray *weights, const char *name)
{
  for (guint i = 0; i < weights->len; i++)
    if (g_str_equal (g_array_index (weights, QconvWeightInfo, i).name, name))
      return &g_array_index (weights, QconvWeightInfo, i);
  g_error ("there is no layer %s", name);
}

static void
assert_scheme (const QconvModel *m, const char *name, const char *scheme)
{
  g_autoptr (GArray) weights = qconv_model_weights (m);

  g_assert_cmpstr (weight_called (weights, name)->scheme, ==, scheme);
}

/* Returns: (transfer full): the F32 numbers of layer "l" */
static GBytes *
decode (const char *path, const char *const *options)
{
  g_autofree char *plain = scratch_path ("plain.safetensors");
  g_autoptr (QconvModel) m = NULL;

  convert (path, plain, "f32-safetensors", options);
  m = open_model (plain, NULL);
  return tensor_bytes (m, "l.weight");
}

static void
test_refused (void)
{
  static const struct {
    const char *marker, *without, *word;
  } rows[] = {
    { "{\"format\": ", NULL, "l: comfy_quant" },
    { "[]", NULL, "object" },
    { "{\"other\": 1}", NULL, "format" },
    { "{\"format\": 4}", NULL, "format" },
    { NVFP4, ".weight", "l.weight is missing" },
    { NVFP4, ".weight_scale", "l.weight_scale is missing" },
    { NVFP4, ".weight_scale_2", "weight_scale_2 is missing" },
    { "{\"format\": \"int8_tensorwise\"}", ".weight_scale", "l.weight_scale is missing" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (Builder) b = builder_new ();

      add_layer (b, "l", 0x21, 0x38, "[128,4]", rows[i].without);
      builder_add_text (b, "l.comfy_quant", rows[i].marker);
      assert_refused (b, rows[i].word);
    }
}

static void
test_refused_shapes (void)
{
  g_autoptr (Builder) no_scales = builder_new (), no_matrix = builder_new (), header = builder_new ();

  add_layer (no_scales, "l", 0x21, 0x38, "[64,8]", NULL);
  builder_add_text (no_scales, "l.comfy_quant", NVFP4);
  assert_refused (no_scales, "[128, 4]");
  add_layer (no_matrix, "l", 0x21, 0x38, "[128,4]", ".weight");
  builder_add (no_matrix, "l.weight", "U8", "[512]", NULL, 512);
  builder_add_text (no_matrix, "l.comfy_quant", NVFP4);
  assert_refused (no_matrix, "not a matrix");
  add_layer (header, "l", 0x21, 0x38, "[128,4]", NULL);
  builder_add_metadata (header, "_quantization_metadata", "{\"format_version\": \"1.0\"}");
  assert_refused (header, "layers");
}

/* Codes 1 and 2 are 0.5 and 1; the scale byte 0x38 is 1, 0x40 is 2 */
static void
test_nibbles (void)
{
  static const char *const low[] = { "comfy.nibble-order=low", NULL };
  g_autoptr (Builder) marked = builder_new (), plain = builder_new ();
  g_autofree char *path = NULL, *plain_path = NULL;
  g_autoptr (GBytes) high_first = NULL, low_first = NULL, other_toolkit = NULL;

  add_layer (marked, "l", 0x21, 0x38, "[128,4]", NULL);
  builder_add_text (marked, "l.comfy_quant", NVFP4);
  path = builder_write (marked, "marked.safetensors");
  high_first = decode (path, NULL);
  low_first = decode (path, low);
  add_layer (plain, "l", 0x21, 0x40, "[16,4]", NULL);
  plain_path = builder_write (plain, "other.safetensors");
  other_toolkit = decode (plain_path, NULL);
  g_assert_cmpuint (g_bytes_get_size (high_first), ==, 16 * 64 * sizeof (float));
  for (guint i = 0; i < 16 * 64; i++)
    {
      g_assert_cmpfloat (((const float *) g_bytes_get_data (high_first, NULL))[i], ==, i % 2 == 0 ? 1.0f : 0.5f);
      g_assert_cmpfloat (((const float *) g_bytes_get_data (low_first, NULL))[i], ==, i % 2 == 0 ? 0.5f : 1.0f);
      g_assert_cmpfloat (((const float *) g_bytes_get_data (other_toolkit, NULL))[i], ==, i % 2 == 0 ? 1.0f : 2.0f);
    }
}

/* Tests 128 rows and 64 columns: tiles and plain rows of scales then have the same shape */
static void
test_ambiguous (void)
{
  static const char *const tiles[] = { "comfy.scale-layout=swizzled", NULL };
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  QconvOpenOptions options = { .options = tiles };
  g_autofree char *path = NULL;
  g_autoptr (QconvModel) left = NULL, told = NULL;
  g_autoptr (GError) error = NULL;

  builder_add (b, "l.weight", "U8", "[128,32]", NULL, 128 * 32);
  builder_add (b, "l.weight_scale", "F8_E4M3", "[128,4]", NULL, 128 * 4);
  builder_add (b, "l.weight_scale_2", "F32", "[]", &one, sizeof one);
  path = builder_write (b, "ambiguous.safetensors");
  left = open_model (path, warnings);
  assert_scheme (left, "l", "unknown-scaled");
  g_assert_cmpuint (warnings->len, ==, 1);
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "-o comfy.scale-layout=swizzled"));
  told = qconv_model_open (path, &options, &error);
  g_assert_no_error (error);
  assert_scheme (told, "l", "nvfp4");
}

/* Tests that the header's names may lack the prefix, and that the header wins */
static void
test_header (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *path = NULL, *output = scratch_path ("header-out.safetensors");
  g_autoptr (QconvModel) m = NULL, moved = NULL;
  g_autoptr (GBytes) marker = NULL;
  const char want[] = "{\"format\": \"nvfp4\", \"full_precision_matrix_mult\": true, \"orig_shape\": [10, 64]}";

  add_layer (b, "net.l", 0x21, 0x38, "[128,4]", NULL);
  builder_add_text (b, "net.l.comfy_quant", NVFP4);
  builder_add_metadata (b, "_quantization_metadata",
                        "{\"layers\":{\"l\":{\"orig_shape\":[10,64],\"full_precision_matrix_mult\":true,"
                        "\"format\":\"nvfp4\"},\"gone\":{\"format\":\"nvfp4\"}}}");
  path = builder_write (b, "header.safetensors");
  m = open_model (path, warnings);
  assert_scheme (m, "net.l", "nvfp4");
  g_assert_cmpuint (warnings->len, ==, 2);
  convert (path, output, "nvfp4-comfy", NULL);
  moved = open_model (output, NULL);
  marker = tensor_bytes (moved, "net.l.comfy_quant");
  g_assert_cmpmem (g_bytes_get_data (marker, NULL), g_bytes_get_size (marker), want, strlen (want));
}

/* Tests that layers are listed even if no plugin has their quantizer. */
static void
test_other_formats (void)
{
  static const struct {
    const char *format, *scheme;
  } rows[] = { { "{\"format\": \"int8_tensorwise\"}", "int8" },
               { "{\"convrot\": true, \"per_row\": true}", "int8" },
               { "{\"format\": \"something_new\"}", "comfy:something_new" } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *path = NULL;
      g_autoptr (QconvModel) m = NULL;

      if (qconv_registry_quantizer (rows[i].scheme) != NULL)
        continue;
      builder_add (b, "l.weight", "I8", "[16,32]", NULL, 16 * 32);
      builder_add (b, "l.weight_scale", "F32", "[16,1]", NULL, 16 * 4);
      builder_add_text (b, "l.comfy_quant", rows[i].format);
      path = builder_write (b, "format.safetensors");
      m = open_model (path, NULL);
      assert_scheme (m, "l", rows[i].scheme);
    }
}

/* Tests that the bias shows which rows are padding. */
static void
test_bias (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *path = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GArray) weights = NULL;
  const QconvWeightInfo *w;

  add_layer (b, "l", 0x21, 0x38, "[128,4]", NULL);
  builder_add (b, "l.bias", "F16", "[9]", NULL, 18);
  builder_add_text (b, "l.comfy_quant", NVFP4);
  path = builder_write (b, "bias.safetensors");
  m = open_model (path, NULL);
  weights = qconv_model_weights (m);
  w = weight_called (weights, "l");
  g_assert_cmpuint (w->shape.dim[0], ==, 9);
  g_assert_cmpuint (w->shape.dim[1], ==, 64);
  g_assert_cmpstr (w->dtype, ==, "F16");
}

static void
test_problems (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *path = NULL, *problems = NULL;
  guint8 half[2] = { 0 };

  add_layer (b, "good", 0x21, 0x38, "[128,4]", NULL);
  builder_add_text (b, "good.comfy_quant", NVFP4);
  add_layer (b, "nan", 0x21, 0x7f, "[128,4]", NULL);
  builder_add_text (b, "nan.comfy_quant", NVFP4);
  add_layer (b, "flat", 0x21, 0x38, "[512]", NULL);
  builder_add_text (b, "flat.comfy_quant", NVFP4);
  builder_add (b, "flat.bias", "F32", "[40]", NULL, 160);
  add_layer (b, "bf", 0x21, 0x38, "[128,4]", ".weight_scale_2");
  builder_add (b, "bf.weight_scale_2", "BF16", "[1]", half, sizeof half);
  builder_add_text (b, "bf.comfy_quant", NVFP4);
  builder_add (b, "left.weight", "F8_E4M3", "[16,16]", NULL, 256);
  builder_add (b, "left.weight_scale", "F32", "[]", &one, sizeof one);
  builder_add (b, "nobody.weight_scale", "F32", "[]", &one, sizeof one); /* a parameter of the model with this name */
  builder_add (b, "odd.weight", "U8", "[9,20]", NULL, 180);
  builder_add (b, "odd.weight_scale", "F8_E4M3", "[128,4]", NULL, 512);
  builder_add (b, "odd.weight_scale_2", "F32", "[]", &one, sizeof one);
  builder_add_text (b, "odd.comfy_quant", NVFP4);
  path = builder_write (b, "problems.safetensors");
  problems = problems_of (path);
  g_assert_cmpstr (problems, ==,
                   "scale-value nan\nscale-shape flat\nbias-shape flat\ndtype bf\npadding odd\nno-marker left\n");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/comfy/markers/refused", test_refused);
  g_test_add_func ("/comfy/markers/refused-shapes", test_refused_shapes);
  g_test_add_func ("/comfy/markers/nibbles", test_nibbles);
  g_test_add_func ("/comfy/markers/ambiguous", test_ambiguous);
  g_test_add_func ("/comfy/markers/header", test_header);
  g_test_add_func ("/comfy/markers/other-formats", test_other_formats);
  g_test_add_func ("/comfy/markers/bias", test_bias);
  g_test_add_func ("/comfy/markers/problems", test_problems);
  status = g_test_run ();
  scratch_end ();
  return status;
}
