/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests files whose numbers would be wrong or missing in the output. They are refused before anything is written. */
#include <math.h>
#include <string.h>

#include "fixture.h"

static const float one = 1.0f;

static void
assert_one_layer (const char *path, const char *scheme)
{
  g_autoptr (QconvModel) m = open_model (path, NULL);
  g_autoptr (GArray) weights = qconv_model_weights (m);

  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvWeightInfo, i).name, "l") == 0)
      {
        g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, i).scheme, ==, scheme);
        return;
      }
  g_error ("there is no layer l");
}

/* A weight of 32 by 64 bytes beside a scale */
static const struct {
  const char *dtype, *suffix, *scale_dtype, *scale_shape;
  gsize n;
  const char *scheme;
} scaled[] = {
  { "F8_E4M3", "scale_weight", "F32", "[]", 4, "fp8" },
  { "F8_E5M2", "scale_weight", "F32", "[1]", 4, "fp8" },
  { "F8_E4M3", "weight_scale", "F32", "[]", 4, "fp8" },
  { "F8_E5M2", "weight_scale", "F16", "[1,1]", 2, "fp8" },
  { "F8_E4M3", "weight_scale", "BF16", "[32,1]", 64, "fp8_row" },
  { "F8_E4M3", "weight_scale", "F32", "[32]", 128, "fp8_row" },
  { "F8_E4M3", "weight_scale", "F32", "[2,4]", 32, "fp8_block" },
  { "F8_E4M3", "weight_scale", "F32", "[8]", 32, "fp8_block" },
  { "F8_E4M3", "weight_scale", "F32", "[16,32]", 2048, "fp8_group" }, /* there are no blocks as small as 2 */
  { "F8_E5M2", "weight_scale", "F32", "[32]", 128, "fp8_group" },
  { "F8_E4M3", "weight_scale", "F32", "[2,2]", 16, "fp8_group" },
  { "F8_E4M3", "weight_scale", "F32", "[0]", 0, "unknown-scaled" },
  { "F8_E4M3", "weight_scale", "U8", "[32,2]", 64, "mxfp8" },
  { "F8_E4M3", "weight_scale_inv", "F32", "[2,2]", 16, "fp8_group" },
  { "F8_E4M3", "weight_scale_inv", "F8_E8M0", "[2,2]", 4, "fp8_group" },
  { "I8", "weight_scale", "BF16", "[32,1]", 64, "int8" },
  { "I8", "weight_scale", "F32", "[]", 4, "int8" },
  { "I8", "weight_scale", "F32", "[2,4]", 32, "int8_block" },
  { "I8", "weight_scale", "F32", "[32]", 128, "unknown-scaled" }, /* INT8, or INT4 in pairs */
  { "I8", "weight_scale_inv", "U8", "[32,4]", 128, "mxfp4" },
  { "U8", "weight_scale", "F32", "[32,2]", 256, "unknown-scaled" },
  { "U8", "weight_scale", "U8", "[32,4]", 128, "unknown-scaled" },
};

static char *
scaled_file (guint i, gboolean marked)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *scale = g_strconcat ("l.", scaled[i].suffix, NULL);

  builder_add (b, "l.weight", scaled[i].dtype, "[32,64]", NULL, 32 * 64);
  builder_add (b, scale, scaled[i].scale_dtype, scaled[i].scale_shape, NULL, scaled[i].n);
  if (marked)
    builder_add (b, "scaled_fp8", "F8_E4M3", "[2]", NULL, 2);
  return builder_write (b, "scaled.safetensors");
}

static void
test_scaled (void)
{
  static const char *const targets[] = { "bf16-safetensors", "f32-safetensors", "nvfp4-comfy" };
  g_autofree char *output = scratch_path ("scaled-out.safetensors"), *copy = scratch_path ("copy.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (scaled) * 2; i++)
    {
      guint row = i / 2;
      g_autofree char *input = scaled_file (row, i % 2 == 1);

      assert_one_layer (input, scaled[row].scheme);
      convert (input, copy, "copy-safetensors", NULL);
      if (qconv_registry_quantizer (scaled[row].scheme) != NULL)
        continue;
      for (guint t = 0; t < G_N_ELEMENTS (targets); t++)
        assert_job_refused (input, &(QconvJob) { .target = targets[t], .output = output }, QCONV_ERROR_UNSUPPORTED,
                            scaled[row].scheme);
    }
}

/* Tests that INT8 with a zero point is another scheme. */
static void
test_zero_point (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL;

  builder_add (b, "l.weight", "I8", "[32,64]", NULL, 32 * 64);
  builder_add (b, "l.weight_scale", "F32", "[32,1]", NULL, 128);
  builder_add (b, "l.weight_zero_point", "I8", "[32,1]", NULL, 32);
  input = builder_write (b, "zero-point.safetensors");
  assert_one_layer (input, "unknown-scaled");
}

/* Tests two scales, of which it is not known which one counts. */
static void
test_two_scales (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL;

  builder_add (b, "l.weight", "F8_E4M3", "[32,64]", NULL, 32 * 64);
  builder_add (b, "l.weight_scale", "F32", "[]", &one, sizeof one);
  builder_add (b, "l.scale_weight", "F32", "[]", &one, sizeof one);
  input = builder_write (b, "two-scales.safetensors");
  assert_one_layer (input, "unknown-scaled");
}

/* Tests scales of 1 beside weights that were never quantized, which some files have. No output has these scales. */
static void
test_scale_of_plain (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *input = NULL, *output = scratch_path ("plain-out.safetensors");
  g_autofree float *w = noise (32 * 64, 5);
  g_autoptr (QconvModel) m = NULL, made = NULL;
  g_autoptr (GBytes) bytes = NULL;

  builder_add (b, "l.weight", "F32", "[32,64]", w, 32 * 64 * 4);
  builder_add (b, "l.weight_scale", "F32", "[]", &one, sizeof one);
  builder_add (b, "l.input_scale", "F32", "[]", &one, sizeof one);
  builder_add (b, "e.weight", "F8_E4M3", "[32,64]", NULL, 32 * 64);
  builder_add (b, "e.weight_scale", "F32", "[]", &one, sizeof one);
  input = builder_write (b, "mixed.safetensors");
  m = open_model (input, warnings);
  g_assert_cmpuint (warnings->len, ==, 2);
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "e: the marker is missing"));
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 1), "weight_scale is dropped: the weight is F32"));
  assert_one_layer (input, "plain");
  convert (input, output, "f32-safetensors", NULL);
  made = open_model (output, NULL);
  bytes = tensor_bytes (made, "l.weight");
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), w, 32 * 64 * 4);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (made)), ==, 2);
}

/* Tests that a word of a file never becomes the scheme of a quantizer. */
static void
test_foreign_words (void)
{
  static const char *const words[][2] = { { "plain", "comfy:plain" },
                                          { "q8_0", "comfy:q8_0" },
                                          { "mxfp4", "comfy:mxfp4" },
                                          { "", "comfy:" },
                                          { "a b\\u0001%s", "comfy:a_b__s" } };
  g_autofree char *output = scratch_path ("foreign-out.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    for (guint wide = 0; wide < 2; wide++)
      {
        g_autoptr (Builder) b = builder_new ();
        g_autofree char *input = NULL, *marker = g_strdup_printf ("{\"format\": \"%s\"}", words[i][0]);

        builder_add (b, "l.weight", wide ? "BF16" : "U8", "[256,256]", NULL, 256 * 256 * (wide + 1));
        builder_add_text (b, "l.comfy_quant", marker);
        input = builder_write (b, "foreign.safetensors");
        assert_one_layer (input, words[i][1]);
        assert_job_refused (input, &(QconvJob) { .target = "nvfp4-comfy", .output = output }, QCONV_ERROR_UNSUPPORTED,
                            "layer \"l\"");
        assert_job_refused (input, &(QconvJob) { .target = "bf16-safetensors", .output = output },
                            QCONV_ERROR_UNSUPPORTED, words[i][1]);
      }
}

/* Writes an NVFP4 layer of 16 by 64 with one more tensor */
static char *
nvfp4_file (const char *suffix, float value)
{
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *name = g_strconcat ("l.", suffix, NULL);
  gboolean vector = strcmp (suffix, "pre_quant_scale") == 0;
  float values[64];

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    values[i] = i + 1 == G_N_ELEMENTS (values) ? value : 1.0f;
  builder_add (b, "l.weight", "U8", "[16,32]", NULL, 16 * 32);
  builder_add (b, "l.weight_scale", "F8_E4M3", "[128,4]", NULL, 512);
  builder_add (b, "l.weight_scale_2", "F32", "[]", &one, sizeof one);
  builder_add (b, name, "F32", vector ? "[64]" : "[]", vector ? values : &value, vector ? sizeof values : sizeof value);
  builder_add_text (b, "l.comfy_quant", "{\"format\": \"nvfp4\"}");
  return builder_write (b, "nvfp4.safetensors");
}

static void
test_other_scales (void)
{
  static const struct {
    const char *suffix;
    float value;
    gboolean good;
  } rows[] = { { "input_scale", NAN, FALSE },           { "input_scale", INFINITY, FALSE },
               { "input_scale", 0.0f, FALSE },          { "input_scale", -1.0f, FALSE },
               { "input_scale", 0.5f, TRUE },           { "pre_quant_scale", NAN, FALSE },
               { "pre_quant_scale", -INFINITY, FALSE }, { "pre_quant_scale", -1.0f, TRUE } };
  g_autofree char *output = scratch_path ("scales-out.safetensors"), *good = scratch_path ("good.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *input = nvfp4_file (rows[i].suffix, rows[i].value), *problems = problems_of (input);

      g_assert_cmpstr (problems, ==, rows[i].good ? "" : "scale-value l\n");
      if (rows[i].good)
        convert (input, good, "nvfp4-comfy", NULL);
      else
        assert_job_refused (input, &(QconvJob) { .target = "nvfp4-comfy", .output = output }, QCONV_ERROR_NON_FINITE,
                            rows[i].suffix);
    }
}

/* Tests that the message names the layer once */
static void
test_named_once (void)
{
  g_autofree char *input = nvfp4_file ("input_scale", NAN), *output = scratch_path ("once.safetensors");

  assert_job_refused (input, &(QconvJob) { .target = "nvfp4-comfy", .output = output }, QCONV_ERROR_NON_FINITE,
                      "layer \"l\": input_scale");
}

static void
test_kept_types (void)
{
  static const struct {
    const char *dtype, *shape;
    gsize n;
    gboolean known;
  } rows[]
      = { { "F8_E8M0", "[16]", 16, FALSE }, { "F4", "[16]", 8, FALSE },           { "F6_E2M3", "[16]", 12, FALSE },
          { "F6_E3M2", "[16]", 12, FALSE }, { "F8_E4M3FNUZ", "[16]", 16, FALSE }, { "F8_E5M2FNUZ", "[16]", 16, FALSE },
          { "F8_E5M2", "[16]", 16, TRUE },  { "BOOL", "[16]", 16, TRUE },         { "C64", "[2]", 16, TRUE } };
  g_autofree char *output = scratch_path ("kept-out.safetensors"), *good = scratch_path ("good.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *input = NULL, *text = g_strdup_printf ("\"odd\" is %s", rows[i].dtype);
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (QconvPlan) plan = NULL;
      g_autoptr (GError) error = NULL;

      builder_add (b, "odd", rows[i].dtype, rows[i].shape, NULL, rows[i].n);
      input = builder_write (b, "odd.safetensors");
      m = open_model (input, NULL);
      plan = qconv_plan_new (m, &(QconvJob) { .target = "nvfp4-comfy", .output = output }, &error);
      if (rows[i].known)
        g_assert_no_error (error);
      else
        {
          g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
          g_assert_nonnull (strstr (error->message, text));
        }
      convert (input, good, "copy-safetensors", NULL);
    }
}

/* Tests layers of 16 by 32 whose largest magnitudes are a few times the smallest F32 */
static void
test_smallest (void)
{
  g_autofree char *output = scratch_path ("tiny-out.safetensors"), *back = scratch_path ("tiny-back.safetensors");

  for (guint top = 1; top <= 6; top++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *input = NULL;
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (GBytes) bytes = NULL;
      guint32 bits[16 * 32];

      for (guint i = 0; i < G_N_ELEMENTS (bits); i++)
        bits[i] = i < 32 ? top % 5 : i % (top + 1) % 5 | (guint32) (i % 3 == 0 && i % (top + 1) % 5 > 0) << 31;
      bits[0] = top;
      builder_add (b, "l.weight", "F32", "[16,32]", bits, sizeof bits);
      input = builder_write (b, "tiny.safetensors");
      convert (input, output, "nvfp4-comfy", NULL);
      if (top > 3)
        continue;
      convert (output, back, "f32-safetensors", NULL);
      m = open_model (back, NULL);
      bytes = tensor_bytes (m, "l.weight");
      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), bits, sizeof bits);
    }
}

static const char *
rule_of (GArray *weights, const char *name)
{
  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvPlannedInfo, i).name, name) == 0)
      return g_array_index (weights, QconvPlannedInfo, i).rule;
  g_error ("the plan has no layer %s", name);
}

static void
test_embeddings (void)
{
  static const char *const kept[] = {
    "bert.embeddings.word_embeddings",
    "tok_embeddings",
    "embedding",
    "token_type_embeddings",
    "embeddings.position_embeddings",
    "pos_embedding",
    "proj_in",
    "patch_embeddings.projection",
    "x.proj_out",
    "text.model.lm_head",
    "output",
  };
  static const char *const packed[]
      = { "blocks.0.attn.proj_out", "blocks.0.proj_in", "layers.0.attention.output", "blocks.0.attn.q" };
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *input = NULL, *output = scratch_path ("embeddings-out.safetensors");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GArray) weights = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (kept) + G_N_ELEMENTS (packed); i++)
    {
      const char *layer = i < G_N_ELEMENTS (kept) ? kept[i] : packed[i - G_N_ELEMENTS (kept)];
      g_autofree char *name = g_strconcat (layer, ".weight", NULL);

      builder_add (b, name, "BF16", "[256,256]", NULL, 256 * 256 * 2);
    }
  input = builder_write (b, "embeddings.safetensors");
  m = open_model (input, NULL);
  plan = qconv_plan_new (m, &(QconvJob) { .target = "nvfp4-comfy", .output = output }, &error);
  g_assert_no_error (error);
  weights = qconv_plan_weights (plan);
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    g_assert_cmpstr (rule_of (weights, kept[i]), ==, "family");
  for (guint i = 0; i < G_N_ELEMENTS (packed); i++)
    g_assert_cmpstr (rule_of (weights, packed[i]), ==, "target");
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/trouble/scaled", test_scaled);
  g_test_add_func ("/trouble/zero-point", test_zero_point);
  g_test_add_func ("/trouble/two-scales", test_two_scales);
  g_test_add_func ("/trouble/scale-of-plain", test_scale_of_plain);
  g_test_add_func ("/trouble/foreign-words", test_foreign_words);
  g_test_add_func ("/trouble/other-scales", test_other_scales);
  g_test_add_func ("/trouble/named-once", test_named_once);
  g_test_add_func ("/trouble/kept-types", test_kept_types);
  g_test_add_func ("/trouble/smallest", test_smallest);
  g_test_add_func ("/trouble/embeddings", test_embeddings);
  status = g_test_run ();
  scratch_end ();
  return status;
}
