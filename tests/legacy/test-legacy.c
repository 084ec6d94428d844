/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests scaled FP8 of older files: reading them, their oddities, and conversions to markers and back. */
#include "fixture.h"

#include <string.h>

#define ROWS 32
#define COLS 64

static const float half = 0.5f, one = 1.0f;

static void
add_codes (Builder *b, const char *layer, const char *dtype)
{
  g_autofree char *name = g_strconcat (layer, ".weight", NULL);
  guint8 codes[ROWS * COLS];

  for (guint i = 0; i < sizeof codes; i++)
    codes[i] = (guint8) (i % 0x7b);
  builder_add (b, name, dtype, "[32,64]", codes, sizeof codes);
}

static void
add_scale (Builder *b, const char *layer, const char *suffix, const char *shape, const float *value)
{
  g_autofree char *name = g_strconcat (layer, suffix, NULL);

  builder_add (b, name, "F32", shape, value, sizeof *value);
}

static void
add_layer (Builder *b, const char *layer)
{
  add_codes (b, layer, "F8_E4M3");
  add_scale (b, layer, ".scale_weight", "[]", &half);
}

static void
assert_scheme (const char *path, const char *layer, const char *scheme)
{
  g_autoptr (QconvModel) m = open_model (path, NULL);
  g_autoptr (GArray) weights = qconv_model_weights (m);

  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvWeightInfo, i).name, layer) == 0)
      {
        g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, i).scheme, ==, scheme);
        return;
      }
  g_error ("there is no layer %s", layer);
}

static void
assert_text (const QconvModel *m, const char *name, const char *want)
{
  g_autoptr (GBytes) bytes = tensor_bytes (m, name);
  g_autofree char *got = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));

  g_assert_cmpstr (got, ==, want);
}

static void
assert_shape (const QconvModel *m, const char *name, const char *dtype, const char *want)
{
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
  g_autofree char *got = t != NULL ? qconv_shape_to_string (&t->shape) : NULL;

  g_assert_cmpstr (got, ==, want);
  g_assert_cmpstr (qconv_dtype_name (t->dtype), ==, dtype);
}

static void
assert_same_tensor (const QconvModel *a, const char *name_a, const QconvModel *b, const char *name_b)
{
  g_autoptr (GBytes) x = tensor_bytes (a, name_a), y = tensor_bytes (b, name_b);

  g_assert_true (g_bytes_equal (x, y));
}

static gboolean
has (const QconvModel *m, const char *name)
{
  return qconv_directory_find (qconv_model_directory (m), name) != NULL;
}

/* Tests that converting to markers and back changes no byte of a weight and no scale, with and without full
   precision. */
static void
test_there_and_back (gconstpointer data)
{
  guint n_marker = GPOINTER_TO_UINT (data);
  g_autofree char *shape = g_strdup_printf ("[%u]", n_marker), *shown = g_strdup_printf ("[%u]", n_marker == 2 ? 2 : 0);
  g_autofree char *marked = scratch_path ("marked.safetensors"), *back = scratch_path ("back.safetensors");
  g_autofree char *again = scratch_path ("again.safetensors"), *input = NULL, *problems = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) a = NULL, m = NULL, z = NULL, y = NULL;

  add_layer (b, "blocks.0.q");
  add_scale (b, "blocks.0.q", ".scale_input", "[1]", &one);
  add_codes (b, "blocks.0.k", "F8_E4M3");
  add_scale (b, "blocks.0.k", ".scale_weight", "[1]", &half);
  builder_add (b, "scaled_fp8", "F8_E4M3", shape, NULL, n_marker);
  input = builder_write (b, "legacy.safetensors");
  convert (input, marked, "fp8-comfy", NULL);
  a = open_model (input, NULL);
  m = open_model (marked, NULL);
  assert_same_tensor (a, "blocks.0.q.weight", m, "blocks.0.q.weight");
  assert_same_tensor (a, "blocks.0.k.scale_weight", m, "blocks.0.k.weight_scale");
  assert_same_tensor (a, "blocks.0.q.scale_input", m, "blocks.0.q.input_scale");
  assert_shape (m, "blocks.0.k.weight_scale", "F32", "[]");
  assert_shape (m, "blocks.0.q.input_scale", "F32", "[]");
  g_assert_false (has (m, "scaled_fp8"));
  assert_text (m, "blocks.0.k.comfy_quant",
               n_marker == 2 ? "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": true}"
                             : "{\"format\": \"float8_e4m3fn\"}");
  convert (marked, back, "fp8-legacy", NULL);
  z = open_model (back, NULL);
  assert_same_tensor (a, "blocks.0.q.weight", z, "blocks.0.q.weight");
  assert_same_tensor (a, "blocks.0.k.weight", z, "blocks.0.k.weight");
  assert_same_tensor (a, "blocks.0.q.scale_input", z, "blocks.0.q.scale_input");
  assert_shape (z, "scaled_fp8", "F8_E4M3", shown);
  g_assert_false (has (z, "blocks.0.q.comfy_quant"));
  g_assert_null (qconv_directory_metadata (qconv_model_directory (z), "_quantization_metadata"));
  problems = problems_of (back);
  g_assert_cmpstr (problems, ==, "");
  convert (back, again, "fp8-legacy", NULL);
  y = open_model (again, NULL);
  assert_same_tensor (z, "scaled_fp8", y, "scaled_fp8");
  assert_same_tensor (z, "blocks.0.q.weight", y, "blocks.0.q.weight");
}

static void
test_full_precision_option (void)
{
  static const char *const on[] = { "full-precision-mm=on", NULL }, *const automatic[]
                                                                    = { "full-precision-mm=auto", NULL };
  g_autofree char *output = scratch_path ("option.safetensors"), *input = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) told = NULL, found = NULL;

  add_layer (b, "l");
  add_scale (b, "l", ".scale_input", "[]", &half);
  builder_add (b, "scaled_fp8", "F8_E4M3", "[2]", NULL, 2);
  input = builder_write (b, "option-in.safetensors");
  convert (input, output, "fp8-legacy", automatic); /* every layer has the scale of its input */
  found = open_model (output, NULL);
  assert_shape (found, "scaled_fp8", "F8_E4M3", "[0]");
  convert (input, output, "fp8-comfy", on);
  told = open_model (output, NULL);
  assert_text (told, "l.comfy_quant", "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": true}");
}

/* Tests that each part of a checkpoint has its own marker */
static void
test_prefixes (void)
{
  static const char unet[] = "model.diffusion_model.blocks.0.q", text[] = "text_encoders.t5xxl.transformer.block.0.q";
  g_autofree char *output = scratch_path ("prefixes-out.safetensors"),
                  *back = scratch_path ("prefixes-back.safetensors");
  g_autofree char *input = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, z = NULL;

  add_layer (b, unet);
  add_layer (b, text);
  builder_add (b, "model.diffusion_model.scaled_fp8", "F8_E4M3", "[0]", NULL, 0);
  builder_add (b, "text_encoders.t5xxl.transformer.scaled_fp8", "F8_E4M3", "[2]", NULL, 2);
  input = builder_write (b, "prefixes.safetensors");
  convert (input, output, "fp8-comfy", NULL);
  m = open_model (output, NULL);
  assert_text (m, "model.diffusion_model.blocks.0.q.comfy_quant", "{\"format\": \"float8_e4m3fn\"}");
  assert_text (m, "text_encoders.t5xxl.transformer.block.0.q.comfy_quant",
               "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": true}");
  convert (output, back, "fp8-legacy", NULL);
  z = open_model (back, NULL);
  assert_shape (z, "model.diffusion_model.scaled_fp8", "F8_E4M3", "[2]"); /* one value for the file */
  assert_shape (z, "text_encoders.t5xxl.transformer.scaled_fp8", "F8_E4M3", "[2]");
  g_assert_false (has (z, "scaled_fp8"));
}

/* Tests that E5M2 stays E5M2, unless the target is the older form, which has only E4M3. */
static void
test_e5m2 (void)
{
  g_autofree char *output = scratch_path ("e5m2-out.safetensors"), *input = NULL, *problems = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;

  add_codes (b, "l", "F8_E5M2");
  add_scale (b, "l", ".scale_weight", "[]", &half);
  builder_add (b, "scaled_fp8", "F8_E5M2", "[0]", NULL, 0);
  input = builder_write (b, "e5m2.safetensors");
  problems = problems_of (input);
  g_assert_cmpstr (problems, ==, "dtype l\n");
  convert (input, output, "fp8-comfy", NULL);
  m = open_model (output, NULL);
  assert_shape (m, "l.weight", "F8_E5M2", "[32, 64]");
  assert_text (m, "l.comfy_quant", "{\"format\": \"float8_e5m2\"}");
}

/* Tests scales beside weights that were never quantized, and FP8 numbers without a scale */
static void
test_dummies (void)
{
  g_autofree char *output = scratch_path ("dummies-out.safetensors"), *input = NULL;
  g_autofree float *w = noise (ROWS * COLS, 7);
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, made = NULL;

  add_layer (b, "scaled");
  builder_add (b, "first.weight", "F32", "[32,64]", w, ROWS * COLS * sizeof *w);
  add_scale (b, "first", ".scale_weight", "[]", &one);
  builder_add (b, "second.weight", "F32", "[32,64]", w, ROWS * COLS * sizeof *w);
  add_scale (b, "second", ".scale_weight", "[]", &one);
  add_scale (b, "second", ".scale_input", "[]", &one);
  add_codes (b, "numbers", "F8_E4M3");
  builder_add (b, "scaled_fp8", "F8_E4M3", "[0]", NULL, 0);
  input = builder_write (b, "dummies.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 1);
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "(2 in all): is dropped: its weight is not quantized"));
  assert_scheme (input, "first", "plain");
  assert_scheme (input, "numbers", "plain");
  convert (input, output, "f32-safetensors", NULL);
  made = open_model (output, NULL);
  assert_same_tensor (m, "first.weight", made, "first.weight");
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (made)), ==, 4);
}

/* Tests that scales without weights are dropped: they would be a problem in every output. */
static void
test_alone (void)
{
  g_autofree char *output = scratch_path ("alone-out.safetensors"), *input = NULL, *problems = NULL;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, made = NULL;

  add_layer (b, "l");
  add_scale (b, "ghost", ".scale_weight", "[]", &one);
  add_scale (b, "ghost", ".scale_input", "[]", &one);
  builder_add (b, "scaled_fp8", "F8_E4M3", "[0]", NULL, 0);
  input = builder_write (b, "alone.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 1);
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "(2 in all): is dropped: there is no weight for it"));
  convert (input, output, "fp8-legacy", NULL);
  made = open_model (output, NULL);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (made)), ==, 3);
  problems = problems_of (output);
  g_assert_cmpstr (problems, ==, "");
}

/* Tests that keys cannot be edited, because no layer has a marker. */
static void
test_edit (void)
{
  static const struct {
    const char *key, *value, *says;
  } rows[] = { { "full_precision_matrix_mult", "true", "one marker for all layers; use -o full-precision-mm=on|off" },
               { "full_precision_matrix_mult", NULL, "one marker for all layers; use -o full-precision-mm=on|off" },
               { "a", "1", "no place for the key \"a\"" } };
  g_autofree char *output = scratch_path ("edit-out.safetensors"), *input = NULL;
  g_autoptr (Builder) b = builder_new ();

  add_layer (b, "l");
  builder_add (b, "scaled_fp8", "F8_E4M3", "[0]", NULL, 0);
  input = builder_write (b, "edit.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      const QconvHintChange change = { .key = rows[i].key, .value = rows[i].value };

      assert_job_refused (input, &(QconvJob) { .output = output, .edit.hints = &change, .edit.n_hints = 1 },
                          QCONV_ERROR_OPTION, rows[i].says);
    }
}

static void
test_no_marker (void)
{
  g_autofree char *input = NULL, *problems = NULL;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;

  add_layer (b, "l");
  input = builder_write (b, "no-marker.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpstr (qconv_model_format (m), ==, "legacy");
  g_assert_cmpuint (warnings->len, ==, 1);
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "no marker scaled_fp8"));
  problems = problems_of (input);
  g_assert_cmpstr (problems, ==, "no-marker l\n");
}

/* Tests schemes that follow from the shapes of scales, and shapes that fit no scheme. */
static void
test_shapes (void)
{
  static const struct {
    const char *dtype, *shape;
    guint n;
    const char *scheme;
  } rows[] = {
    { "F8_E4M3", "[1,1]", 1, "fp8" },
    { "F8_E4M3", "[32]", 32, "fp8_row" },
    { "F8_E4M3", "[32,1]", 32, "fp8_row" },
    { "F8_E4M3", "[4,8]", 32, "fp8_block" },
    { "F8_E4M3", "[8]", 8, "fp8_block" },
    { "F8_E4M3", "[3,5]", 15, "unknown-scaled" },
    { "F8_E4M3", "[32,8,1]", 256, "fp8_group" },
    { "F8_E5M2", "[32]", 32, "fp8_group" },
    { "F8_E4M3", "[0]", 0, "unknown-scaled" },
    { "I8", "[]", 1, "int8" },
    { "I8", "[32]", 32, "int8" },
    { "I8", "[32,1]", 32, "int8" },
    { "I8", "[2,4]", 8, "int8_block" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree float *scales = g_new0 (float, rows[i].n + 1);
      g_autofree char *input = NULL, *output = scratch_path ("shapes-out.safetensors");
      g_autofree char *never = scratch_path ("shapes-never.safetensors");
      g_autoptr (Builder) b = builder_new ();

      for (guint j = 0; j < rows[i].n; j++)
        scales[j] = (float) (j + 1);
      add_codes (b, "l", rows[i].dtype);
      builder_add (b, "l.scale_weight", "F32", rows[i].shape, scales, rows[i].n * sizeof *scales);
      builder_add (b, rows[i].dtype[0] == 'I' ? "scaled_int8" : "scaled_fp8", "U8", "[0]", NULL, 0);
      input = builder_write (b, "shapes.safetensors");
      assert_scheme (input, "l", rows[i].scheme);
      if (qconv_registry_quantizer (rows[i].scheme) != NULL)
        convert (input, output, "f32-safetensors", NULL);
      else
        assert_job_refused (input, &(QconvJob) { .target = "f32-safetensors", .output = never },
                            QCONV_ERROR_UNSUPPORTED, "no loaded plugin decodes");
    }
}

/* Tests blocks in one row: the second scale belongs to columns 16 to 31 of rows 0 to 15 */
static void
test_flat_blocks (void)
{
  static const float scales[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
  g_autofree char *input = NULL, *output = scratch_path ("flat-out.safetensors");
  g_autofree guint8 *ones = g_malloc (ROWS * COLS);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const float *x;

  memset (ones, 0x38, ROWS * COLS);
  builder_add (b, "l.weight", "F8_E4M3", "[32,64]", ones, ROWS * COLS);
  builder_add (b, "l.scale_weight", "F32", "[8]", scales, sizeof scales);
  builder_add (b, "scaled_fp8", "F8_E4M3", "[0]", NULL, 0);
  input = builder_write (b, "flat.safetensors");
  convert (input, output, "f32-safetensors", NULL);
  m = open_model (output, NULL);
  bytes = tensor_bytes (m, "l.weight");
  x = g_bytes_get_data (bytes, NULL);
  for (guint i = 0; i < ROWS * COLS; i++)
    g_assert_cmpfloat (x[i], ==, scales[i / COLS / 16 * 4 + i % COLS / 16]);
}

/* Tests that the reader of the older form is not asked if the header names layers. The scale counts nevertheless. */
static void
test_header (void)
{
  g_autofree char *input = NULL, *output = scratch_path ("header-out.safetensors");
  g_autoptr (Builder) b = builder_new ();

  add_layer (b, "l");
  builder_add (b, "scaled_fp8", "F8_E4M3", "[0]", NULL, 0);
  builder_add_metadata (b, "_quantization_metadata", "{\"layers\":{}}");
  input = builder_write (b, "header.safetensors");
  assert_scheme (input, "l", "fp8");
  convert (input, output, "bf16-safetensors", NULL);
}

/* Tests writing from floats: the file can be read back; schemes with a scale for each row are refused. */
static void
test_write (void)
{
  g_autofree char *input = NULL, *output = scratch_path ("write-out.safetensors"), *problems = NULL;
  g_autofree float *w = noise (ROWS * COLS, 9);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;

  builder_add (b, "net.blocks.0.q.weight", "F32", "[32,64]", w, ROWS * COLS * sizeof *w);
  builder_add (b, "net.blocks.0.norm.weight", "F32", "[64]", w, COLS * sizeof *w);
  input = builder_write (b, "write.safetensors");
  convert (input, output, "fp8-legacy", NULL);
  m = open_model (output, NULL);
  assert_shape (m, "net.blocks.0.q.weight", "F8_E4M3", "[32, 64]");
  assert_shape (m, "net.blocks.0.q.scale_weight", "F32", "[]");
  assert_shape (m, "net.blocks.0.norm.weight", "F32", "[64]");
  assert_shape (m, "net.scaled_fp8", "F8_E4M3", "[2]");
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (m)), ==, 4);
  problems = problems_of (output);
  g_assert_cmpstr (problems, ==, "");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i <= 2; i++)
    {
      g_autofree char *name = g_strdup_printf ("/legacy/there-and-back/%u", i);

      g_test_add_data_func (name, GUINT_TO_POINTER (i), test_there_and_back);
    }
  g_test_add_func ("/legacy/full-precision-option", test_full_precision_option);
  g_test_add_func ("/legacy/prefixes", test_prefixes);
  g_test_add_func ("/legacy/e5m2", test_e5m2);
  g_test_add_func ("/legacy/dummies", test_dummies);
  g_test_add_func ("/legacy/alone", test_alone);
  g_test_add_func ("/legacy/edit", test_edit);
  g_test_add_func ("/legacy/no-marker", test_no_marker);
  g_test_add_func ("/legacy/shapes", test_shapes);
  g_test_add_func ("/legacy/flat-blocks", test_flat_blocks);
  g_test_add_func ("/legacy/header", test_header);
  g_test_add_func ("/legacy/write", test_write);
  status = g_test_run ();
  scratch_end ();
  return status;
}
