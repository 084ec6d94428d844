/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests decisions that are made before a weight is read, and refusals. */
#include <math.h>
#include <string.h>

#include "fixture.h"

/* Returns the rule for layer @name and its scheme, "rule/scheme". */
static char *
decision (const char *input, const QconvJob *job, const char *name)
{
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, job, &error);
  g_autoptr (GArray) weights = NULL;

  g_assert_no_error (error);
  weights = qconv_plan_weights (plan);
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);

      if (strcmp (w->name, name) == 0)
        return g_strdup_printf ("%s/%s", w->rule, w->scheme);
    }
  g_error ("the plan has no layer %s", name);
}

static void
assert_decision (const char *input, const QconvJob *job, const char *name, const char *expected)
{
  g_autofree char *got = decision (input, job, name);

  g_assert_cmpstr (got, ==, expected);
}

static char *
typical (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree float *w = noise (512 * 512, 3);

  builder_add (b, "blocks.0.attn.q.weight", "F32", "[256,512]", w, 256 * 512 * 4);
  builder_add (b, "blocks.0.attn.small.weight", "F32", "[64,512]", w, 64 * 512 * 4);
  builder_add (b, "blocks.0.attn.odd.weight", "F32", "[256,300]", w, 256 * 300 * 4);
  builder_add (b, "blocks.0.conv.weight", "F32", "[16,16,3,3]", w, 16 * 16 * 9 * 4);
  builder_add (b, "blocks.0.norm.weight", "F32", "[512]", w, 512 * 4);
  builder_add (b, "blocks.0.table", "F32", "[256,256]", w, 256 * 256 * 4);
  builder_add (b, "blocks.0.index.weight", "I32", "[256,256]", w, 256 * 256 * 4);
  builder_add (b, "img_in.weight", "F32", "[256,256]", w, 256 * 256 * 4);
  builder_add (b, "final_layer.adaLN.1.weight", "F32", "[256,256]", w, 256 * 256 * 4);
  builder_add_metadata (b, "modelspec.hash_sha256", "0x12");
  builder_add_metadata (b, "sshs_model_hash", "34");
  return builder_write (b, "typical.safetensors");
}

static void
test_rules (void)
{
  g_autofree char *input = typical (), *output = scratch_path ("rules.safetensors");
  QconvJob job = { .target = "nvfp4-comfy", .output = output };

  assert_decision (input, &job, "blocks.0.attn.q", "target/nvfp4");
  assert_decision (input, &job, "blocks.0.attn.small", "size/plain");
  assert_decision (input, &job, "blocks.0.attn.odd", "shape/plain");
  assert_decision (input, &job, "blocks.0.conv", "shape/plain");
  assert_decision (input, &job, "blocks.0.norm", "shape/plain");
  assert_decision (input, &job, "blocks.0.index", "shape/plain");
  assert_decision (input, &job, "img_in", "family/plain");
  assert_decision (input, &job, "final_layer.adaLN.1", "family/plain");
  job.rules.keep = QCONV_LIST ("attn\\.q$");
  assert_decision (input, &job, "blocks.0.attn.q", "keep/plain");
  job = (QconvJob) { .target = "nvfp4-comfy",
                     .output = output,
                     .rules.only = QCONV_LIST ("small|odd|img_in|final|conv") };
  assert_decision (input, &job, "blocks.0.attn.q", "only/plain");
  assert_decision (input, &job, "blocks.0.attn.small", "only/nvfp4");
  assert_decision (input, &job, "blocks.0.attn.odd", "only/nvfp4");
  assert_decision (input, &job, "final_layer.adaLN.1", "only/nvfp4");
  assert_decision (input, &job, "blocks.0.conv", "shape/plain");
  assert_decision (input, &job, "img_in", "probed/plain"); /* no option overrides that */
}

static void
test_rules_refused (void)
{
  g_autofree char *input = typical (), *output = scratch_path ("refused.safetensors");
  QconvJob job = { .target = "nvfp4-comfy", .output = output, .rules.keep = QCONV_LIST ("nothing") };

  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "matches no layer");
  job.rules.keep = NULL;
  job.rules.only = QCONV_LIST ("nothing");
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "matches no layer");
  job.rules.only = QCONV_LIST ("(");
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "--only (");
  job.rules.only = NULL;
  job.target = "nvfp5-comfy";
  assert_job_refused (input, &job, QCONV_ERROR_NO_PLUGIN, "nvfp4-comfy");
  job.target = "bf16-safetensors";
  job.rules.keep = QCONV_LIST ("attn");
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "--keep");
}

static void
test_memory_too_small (void)
{
  g_autofree char *input = typical (), *output = scratch_path ("memory.safetensors");
  QconvJob job = { .target = "nvfp4-comfy", .output = output, .run.memory = 20000 };

  assert_job_refused (input, &job, QCONV_ERROR_LIMIT, "--memory 1M");
}

/* Tests that from a quantized source only the layers that it had quantized are converted. */
static void
test_quantized_source (void)
{
  g_autofree char *input = typical (), *half = scratch_path ("half.safetensors");
  g_autofree char *output = scratch_path ("source.safetensors");
  QconvJob job = { .target = "nvfp4-comfy", .output = half, .rules.only = QCONV_LIST ("small"), .run.force = TRUE };
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, NULL);

  g_assert_true (qconv_plan_run (plan, NULL, NULL, NULL, NULL, NULL));
  job = (QconvJob) { .target = "nvfp4-comfy", .output = output };
  assert_decision (half, &job, "blocks.0.attn.q", "source/plain");
  assert_decision (half, &job, "blocks.0.attn.small", "target/nvfp4");
}

static void
test_kept_bytes (void)
{
  g_autofree char *input = typical (), *output = scratch_path ("kept.safetensors");
  static const char *const kept[] = { "blocks.0.norm.weight", "blocks.0.conv.weight", "blocks.0.index.weight" };
  g_autoptr (QconvModel) from = NULL, to = NULL;

  convert (input, output, "nvfp4-comfy", NULL);
  from = open_model (input, NULL);
  to = open_model (output, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      g_autoptr (GBytes) a = tensor_bytes (from, kept[i]), b = tensor_bytes (to, kept[i]);

      g_assert_true (g_bytes_equal (a, b));
    }
  g_assert_null (qconv_directory_metadata (qconv_model_directory (to), "modelspec.hash_sha256"));
  g_assert_null (qconv_directory_metadata (qconv_model_directory (to), "sshs_model_hash"));
}

static void
test_nonfinite (void)
{
  static const float values[] = { INFINITY, -INFINITY, NAN };
  g_autofree char *output = scratch_path ("nan.safetensors");
  QconvJob job = { .target = "nvfp4-comfy", .output = output };

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autofree float *w = noise (256 * 256, 3);
      g_autofree char *input = NULL;

      w[256 * 256 - 1] = values[i];
      builder_add (b, "blocks.0.q.weight", "F32", "[256,256]", w, 256 * 256 * 4);
      input = builder_write (b, "nan-source.safetensors");
      assert_job_refused (input, &job, QCONV_ERROR_NON_FINITE, "blocks.0.q");
    }
}

/* Tests a finite value that becomes Inf */
static void
test_overflow (void)
{
  g_autoptr (Builder) b = builder_new ();
  static const float values[] = { 1, 65520 };
  g_autofree char *input = NULL, *output = scratch_path ("overflow.safetensors");
  QconvJob job = { .target = "f16-safetensors", .output = output };

  builder_add (b, "a.weight", "F32", "[2]", values, sizeof values);
  input = builder_write (b, "large.safetensors");
  assert_job_refused (input, &job, QCONV_ERROR_NON_FINITE, "too large for F16");
}

static void
test_foreign_names (void)
{
  /* Z-Image Omni, whose names no family file maps */
  static const char *const names[] = { "noise_refiner.0.attention.norm_k.weight", "cap_embedder.0.weight",
                                       "all_x_embedder.2-1.bias", "siglip_embedder.0.weight" };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL, *output = scratch_path ("foreign.safetensors");
  QconvJob job = { .target = "nvfp4-comfy", .output = output };
  float one = 1;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    builder_add (b, names[i], "F32", "[1]", &one, sizeof one);
  input = builder_write (b, "diffusers.safetensors");
  assert_job_refused (input, &job, QCONV_ERROR_UNSUPPORTED, "diffusers naming");
  convert (input, output, "bf16-safetensors", NULL); /* plain files keep all names */
}

static float
input_scale_of (const char *path, const char *name)
{
  g_autoptr (QconvModel) m = open_model (path, NULL);
  g_autoptr (GBytes) bytes = tensor_bytes (m, name);
  float value;

  g_assert_cmpuint (g_bytes_get_size (bytes), ==, sizeof value);
  memcpy (&value, g_bytes_get_data (bytes, NULL), sizeof value);
  return value;
}

static void
run_job (const char *input, const QconvJob *job)
{
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, job, &error);

  g_assert_no_error (error);
  g_assert_true (qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
}

static char *
text_file (const char *name, const char *text)
{
  char *path = scratch_path (name);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return path;
}

static void
test_input_scale (void)
{
  g_autofree char *input = typical (), *output = scratch_path ("scaled.safetensors");
  g_autofree char *second = scratch_path ("scaled-2.safetensors");
  g_autofree char *map = text_file ("map.json", "{\"model.diffusion_model.blocks.0.attn.q.input_scale\": 0.25}");
  QconvJob job = { .target = "nvfp4-comfy", .output = output, .run.force = TRUE, .input_scale = "0.5" };

  run_job (input, &job);
  g_assert_cmpfloat (input_scale_of (output, "blocks.0.attn.q.input_scale"), ==, 0.5f);
  job.input_scale = map;
  run_job (input, &job);
  g_assert_cmpfloat (input_scale_of (output, "blocks.0.attn.q.input_scale"), ==, 0.25f);
  job.output = second;
  job.input_scale = output; /* a file that has them */
  run_job (input, &job);
  g_assert_cmpfloat (input_scale_of (second, "blocks.0.attn.q.input_scale"), ==, 0.25f);
  job.output = output;
  job.input_scale = NULL; /* moved with the layer */
  run_job (second, &job);
  g_assert_cmpfloat (input_scale_of (output, "blocks.0.attn.q.input_scale"), ==, 0.25f);
}

static char *
fp8_file (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree guint8 *codes = g_malloc0 (256 * 512);
  float one = 1;

  builder_add (b, "blocks.0.attn.q.weight", "F8_E4M3", "[256,512]", codes, 256 * 512);
  builder_add (b, "blocks.0.attn.q.weight_scale", "F32", "[]", &one, sizeof one);
  builder_add (b, "blocks.0.attn.q.input_scale", "F32", "[]", &one, sizeof one);
  builder_add_text (b, "blocks.0.attn.q.comfy_quant", "{\"format\": \"float8_e4m3fn\"}");
  return builder_write (b, "fp8.safetensors");
}

static void
test_input_scale_refused (void)
{
  g_autofree char *input = typical (), *output = scratch_path ("not-scaled.safetensors");
  g_autofree char *unknown = text_file ("unknown.json", "{\"blocks.9.attn.q.input_scale\": 0.25}");
  g_autofree char *text = text_file ("text.json", "{\"blocks.0.attn.q\": \"x\"}"), *fp8 = fp8_file ();
  QconvJob job = { .target = "nvfp4-comfy", .output = output };

  job.input_scale = unknown;
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "matches no layer");
  job.input_scale = text;
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "not a number");
  job.input_scale = "-1";
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "positive");
  job.input_scale = "nan";
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "positive");
  job.input_scale = fp8; /* 448, but 2688 is needed */
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "made for fp8");
}

static void
test_options_refused (void)
{
  static const char *const unknown[] = { "efort=rtn", NULL }, *const bad[] = { "nvfp4.effort=fast", NULL };
  g_autofree char *input = typical (), *output = scratch_path ("options.safetensors");
  QconvJob job = { .target = "nvfp4-comfy", .output = output, .options = unknown };

  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "efort");
  job.options = bad;
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "rtn, search");
  job.options = NULL;
  job.run.allow_nonfinite = TRUE;
  assert_job_refused (input, &job, QCONV_ERROR_OPTION, "plain targets");
}

static void
test_derived_names (void)
{
  static const char *const names[][2] = {
    { "wan2.2-ti2v-5b-Q8_0.safetensors", "wan2.2-ti2v-5b-nvfp4-comfy.safetensors" },
    { "flux1-dev-Q4_K_S.safetensors", "flux1-dev-nvfp4-comfy.safetensors" },
    { "x_bf16.safetensors", "x-nvfp4-comfy.safetensors" },
    { "plain.safetensors", "plain-nvfp4-comfy.safetensors" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *input = NULL, *expected = scratch_path (names[i][1]);
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (QconvPlan) plan = NULL;
      float one = 1;

      builder_add (b, "a.weight", "F32", "[1]", &one, sizeof one);
      input = builder_write (b, names[i][0]);
      m = open_model (input, NULL);
      plan = qconv_plan_new (m, &(QconvJob) { .target = "nvfp4-comfy" }, NULL);
      g_assert_cmpstr (qconv_plan_output (plan), ==, expected);
    }
}

/* Tests that the bytes do not depend on threads and memory. */
static void
test_deterministic (void)
{
  static const guint64 memories[] = { 0, 4 << 20, 8 << 20 };
  g_autofree char *input = typical (), *output = scratch_path ("same.safetensors"), *first = NULL;
  gsize n_first = 0;

  for (guint i = 0; i < G_N_ELEMENTS (memories); i++)
    for (guint threads = 1; threads <= 5; threads += 2)
      {
        QconvJob job
            = { .target = "nvfp4-comfy", .output = output, .rules.only = QCONV_LIST (".*"), .run.force = TRUE };
        g_autofree char *got = NULL;
        gsize n = 0;

        job.run.memory = memories[i];
        job.run.n_threads = threads;
        run_job (input, &job);
        g_assert_true (g_file_get_contents (output, &got, &n, NULL));
        if (first == NULL)
          {
            n_first = n;
            first = g_steal_pointer (&got);
            continue;
          }
        g_assert_cmpmem (got, n, first, n_first);
      }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/plan/rules", test_rules);
  g_test_add_func ("/plan/rules-refused", test_rules_refused);
  g_test_add_func ("/plan/memory-too-small", test_memory_too_small);
  g_test_add_func ("/plan/quantized-source", test_quantized_source);
  g_test_add_func ("/plan/kept-bytes", test_kept_bytes);
  g_test_add_func ("/plan/non-finite", test_nonfinite);
  g_test_add_func ("/plan/overflow", test_overflow);
  g_test_add_func ("/plan/foreign-names", test_foreign_names);
  g_test_add_func ("/plan/input-scale", test_input_scale);
  g_test_add_func ("/plan/input-scale-refused", test_input_scale_refused);
  g_test_add_func ("/plan/options-refused", test_options_refused);
  g_test_add_func ("/plan/derived-names", test_derived_names);
  g_test_add_func ("/plan/deterministic", test_deterministic);
  status = g_test_run ();
  scratch_end ();
  return status;
}
