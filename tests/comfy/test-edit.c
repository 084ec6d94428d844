/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests which keys of a marker an edit may change, and which follow from the weights. */
#include "fixture.h"

#include <string.h>

static const float one = 1.0f;

/* Writes one layer "l" of 16 by 64; @input: with a scale of its input */
static char *
write_layer (const char *dtype, const char *scale_shape, gsize n_scales, const char *marker, gboolean input)
{
  g_autoptr (Builder) b = builder_new ();
  float scales[16] = { 1.0f, 0.5f };

  builder_add (b, "l.weight", dtype, "[16,64]", NULL, 1024);
  builder_add (b, "l.weight_scale", "F32", scale_shape, scales, n_scales * sizeof *scales);
  if (input)
    builder_add (b, "l.input_scale", "F32", "[]", &one, sizeof one);
  builder_add_text (b, "l.comfy_quant", marker);
  return builder_write (b, "in.safetensors");
}

static char *
int8_file (const char *marker)
{
  return write_layer ("I8", "[16,1]", 16, marker, FALSE);
}

static char *
fp8_file (const char *marker, gboolean input)
{
  return write_layer ("F8_E4M3", "[]", 1, marker, input);
}

static void
assert_marker (const char *path, const char *want)
{
  g_autoptr (QconvModel) m = open_model (path, NULL);
  g_autoptr (GBytes) bytes = tensor_bytes (m, "l.comfy_quant");
  g_autofree char *got = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));

  g_assert_cmpstr (got, ==, want);
}

/* Edits a copy. Returns: (transfer full): its path */
static char *
edit (const char *input, const char *key, const char *value, const char *input_scale)
{
  const QconvHintChange change = { .key = key, .value = value };
  char *output = scratch_path ("edited.safetensors");
  QconvJob job = {
    .output = output, .edit.hints = &change, .edit.n_hints = key != NULL, .input_scale = input_scale, .run.force = TRUE
  };
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);

  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  return output;
}

static void
assert_refused (const char *input, const char *key, const char *value, const char *text)
{
  const QconvHintChange change = { .key = key, .value = value };
  g_autofree char *output = scratch_path ("refused.safetensors");

  assert_job_refused (input, &(QconvJob) { .output = output, .edit.hints = &change, .edit.n_hints = 1 },
                      QCONV_ERROR_OPTION, text);
}

/* Tests keys that follow from the weights, in every place in which a loader looks for them. */
static void
test_settled (void)
{
  static const char follows[] = "follows from the weights";
  g_autofree char *input = int8_file ("{\"format\": \"int8_tensorwise\", \"orig_shape\": [16, 64], "
                                      "\"orig_dtype\": \"torch.float16\", \"params\": {\"a\": 1}}");
  g_autofree char *output = NULL;

  assert_refused (input, "params", "{\"convrot\": true, \"convrot_groupsize\": 64}", follows);
  assert_refused (input, "params", "1", follows);
  assert_refused (input, "orig_shape", "[10, 64]", follows);
  assert_refused (input, "orig_shape", NULL, follows);
  assert_refused (input, "orig_dtype", "\"torch.float32\"", follows);
  assert_refused (input, "orig_dtype", NULL, follows);
  assert_refused (input, "dtype", "\"float16\"", follows);
  assert_refused (input, "convrot", "true", follows);
  output = edit (input, "params", NULL, NULL);
  assert_marker (output, "{\"format\": \"int8_tensorwise\", \"orig_dtype\": \"torch.float16\", "
                         "\"orig_shape\": [16, 64]}");
}

/* Tests that one bad value is refused, because a loader would then refuse the whole marker. */
static void
test_not_json (void)
{
  static const char *const wrong[]
      = { "x",   "'x'",   "01", "0x10",       "/**/1", "{\"a\":1,\"a\":2}", "1e999", "99999999999999999999",
          "1,2", "1],[2", "",   "\"\\u0000\"" };
  g_autofree char *input = int8_file ("{\"format\": \"int8_tensorwise\"}"), *output = NULL;
  g_autoptr (GString) deep = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    assert_refused (input, "a", wrong[i], "is not JSON; quote text as '\"text\"'");
  for (guint i = 0; i < 126; i++)
    {
      g_string_prepend_c (deep, '[');
      g_string_append_c (deep, ']');
    }
  assert_refused (input, "a", deep->str, "nested too deep");
  output = edit (input, "a", " {\"b\": [1, 0.5, \"c\"]}", NULL);
  assert_marker (output, "{\"format\": \"int8_tensorwise\", \"a\":  {\"b\": [1, 0.5, \"c\"]}}");
}

static void
test_full_precision (void)
{
  static const char *const wrong[] = { "1", "\"true\"", "null", "[true]" };
  g_autofree char *input = fp8_file ("{\"format\": \"float8_e4m3fn\"}", FALSE), *output = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    assert_refused (input, "full_precision_matrix_mult", wrong[i], "is neither true nor false");
  output = edit (input, "full_precision_matrix_mult", "true", NULL);
  assert_marker (output, "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": true}");
}

/* Tests an edit that removes the scale and the key: ComfyUI would use 1 as the scale. */
static void
test_dropped_scale (void)
{
  static const char bare[] = "{\"format\": \"float8_e4m3fn\"}";
  static const char full[] = "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": true}";
  g_autofree char *input = fp8_file (bare, TRUE), *output = edit (input, NULL, NULL, "none"), *told = NULL;

  assert_marker (output, full);
  told = edit (input, "full_precision_matrix_mult", "false", "none");
  assert_marker (told, "{\"format\": \"float8_e4m3fn\", \"full_precision_matrix_mult\": false}");
}

/* Tests that a key in "params" does not start to count when the layer moves. It counts only if the marker lacks it. */
static void
test_params (void)
{
  static const struct {
    const char *marker, *moved;
  } rows[] = {
    { "{\"format\": \"int8_tensorwise\", \"convrot\": false, "
      "\"params\": {\"convrot\": true, \"convrot_groupsize\": 64}}",
      "{\"format\": \"int8_tensorwise\"}" },
    { "{\"format\": \"int8_tensorwise\", \"params\": {\"convrot\": true, \"convrot_groupsize\": 64, \"z\": []}}",
      "{\"format\": \"int8_tensorwise\", \"convrot\": true, \"convrot_groupsize\": 64, \"params\": {\"z\": []}}" },
    { "{\"format\": \"int8_tensorwise\", \"params\": [\"convrot\"]}",
      "{\"format\": \"int8_tensorwise\", \"params\": [\"convrot\"]}" },
  };
  g_autofree char *output = scratch_path ("moved.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *input = int8_file (rows[i].marker);

      convert (input, output, "int8-comfy", NULL);
      assert_marker (output, rows[i].moved);
    }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/comfy/edit/settled", test_settled);
  g_test_add_func ("/comfy/edit/not-json", test_not_json);
  g_test_add_func ("/comfy/edit/full-precision", test_full_precision);
  g_test_add_func ("/comfy/edit/dropped-scale", test_dropped_scale);
  g_test_add_func ("/comfy/edit/params", test_params);
  status = g_test_run ();
  scratch_end ();
  return status;
}
