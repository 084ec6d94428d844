/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests codes beside scales that are refused: by the name of their format if it is known, and with what can be done. */
#include <glib/gstdio.h>
#include <string.h>

#include "zeros.h"

/* @says: what the error names besides the scheme */
static const struct {
  const char *scheme;
  Zeros tensors[5];
  const char *says[3];
} foreign[] = {
  { "foreign:gpt-oss-mxfp4",
    { { "m.experts.up_blocks", "U8", "[2,16,32]", 1024 }, { "m.experts.up_scales", "U8", "[2,16,2]", 64 } },
    { "layer \"m.experts.up\"", "\"m.experts.up_scales\" is U8 [2, 16, 2]", "--to copy-safetensors" } },
  { "foreign:mlx",
    { { "m.weight", "U32", "[16,8]", 512 },
      { "m.scales", "BF16", "[16,1]", 32 },
      { "m.biases", "BF16", "[16,1]", 32 } },
    { "\"m.weight\" is U32 [16, 8]", "\"m.biases\" is BF16", "mlx_lm.convert --dequantize" } },
  { "foreign:marlin",
    { { "m.B", "I32", "[4,128]", 2048 }, { "m.s", "F16", "[1,64]", 128 } },
    { "layer \"m.B\"", "take the GPTQ or AWQ file", "\"m.s\" is F16" } },
  { "foreign:marlin-24",
    { { "m.weight_packed", "I32", "[2,128]", 1024 },
      { "m.scale_packed", "F16", "[1,64]", 128 },
      { "m.meta", "I16", "[64,2]", 256 } },
    { "layer \"m\"", "m.scale_packed", "its tiles belong to one kernel" } },
  { "foreign:sparse-24",
    { { "m.compressed", "BF16", "[16,32]", 1024 },
      { "m.bitmask", "U8", "[16,8]", 128 },
      { "m.shape", "I64", "[2]", 16 } },
    { "layer \"m\"", "m.compressed", "decompress it with compressed-tensors" } },
  { "foreign:sdnq",
    { { "m.weight", "U8", "[16,32]", 512 },
      { "m.scale", "BF16", "[16,2,1]", 64 },
      { "m.zero_point", "BF16", "[16,2,1]", 64 } },
    { "m.zero_point", "dequantize it with sdnq" } },
  { "foreign:sdnq",
    { { "m.weight", "I8", "[16,64]", 1024 },
      { "m.scale", "F32", "[16,1]", 64 },
      { "m.svd_up", "BF16", "[16,4]", 128 },
      { "m.svd_down", "BF16", "[4,64]", 512 } },
    { "m.svd_up" } },
  { "foreign:exl2",
    { { "m.q_weight", "I32", "[8,64]", 2048 },
      { "m.q_scale", "I32", "[1,8]", 32 },
      { "m.q_perm", "I16", "[64]", 128 } },
    { "m.q_weight", "take the model that it was made from" } },
  { "foreign:aqlm",
    { { "m.codes", "I16", "[16,8,1]", 256 },
      { "m.codebooks", "F16", "[1,16,1,8]", 256 },
      { "m.scales", "F16", "[16,1,1,1]", 32 } },
    { "m.codebooks", "codebook entries" } },
  { "foreign:hqq",
    { { "m.W_q", "U8", "[16,64]", 1024 }, { "m.scale", "F16", "[16,1]", 32 }, { "m.zero", "F16", "[16,1]", 32 } },
    { "m.W_q", "m.zero" } },
  { "foreign:quanto",
    { { "m.weight._data", "I8", "[16,64]", 1024 }, { "m.weight._scale", "BF16", "[16,1]", 32 } },
    { "m.weight._scale", "dequantize it with optimum-quanto" } },
  { "foreign:torchao",
    { { "m._weight_qdata", "I8", "[16,64]", 1024 }, { "m._weight_scale", "F32", "[16,1]", 64 } },
    { "m._weight_qdata" } },
  { "foreign:exl3",
    { { "m.trellis", "I16", "[1,4,16]", 128 }, { "m.suh", "F16", "[16]", 32 }, { "m.svh", "F16", "[64]", 128 } },
    { "m.trellis", "m.svh", "ExLlama" } },
  { "foreign:torchao",
    { { "m.weight.tensor_impl.int_data", "I8", "[16,64]", 1024 },
      { "m.weight.tensor_impl.scale", "F32", "[16]", 64 },
      { "m.weight.tensor_impl.zero_point", "I64", "[16]", 128 } },
    { "\"m.weight.tensor_impl.scale\"" } },
  { "unknown-scaled",
    { { "m.indices", "I32", "[1,16,32]", 2048 },
      { "m.centroids.weight", "F16", "[1,64]", 128 },
      { "m.weight_scale", "F16", "[64]", 128 } },
    { "\"m.indices\" is I32 [1, 16, 32]" } },
  { "foreign:quip",
    { { "m.Qidxs", "I64", "[16,8]", 1024 }, { "m.SU", "F16", "[64]", 128 }, { "m.SV", "F16", "[16]", 32 } },
    { "\"m.Qidxs\" is I64 [16, 8]", "m.SU" } },
  { "unknown-scaled",
    { { "m.weight", "U64", "[16,4]", 512 }, { "m.scales", "F16", "[16,1]", 32 } },
    { "\"m.weight\" is U64 [16, 4]" } },
  { "unknown-scaled",
    { { "m.weight", "I8", "[16,64]", 1024 }, { "m.weight.step", "F32", "[16]", 64 } },
    { "m.weight.step" } },
  { "unknown-scaled",
    { { "m.weight", "I8", "[16,64]", 1024 }, { "m.dequant_multiplier", "F32", "[]", 4 } },
    { "m.dequant_multiplier" } },
  { "unknown-scaled",
    { { "m.weight", "F8_E4M3", "[16,64]", 1024 }, { "m.weight_scale_inv", "F32", "[3,5]", 60 } },
    { "not one number, one for each row, or a grid of blocks", "is F8_E4M3 [16, 64]", "is F32 [3, 5]" } },
  { "unknown-scaled",
    { { "m.weight", "F8_E4M3", "[16,64]", 1024 },
      { "m.scale", "F32", "[]", 4 },
      { "m.weight_scale_inv", "F32", "[]", 4 } },
    { "m.scale", "m.weight_scale_inv" } },
  { "unknown-scaled",
    { { "m.up", "U8", "[16,64]", 1024 }, { "m.up_scale", "F32", "[16]", 64 } },
    { "layer \"m.up\"", "m.up_scale" } },
  /* Not explained by this reader, so core judges them */
  { "unknown-scaled",
    { { "q.weight", "F8_E4M3", "[16,64]", 1024 }, { "q.weight.absmax.0", "F32", "[16]", 64 } },
    { "q.weight.absmax.0" } },
  { "unknown-scaled",
    { { "q.weight", "F8_E4M3", "[16,64]", 1024 }, { "q.weight_of_rows", "F32", "[16]", 64 } },
    { "q.weight_of_rows" } },
  { "unknown-scaled", { { "q.weight", "F8_E4M3", "[16,64]", 1024 }, { "q_scale", "F32", "[16]", 64 } }, { "q_scale" } },
  { "F4", { { "m.weight", "F4", "[16,64]", 512 } }, { "qconv knows no numbers of this type" } },
  { "F8_E4M3FNUZ", { { "m.weight", "F8_E4M3FNUZ", "[16,64]", 1024 } }, { "\"m.weight\" is F8_E4M3FNUZ [16, 64]" } },
};

/* Returns whether a layer has the scheme, as `qconv inspect` lists it. */
static gboolean
lists_scheme (const QconvModel *m, const char *scheme)
{
  g_autoptr (GArray) weights = qconv_model_weights (m);

  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvWeightInfo, i).scheme, scheme) == 0)
      return TRUE;
  return FALSE;
}

static void
test_foreign (gconstpointer data)
{
  static const char *const targets[]
      = { "bf16-safetensors", "f32-safetensors", "fp8-comfy", "nvfp4-comfy", "fp8-legacy" };
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *never = scratch_path ("never.safetensors"), *copy = scratch_path ("copy.safetensors"), *input = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, copied = NULL;

  add_zeros (b, foreign[i].tensors, G_N_ELEMENTS (foreign[i].tensors));
  input = builder_write (b, "foreign.safetensors");
  m = open_model (input, NULL);
  g_assert_true (lists_scheme (m, foreign[i].scheme));
  for (guint t = 0; t < G_N_ELEMENTS (targets); t++)
    {
      const QconvJob job = { .target = targets[t], .output = never };

      assert_job_refused (input, &job, QCONV_ERROR_UNSUPPORTED, foreign[i].scheme);
      for (guint s = 0; s < G_N_ELEMENTS (foreign[i].says) && foreign[i].says[s] != NULL; s++)
        assert_job_refused (input, &job, QCONV_ERROR_UNSUPPORTED, foreign[i].says[s]);
    }
  convert (input, copy, "copy-safetensors", NULL);
  copied = open_model (copy, NULL);
  for (guint t = 0; foreign[i].tensors[t].name != NULL && t < G_N_ELEMENTS (foreign[i].tensors); t++)
    {
      g_autoptr (GBytes) bytes = tensor_bytes (copied, foreign[i].tensors[t].name);

      g_assert_cmpuint (g_bytes_get_size (bytes), ==, foreign[i].tensors[t].n);
    }
}

/* Tests that config.json names the format if the tensors do not. */
static void
test_stated (void)
{
  g_autofree char *beside = scratch_path ("config.json"), *never = scratch_path ("never.safetensors"), *input = NULL;
  const QconvJob job = { .target = "bf16-safetensors", .output = never };
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GError) error = NULL;

  builder_add (b, "m.weight", "I8", "[16,64]", NULL, 1024);
  builder_add (b, "m.scale", "F32", "[16,1]", NULL, 64);
  input = builder_write (b, "stated.safetensors");
  assert_job_refused (input, &job, QCONV_ERROR_UNSUPPORTED, "decodes unknown-scaled: ");
  g_file_set_contents (beside, "{\"quantization_config\": {\"quant_method\": \"sdnq\"}}", -1, &error);
  g_assert_no_error (error);
  assert_job_refused (input, &job, QCONV_ERROR_UNSUPPORTED, "foreign:sdnq: take the model that it was made from");
  g_remove (beside);
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (foreign); i++)
    {
      g_autofree char *path = g_strdup_printf ("/scaled/foreign/%u-%s", i, foreign[i].scheme);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_foreign);
    }
  g_test_add_func ("/scaled/stated", test_stated);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
