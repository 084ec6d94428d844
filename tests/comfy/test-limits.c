/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests odd sizes, tiny budgets and odd inputs through the whole program. */
#include <glib/gstdio.h>
#include <string.h>

#include "fixture.h"

static guint n_warnings;

static void
count_warning (const char *message, gpointer data)
{
  n_warnings++;
}

/* Runs @job. Returns whether it worked. */
static gboolean
try_job (const char *input, QconvJob job, GError **error)
{
  g_autoptr (QconvModel) m = qconv_model_open (input, NULL, error);
  g_autoptr (QconvPlan) plan = NULL;

  job.run.force = TRUE;
  job.warn = count_warning;
  n_warnings = 0;
  plan = m != NULL ? qconv_plan_new (m, &job, error) : NULL;
  return plan != NULL && qconv_plan_run (plan, NULL, NULL, NULL, NULL, error);
}

static char *
one_tensor (const char *name, const char *dtype, const char *shape, gconstpointer data, gsize n)
{
  g_autoptr (Builder) b = builder_new ();

  builder_add (b, name, dtype, shape, data, n);
  return builder_write (b, "one.safetensors");
}

/* Tests a tensor without bytes, but with 2^40 rows */
static void
test_empty (void)
{
  static const char *const targets[] = { "f32-safetensors", "copy-safetensors", "nvfp4-comfy" };
  g_autofree char *input = one_tensor ("a.weight", "BF16", "[1099511627776,0]", NULL, 0);
  g_autofree char *output = scratch_path ("empty.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_true (try_job (input, (QconvJob) { .target = targets[i], .output = output }, &error));
      g_assert_no_error (error);
    }
  g_assert_cmpuint (n_warnings, ==, 2); /* an unknown model, of which nothing is converted */
}

static void
test_tiny_memory (void)
{
  static const char *const targets[] = { "f32-safetensors", "copy-safetensors" };
  g_autofree float *w = noise (256 * 256, 1);
  g_autofree char *input = one_tensor ("a.weight", "F16", "[256,512]", w, 256 * 256 * 4);
  g_autofree char *output = scratch_path ("tiny.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    for (guint64 memory = 1; memory < 100000; memory *= 7)
      {
        g_autoptr (GError) error = NULL;
        QconvJob job = { .target = targets[i], .output = output, .run.memory = memory, .run.n_threads = 3 };

        if (!try_job (input, job, &error))
          g_assert_error (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
      }
}

static void
test_many_threads (void)
{
  g_autofree float *w = noise (256 * 256, 1);
  g_autofree char *input = one_tensor ("a.weight", "F32", "[256,256]", w, 256 * 256 * 4);
  g_autofree char *output = scratch_path ("threads.safetensors");
  g_autoptr (GError) error = NULL;

  g_assert_true (
      try_job (input, (QconvJob) { .target = "nvfp4-comfy", .output = output, .run.n_threads = 60000 }, &error));
  g_assert_no_error (error);
}

/* Tests that FP8 without a scale is a plain float. */
static void
test_plain_fp8 (void)
{
  static const guint8 codes[] = { 0x38, 0x40, 0xb8, 0x7e }; /* 1, 2, -1, 448 in E4M3 */
  static const guint16 expected[] = { 0x3f80, 0x4000, 0xbf80, 0x43e0 };
  g_autofree char *input = one_tensor ("a.weight", "F8_E4M3", "[2,2]", codes, sizeof codes);
  g_autofree char *output = scratch_path ("fp8-bf16.safetensors");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) bytes = NULL;

  convert (input, output, "bf16-safetensors", NULL);
  m = open_model (output, NULL);
  bytes = tensor_bytes (m, "a.weight");
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), expected, sizeof expected);
}

/* Tests that a broken quantized file is copied like any other. */
static void
test_copy_broken (void)
{
  static const QconvOpenOptions open = { .for_verify = TRUE };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL, *output = scratch_path ("copied.safetensors");
  QconvJob job = { .target = "copy-safetensors", .output = output };
  g_autoptr (QconvModel) m = NULL, copy = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GError) error = NULL;
  guint8 codes[128] = { 1, 2, 3 };

  builder_add (b, "a.weight", "U8", "[16,8]", codes, sizeof codes);
  builder_add_text (b, "a.comfy_quant", "{\"format\": \"nvfp4\"}"); /* without scales */
  input = builder_write (b, "broken.safetensors");
  m = qconv_model_open (input, &open, &error);
  g_assert_no_error (error);
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  g_assert_true (qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  copy = qconv_model_open (output, &open, &error);
  for (guint i = 0; i < qconv_directory_n_tensors (qconv_model_directory (m)); i++)
    {
      const char *name = qconv_directory_tensor (qconv_model_directory (m), i)->name;
      g_autoptr (GBytes) before = tensor_bytes (m, name), after = tensor_bytes (copy, name);

      g_assert_true (g_bytes_equal (before, after));
    }
}

/* Tests that the output of a folder stands beside it, so that the folder can be converted again */
static void
test_folder (void)
{
  g_autofree char *folder = scratch_path ("My.Model"), *output = scratch_path ("My.Model-bf16-safetensors.safetensors");
  g_autofree char *file = g_build_filename (folder, "model.safetensors", NULL), *made = NULL;
  float one = 1;

  g_assert_cmpint (g_mkdir (folder, 0777), ==, 0);
  made = one_tensor ("a.weight", "F32", "[1]", &one, sizeof one);
  g_assert_cmpint (g_rename (made, file), ==, 0);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_true (try_job (folder, (QconvJob) { .target = "bf16-safetensors" }, &error));
      g_assert_no_error (error);
      g_assert_true (g_file_test (output, G_FILE_TEST_EXISTS));
    }
  g_unlink (file);
  g_rmdir (folder);
}

static void
test_input_scale_files (void)
{
  static const char *const bad[] = { "{\"a\": 1e-60}",
                                     "{\"a\": 1e300}",
                                     "{\"a\": true}",
                                     "{\"a\": null}",
                                     "{\"a\"",
                                     "[1]",
                                     "{\"a\": 1, \"a.weight\": 2}",
                                     "{\"a\": 0}",
                                     "{\"a\": [[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]}" };
  g_autofree float *w = noise (256 * 256, 1);
  g_autofree char *input = one_tensor ("a.weight", "F32", "[256,256]", w, 256 * 256 * 4);
  g_autofree char *output = scratch_path ("input-scale.safetensors"), *map = scratch_path ("bad.json");

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_true (g_file_set_contents (map, bad[i], -1, NULL));
      g_assert_false (
          try_job (input, (QconvJob) { .target = "nvfp4-comfy", .output = output, .input_scale = map }, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
      g_assert_cmpint (strstr (error->message, "nested too deeply") != NULL, ==, strstr (bad[i], "[[") != NULL);
    }
  g_assert_true (
      try_job (input, (QconvJob) { .target = "f32-safetensors", .output = output, .input_scale = "1" }, NULL));
  g_assert_cmpuint (n_warnings, ==, 1); /* it is not written to a plain target */
}

/* Tests a layer called "weight", and a layer without a name */
static void
test_odd_names (void)
{
  static const char *const names[] = { "weight.weight", ".weight", "a.weight.weight" };
  g_autofree float *w = noise (256 * 256, 1);
  g_autofree char *output = scratch_path ("odd.safetensors"), *back = scratch_path ("odd-back.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *input = one_tensor (names[i], "F32", "[256,256]", w, 256 * 256 * 4);
      g_autoptr (QconvModel) m = NULL;

      convert (input, output, "nvfp4-comfy", NULL);
      convert (output, back, "f32-safetensors", NULL);
      m = open_model (back, NULL);
      g_assert_nonnull (qconv_directory_find (qconv_model_directory (m), names[i]));
    }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/limits/empty", test_empty);
  g_test_add_func ("/limits/tiny-memory", test_tiny_memory);
  g_test_add_func ("/limits/many-threads", test_many_threads);
  g_test_add_func ("/limits/plain-fp8", test_plain_fp8);
  g_test_add_func ("/limits/copy-broken", test_copy_broken);
  g_test_add_func ("/limits/folder", test_folder);
  g_test_add_func ("/limits/input-scale-files", test_input_scale_files);
  g_test_add_func ("/limits/odd-names", test_odd_names);
  status = g_test_run ();
  scratch_end ();
  return status;
}
