/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests formats in files of ours: markers, moves, and files with wrong markers or shapes. */
#include <string.h>

#include "fixture.h"

static const float one = 1.0f;

static gboolean
lacks (const char *scheme)
{
  g_autofree char *reason = g_strdup_printf ("no plugin has the scheme %s", scheme);

  if (qconv_registry_quantizer (scheme) != NULL)
    return FALSE;
  g_test_skip (reason);
  return TRUE;
}

static char *
plain_file (guint rows, guint cols)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree float *w = noise (rows * cols, 11);
  g_autofree char *shape = g_strdup_printf ("[%u,%u]", rows, cols);

  builder_add (b, "l.weight", "F32", shape, w, rows * cols * sizeof *w);
  return builder_write (b, "in.safetensors");
}

static char *
marker_of (const char *path)
{
  g_autoptr (QconvModel) m = open_model (path, NULL);
  g_autoptr (GBytes) bytes = tensor_bytes (m, "l.comfy_quant");

  return g_strchomp (g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes)));
}

static void
assert_marker (const char *path, const char *want)
{
  g_autofree char *got = marker_of (path);

  g_assert_cmpstr (got, ==, want);
}

static void
assert_same_file (const char *a, const char *b)
{
  g_autofree char *x = NULL, *y = NULL;
  gsize n_x = 0, n_y = 0;

  g_assert_true (g_file_get_contents (a, &x, &n_x, NULL) && g_file_get_contents (b, &y, &n_y, NULL));
  g_assert_cmpmem (x, n_x, y, n_y);
}

#define FULL ", \"full_precision_matrix_mult\": true}"
#define NF4_MAP                                                                                                       \
  ", \"quant_map\": [-1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0, 0.0795803, " \
  "0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1]}"

/* Each target: the marker that is written, and that converting the file again gives the same file. @marker: (nullable):
   NULL: it depends on numbers */
static const struct {
  const char *name, *target, *scheme, *marker;
  guint rows, cols;
  const char *options[4];
} written[] = {
  { "fp8", "fp8-comfy", "fp8", "{\"format\": \"float8_e4m3fn\"" FULL, 48, 64, { NULL } },
  { "fp8-off", "fp8-comfy", "fp8", "{\"format\": \"float8_e4m3fn\"}", 48, 64, { "full-precision-mm=off" } },
  { "e5m2", "fp8-comfy", "fp8", "{\"format\": \"float8_e5m2\"" FULL, 48, 64, { "fp8.dtype=e5m2" } },
  { "fp8-row", "fp8-row-comfy", "fp8_row", "{\"format\": \"float8_e4m3fn_rowwise\"" FULL, 47, 65, { NULL } },
  { "fp8-block",
    "fp8-block-comfy",
    "fp8_block",
    "{\"format\": \"float8_e4m3fn_blockwise\", \"group_size\": 64" FULL,
    128,
    64,
    { NULL } },
  { "nvfp4-on", "nvfp4-comfy", "nvfp4", "{\"format\": \"nvfp4\"" FULL, 48, 64, { "full-precision-mm=on" } },
  { "mxfp8", "mxfp8-comfy", "mxfp8", "{\"format\": \"mxfp8\"}", 45, 83, { NULL } },
  { "hybrid", "mxfp8-comfy", "mxfp8", "{\"format\": \"hybrid_mxfp8\"}", 45, 83, { "mxfp8.hybrid=on" } },
  { "int8-row", "int8-comfy", "int8", "{\"format\": \"int8_tensorwise\"}", 47, 65, { NULL } },
  { "int8-one-row", "int8-comfy", "int8", "{\"format\": \"int8_tensorwise\"}", 1, 65, { NULL } },
  { "int8-tensor", "int8-comfy", "int8", "{\"format\": \"int8_tensorwise\"}", 47, 65, { "int8.scaling=tensor" } },
  { "int8-convrot",
    "int8-comfy",
    "int8",
    "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": 64}",
    47,
    192,
    { "int8.convrot=auto" } },
  { "int8-block",
    "int8-block-comfy",
    "int8_block",
    "{\"format\": \"int8_blockwise\", \"group_size\": 128}",
    128,
    256,
    { NULL } },
  { "w4a4",
    "convrot-w4a4-comfy",
    "convrot_w4a4",
    "{\"format\": \"convrot_w4a4\", \"convrot_groupsize\": 256}",
    47,
    256,
    { NULL } },
  { "w4a8",
    "w4a8-comfy",
    "w4a8",
    "{\"format\": \"asym_w4a8_int8\", \"group_size\": 16, \"convrot_groupsize\": 64}",
    47,
    192,
    { NULL } },
  { "w4a8-none",
    "w4a8-comfy",
    "w4a8",
    "{\"format\": \"asym_w4a8_int8\", \"group_size\": 32, \"convrot_groupsize\": 64}",
    47,
    192,
    { "w4a8.codebook=none", "w4a8.group=32", "w4a8.scale-dtype=f32" } },
  { "w6a8",
    "w6a8-comfy",
    "w6a8",
    "{\"format\": \"asym_w4a8_int8\", \"group_size\": 16, \"convrot_groupsize\": 64}",
    47,
    192,
    { NULL } },
  { "awq", "awq-comfy", "awq", "{\"format\": \"awq_w4a16\", \"group_size\": 64}", 47, 192, { NULL } },
  { "nf4",
    "nf4-comfy",
    "nf4",
    "{\"format\": \"nf4\", \"shape\": [45, 83], \"blocksize\": 64, \"dtype\": \"bfloat16\", \"double_quant\": false}",
    45,
    83,
    { NULL } },
  { "bnb-nf4",
    "nf4-comfy",
    "nf4",
    "{\"format\": \"bnb_nf4\", \"group_size\": 128, \"quant_type\": \"nf4\", \"dtype\": \"float32\", "
    "\"shape\": [45, 83]" NF4_MAP,
    45,
    83,
    { "layout=extension", "nf4.block=128" } },
  { "fp4", "fp4-comfy", "fp4", NULL, 45, 83, { NULL } },
  { "af4", "af4-comfy", "af4", NULL, 45, 84, { NULL } },
};

static void
test_written (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *input = NULL, *first = scratch_path ("first.safetensors"), *problems = NULL;
  g_autofree char *second = scratch_path ("second.safetensors"), *a = scratch_path ("a.safetensors");
  g_autofree char *b = scratch_path ("b.safetensors");

  if (lacks (written[i].scheme))
    return;
  input = plain_file (written[i].rows, written[i].cols);
  convert (input, first, written[i].target, written[i].options);
  if (written[i].marker != NULL)
    assert_marker (first, written[i].marker);
  problems = problems_of (first);
  g_assert_cmpstr (problems, ==, "");
  convert (first, second, written[i].target, NULL);
  assert_same_file (first, second);
  convert (first, a, "f32-safetensors", NULL);
  convert (second, b, "f32-safetensors", NULL);
  assert_same_file (a, b);
}

/* Tests that keys of the marker move along, except those that follow from the layer, which are written anew. */
static void
test_hints (void)
{
  g_autofree char *input = NULL, *output = scratch_path ("hints-out.safetensors");
  g_autoptr (Builder) b = builder_new ();

  if (lacks ("int8"))
    return;
  builder_add (b, "l.weight", "I8", "[16,64]", NULL, 1024);
  builder_add (b, "l.weight_scale", "F32", "[16,1]", NULL, 64);
  builder_add_text (b, "l.comfy_quant",
                    "{\"zz\": [1, {\"a\": null}], \"params\": {\"convrot_groupsize\": 16, \"b\": 2, "
                    "\"convrot\": true}, \"format\": \"int8_tensorwise\", \"per_row\": true}");
  input = builder_write (b, "hints.safetensors");
  convert (input, output, "int8-comfy", NULL);
  assert_marker (output, "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": 16, "
                         "\"params\": {\"b\": 2}, \"per_row\": true, "
                         "\"zz\": [1, {\"a\": null}]}");
}

/* Tests that a moved layer keeps its key for full precision unless the user sets the option. */
static void
test_full_precision (void)
{
  static const char *const on[] = { "full-precision-mm=on", NULL }, *const off[] = { "full-precision-mm=off", NULL };
  static const char *const automatic[] = { "full-precision-mm=auto", NULL };
  g_autofree char *input = NULL, *plain = plain_file (16, 64), *output = scratch_path ("full-out.safetensors");
  QconvJob job = { .target = "int8-comfy", .output = output, .rules.only = QCONV_LIST (".*"), .options = on };
  g_autoptr (Builder) b = builder_new ();

  if (lacks ("fp8") || lacks ("int8"))
    return;
  assert_job_refused (plain, &job, QCONV_ERROR_OPTION, "full-precision-mm");
  builder_add (b, "l.weight", "F8_E4M3", "[16,64]", NULL, 1024);
  builder_add (b, "l.weight_scale", "F32", "[1]", &one, sizeof one);
  builder_add_text (b, "l.comfy_quant", "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": false}");
  input = builder_write (b, "full.safetensors");
  convert (input, output, "fp8-comfy", NULL);
  assert_marker (output, "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": false}");
  convert (input, output, "fp8-comfy", automatic);
  assert_marker (output, "{\"format\": \"float8_e4m3fn\"" FULL);
  convert (input, output, "fp8-comfy", off);
  assert_marker (output, "{\"format\": \"float8_e4m3fn\"}");
}

/* Layers of other producers. @scheme: (nullable): that the layer is read as; NULL: it is refused with @word */
static const struct {
  const char *weight, *weight_shape, *suffix, *scale, *scale_shape, *marker, *scheme, *word;
} broken[] = {
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]",
    "{\"convrot\": true, \"per_row\": true, \"convrot_groupsize\": 64}", "int8", "names no format" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16]", "{\"format\": \"int8_tensorwise\"}", "int8", "shape" },
  { "I8", "[16,64]", "weight_scale", "F32", "[1,1]", "{\"format\": \"int8_tensorwise\"}", "int8", NULL },
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]", "\0\0\0\0", "int8", "blank" },
  { "I8", "[16,64]", "weight_scale", "F32", "[]", "", "int8", "blank" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16]", "\0\0\0\0", NULL, "no format fits" },
  { "F8_E4M3", "[16,64]", "weight_scale", "BF16", "[]", "\0\0\0\0", "fp8", "blank" },
  { "F8_E4M3", "[32,64]", "weight_scale", "U8", "[128,4]", "\0\0\0\0", "mxfp8", "blank" },
  { "F8_E4M3", "[32,64]", "weight_scale", "F8_E8M0", "[128,4]", "{\"format\": \"mxfp8\"}", "mxfp8", NULL },
  { "F8_E4M3", "[32,64]", "weight_scale", "F8_E4M3", "[128,4]", "{\"format\": \"mxfp8\"}", "mxfp8", NULL },
  { "F8_E4M3", "[32,64]", "weight_scale", "F32", "[32]",
    "{\"format\": \"float8_e4m3fn_blockwise\", \"group_size\": 64}", "fp8_row", "rowwise" },
  { "F8_E4M3", "[32,64]", "weight_scale", "F32", "[1,1]",
    "{\"format\": \"float8_e4m3fn_blockwise\", \"group_size\": 64}", NULL, "do not divide" },
  { "F8_E4M3", "[32,64]", "weight_scale", "F32", "[32]",
    "{\"format\": \"float8_e4m3fn_blockwise\", \"group_size\": 16}", "fp8_row", "rowwise" },
  { "I8", "[32,64]", "weight_scale", "F32", "[2,4]", "{\"format\": \"int8_blockwise\"}", "int8_block", NULL },
  { "I8", "[32,64]", "weight_scale", "F32", "[2,3]", "{\"format\": \"int8_blockwise\"}", NULL,
    "weight_scale has the shape" },
  { "I8", "[32,64]", "weight_scale", "F32", "[0,4]", "{\"format\": \"int8_blockwise\"}", NULL, "no group_size" },
  { "I8", "[16,64]", "weight_scale", "F32", "[15,1]", "{\"format\": \"int8_tensorwise\"}", NULL, "shape" },
  { "I8", "[16,64]", "weight_scale", "F64", "[16,1]", "{\"format\": \"int8_tensorwise\"}", NULL, "F64" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]",
    "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": 0}", NULL, "convrot_groupsize 0" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]",
    "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": -16}", NULL, "convrot_groupsize -16" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]",
    "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": 32}", NULL, "convrot_groupsize 32" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]", "{\"format\": \"int8_tensorwise\", \"convrot\": true}", NULL,
    "does not divide" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]",
    "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": \"16\"}", NULL, "not a whole number" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]", "{\"format\": \"int8_tensorwise\", \"convrot\": 1}", NULL,
    "neither true nor false" },
  { "I8", "[16,64]", "weight_scale", "F32", "[16,1]", "{\"format\": \"convrot_w4a4\", \"convrot_groupsize\": 64}",
    "convrot_w4a4", NULL },
  { "I8", "[16,64]", "weight_s_rel", "F32", "[16,8]",
    "{\"format\": \"asym_w4a8_int8\", \"group_size\": 9223372036854775807}", NULL, "group_size 9223372036854775807" },
  { "I8", "[16,64]", "weight_s_rel", "F32", "[16,8]", "{\"format\": \"asym_w4a8_int8\", \"convrot_groupsize\": 16}",
    NULL, "weight_s_channel is missing" },
  { "I8", "[16,64]", "weight_s_rel", "F32", "[16,7]", "{\"format\": \"asym_w4a8_int8\", \"convrot_groupsize\": 16}",
    NULL, "weight has the shape" },
  { "U8", "[512]", "weight_scale", "F32", "[16]", "{\"format\": \"nf4\", \"blocksize\": 64}", NULL, "no shape" },
  { "U8", "[512]", "weight_scale", "F32", "[16]",
    "{\"format\": \"nf4\", \"blocksize\": 64, \"shape\": [4294967296, 4294967296]}", NULL, "no shape" },
  { "U8", "[512]", "weight_scale", "F32", "[16]", "{\"format\": \"nf4\", \"blocksize\": 64, \"shape\": [0, 64]}", NULL,
    "no shape" },
  { "U8", "[512]", "weight_scale", "F32", "[16]",
    "{\"format\": \"nf4\", \"blocksize\": 64, \"shape\": [16, 64], \"double_quant\": true}", NULL, "double_quant" },
  { "U8", "[512]", "weight_scale", "F32", "[16]", "{\"format\": \"nf4\", \"blocksize\": 48, \"shape\": [16, 64]}", NULL,
    "blocksize 48" },
  { "U8", "[512]", "weight_scale", "F32", "[16]", "{\"format\": \"nf4\", \"blocksize\": 64, \"shape\": [17, 64]}", NULL,
    "weight has the shape" },
  { "U8", "[512]", "absmax", "F32", "[16]", "{\"format\": \"bnb_nf4\", \"group_size\": 64, \"shape\": [16, 64]}", NULL,
    "no quant_map" },
  { "U8", "[512]", "absmax", "F32", "[16]",
    "{\"format\": \"bnb_fp4\", \"group_size\": 64, \"shape\": [16, 64], \"quant_map\": [1, 2]}", NULL, "no quant_map" },
  { "I8", "[0,64]", "weight_scale", "F32", "[]", "{\"format\": \"int8_tensorwise\"}", NULL, "not a matrix" },
  { "I8", "[64]", "weight_scale", "F32", "[]", "{\"format\": \"int8_tensorwise\"}", NULL, "not a matrix" },
  { "I8", "[2,16,64]", "weight_scale", "F32", "[]", "{\"format\": \"int8_tensorwise\"}", NULL, "not a matrix" },
};

static gsize
bytes_of (const char *dtype, const char *shape)
{
  g_auto (GStrv) dims = g_strsplit_set (shape, "[],", -1);
  gsize n = strstr (dtype, "64") != NULL ? 8 : strstr (dtype, "32") != NULL ? 4 : strstr (dtype, "16") != NULL ? 2 : 1;

  for (guint i = 0; dims[i] != NULL; i++)
    n *= *dims[i] != '\0' ? g_ascii_strtoull (dims[i], NULL, 10) : 1;
  return n;
}

static char *
broken_file (guint i)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *name = g_strconcat ("l.", broken[i].suffix, NULL);
  guint8 nothing[4] = { 0 };

  builder_add (b, "l.weight", broken[i].weight, broken[i].weight_shape, NULL,
               bytes_of (broken[i].weight, broken[i].weight_shape));
  builder_add (b, name, broken[i].scale, broken[i].scale_shape, NULL,
               bytes_of (broken[i].scale, broken[i].scale_shape));
  if (strstr (broken[i].marker, "nf4") != NULL)
    builder_add (b, "l.weight_code", "F32", "[16]", NULL, 64);
  if (*broken[i].marker == '\0')
    builder_add (b, "l.comfy_quant", "U8", broken[i].word != NULL && i % 2 == 0 ? "[0]" : "[4]", nothing,
                 broken[i].word != NULL && i % 2 == 0 ? 0 : 4);
  else
    builder_add_text (b, "l.comfy_quant", broken[i].marker);
  return builder_write (b, "broken.safetensors");
}

static gboolean
says (GPtrArray *lines, const char *word)
{
  for (guint i = 0; i < lines->len; i++)
    if (strstr (g_ptr_array_index (lines, i), word) != NULL)
      return TRUE;
  return FALSE;
}

static void
collect (const char *message, gpointer data)
{
  g_ptr_array_add (data, g_strdup (message));
}

static void
check_broken (guint i)
{
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  QconvOpenOptions options = { .warn = collect, .warn_data = warnings };
  g_autofree char *path = broken_file (i);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (path, &options, &error);
  g_autoptr (GArray) weights = NULL;

  g_test_message ("%s %s %s %s", broken[i].weight, broken[i].weight_shape, broken[i].scale_shape, broken[i].marker);
  if (broken[i].scheme == NULL)
    {
      if (error == NULL)
        g_error ("%s is not refused", broken[i].marker);
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
      if (strstr (error->message, broken[i].word) == NULL)
        g_error ("\"%s\" does not say \"%s\"", error->message, broken[i].word);
      return;
    }
  g_assert_no_error (error);
  weights = qconv_model_weights (m);
  g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, 0).scheme, ==, broken[i].scheme);
  g_assert_cmpuint (warnings->len, ==, broken[i].word != NULL);
  g_assert_true (broken[i].word == NULL || says (warnings, broken[i].word));
}

static void
test_broken (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (broken); i++)
    check_broken (i);
}

/* Tests NULs behind the text of a marker. */
static void
test_trailing (void)
{
  static const char text[] = "{\"format\": \"int8_tensorwise\"}\0\0\0";
  g_autofree char *input = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;

  builder_add (b, "l.weight", "I8", "[16,64]", NULL, 1024);
  builder_add (b, "l.weight_scale", "F32", "[]", &one, sizeof one);
  builder_add (b, "l.comfy_quant", "U8", "[32]", text, 32);
  input = builder_write (b, "trailing.safetensors");
  m = open_model (input, NULL);
  g_assert_cmpstr (qconv_model_format (m), ==, "comfy");
}

/* Tests the name weight_zero, and each layout of NF4 converted to the other. */
static void
test_names (void)
{
  static const char *const extension[] = { "layout=extension", NULL }, *const comfy[] = { "layout=comfy", NULL };
  g_autofree char *input = NULL, *output = scratch_path ("names.safetensors"), *plain = plain_file (45, 83);
  g_autofree char *first = scratch_path ("nf4-1.safetensors"), *second = scratch_path ("nf4-2.safetensors");
  g_autofree char *third = scratch_path ("nf4-3.safetensors"), *marker = NULL;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, made = NULL;

  if (lacks ("awq") || lacks ("nf4"))
    return;
  builder_add (b, "l.weight", "I8", "[16,32]", NULL, 512);
  builder_add (b, "l.weight_scale", "BF16", "[1,16]", NULL, 32);
  builder_add (b, "l.weight_zero", "BF16", "[1,16]", NULL, 32);
  builder_add_text (b, "l.comfy_quant", "{\"format\": \"awq_w4a16\"}");
  input = builder_write (b, "singular.safetensors");
  m = open_model (input, warnings);
  g_assert_true (says (warnings, "weight_zeros is called weight_zero"));
  convert (input, output, "awq-comfy", NULL);
  made = open_model (output, NULL);
  g_assert_nonnull (qconv_directory_find (qconv_model_directory (made), "l.weight_zeros"));
  convert (plain, first, "nf4-comfy", NULL);
  convert (first, second, "nf4-comfy", extension);
  marker = marker_of (second);
  g_assert_true (g_str_has_prefix (marker, "{\"format\": \"bnb_nf4\", \"group_size\": 64, \"quant_type\": \"nf4\""));
  g_assert_null (strstr (marker, "blocksize"));
  convert (second, third, "nf4-comfy", comfy);
  assert_same_file (first, third);
}

/* Tests that the header wins, as in ComfyUI, unless the user sets truth=markers. */
static void
test_truth (void)
{
  static const char *const markers[] = { "comfy.truth=markers", NULL };
  g_autofree char *input = NULL, *output = scratch_path ("truth-out.safetensors");
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;

  if (lacks ("int8"))
    return;
  builder_add (b, "l.weight", "I8", "[16,64]", NULL, 1024);
  builder_add (b, "l.weight_scale", "F32", "[16,1]", NULL, 64);
  builder_add_text (b, "l.comfy_quant",
                    "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": 64}");
  builder_add_metadata (b, "_quantization_metadata", "{\"layers\":{\"l\":{\"format\":\"int8_tensorwise\"}}}");
  input = builder_write (b, "truth.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 1);
  g_assert_true (says (warnings, "disagree; the former counts"));
  convert (input, output, "int8-comfy", NULL);
  assert_marker (output, "{\"format\": \"int8_tensorwise\"}");
  convert (input, output, "int8-comfy", markers);
  assert_marker (output, "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": 64}");
}

/* Tests a scale that is not a number, in every place that holds one. */
static void
test_values (void)
{
  static const struct {
    const char *format, *weight, *suffix, *shape;
    guint n;
    const char *problem;
  } rows[] = {
    { "float8_e4m3fn", "F8_E4M3", "weight_scale", "[]", 1, "scale-value l\n" },
    { "float8_e4m3fn_rowwise", "F8_E4M3", "weight_scale", "[16]", 16, "scale-value l\n" },
    { "int8_tensorwise", "I8", "weight_scale", "[16,1]", 16, "scale-value l\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *input = NULL, *problems = NULL, *name = g_strconcat ("l.", rows[i].suffix, NULL);
      g_autofree char *marker = g_strdup_printf ("{\"format\": \"%s\"}", rows[i].format);
      g_autofree guint32 *bits = g_new0 (guint32, rows[i].n);
      g_autoptr (Builder) b = builder_new ();

      bits[rows[i].n - 1] = 0xff800000;
      builder_add (b, "l.weight", rows[i].weight, "[16,64]", NULL, 1024);
      builder_add (b, name, "F32", rows[i].shape, bits, rows[i].n * sizeof *bits);
      builder_add_text (b, "l.comfy_quant", marker);
      input = builder_write (b, "values.safetensors");
      problems = problems_of (input);
      g_assert_cmpstr (problems, ==, rows[i].problem);
    }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (written); i++)
    {
      g_autofree char *name = g_strconcat ("/comfy/formats/written/", written[i].name, NULL);

      g_test_add_data_func (name, GUINT_TO_POINTER (i), test_written);
    }
  g_test_add_func ("/comfy/formats/hints", test_hints);
  g_test_add_func ("/comfy/formats/full-precision", test_full_precision);
  g_test_add_func ("/comfy/formats/broken", test_broken);
  g_test_add_func ("/comfy/formats/trailing", test_trailing);
  g_test_add_func ("/comfy/formats/names", test_names);
  g_test_add_func ("/comfy/formats/truth", test_truth);
  g_test_add_func ("/comfy/formats/values", test_values);
  status = g_test_run ();
  scratch_end ();
  return status;
}
