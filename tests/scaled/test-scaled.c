/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests codes beside scales: forms that are decoded, and parameters that only look like scales. */
#include <glib/gstdio.h>
#include <string.h>

#include "golden-file.h"
#include "zeros.h"

static const char *
scheme_of (const QconvModel *m, const char *layer)
{
  g_autoptr (GArray) weights = qconv_model_weights (m);

  for (guint i = 0; i < weights->len; i++)
    if (strcmp (g_array_index (weights, QconvWeightInfo, i).name, layer) == 0)
      return g_array_index (weights, QconvWeightInfo, i).scheme;
  return NULL;
}

/* Tests that an edit of the metadata copies codes and scales, and that markers cannot be set. */
static void
test_edit (void)
{
  const QconvHintChange change = { .key = "k", .value = "1" };
  g_autofree char *out = scratch_path ("edited.safetensors"), *input = NULL;
  const QconvJob job = { .output = out, .edit.metadata = QCONV_LIST ("note=x") };
  const QconvJob marker = { .output = out, .edit.hints = &change, .edit.n_hints = 1 };
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, edited = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GError) error = NULL;

  builder_add (b, "m.weight", "U32", "[16,8]", NULL, 512);
  builder_add (b, "m.scales", "BF16", "[16,1]", NULL, 32);
  builder_add (b, "f.weight", "F8_E4M3", "[16,64]", NULL, 1024);
  builder_add (b, "f.weight_scale_inv", "F32", "[]", NULL, 4);
  input = builder_write (b, "edit.safetensors");
  assert_job_refused (input, &marker, QCONV_ERROR_OPTION, "nothing writes files of the form scaled");
  m = open_model (input, NULL);
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  edited = open_model (out, NULL);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (edited)), ==, 4);
  g_assert_cmpstr (scheme_of (edited, "m"), ==, "foreign:mlx");
  g_assert_cmpstr (scheme_of (edited, "f"), ==, "fp8");
  g_assert_nonnull (qconv_directory_metadata (qconv_model_directory (edited), "note"));
}

/* ---- Left alone ---- */

/* Tests the user's word that numbers need no scale. */
static void
test_allowed (void)
{
  const QconvOpenOptions open = { .plain = QCONV_LIST ("^m\\.") };
  g_autofree char *out = scratch_path ("allowed.safetensors"), *input = NULL;
  const QconvJob job = { .target = "f32-safetensors", .output = out };
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GError) error = NULL;

  builder_add (b, "m.weight", "F8_E4M3", "[16,64]", NULL, 1024);
  builder_add (b, "m.step", "F32", "[16]", NULL, 64);
  input = builder_write (b, "allowed-in.safetensors");
  assert_job_refused (input, &job, QCONV_ERROR_UNSUPPORTED, "--allow-unscaled");
  m = qconv_model_open (input, &open, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (scheme_of (m, "m"), ==, "plain");
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
}

static void
test_innocent (void)
{
  static const Zeros files[][5] = {
    { { "m.weight", "F8_E4M3", "[16,64]", 1024 }, { "m.bias", "F8_E4M3", "[16]", 16 } },
    { { "m.weight", "F8_E4M3", "[16,64]", 1024 }, { "m.bias", "F32", "[16]", 64 } },
    { { "text_projection", "F8_E4M3", "[16,64]", 1024 }, { "logit_scale", "F32", "[]", 4 } },
    { { "b.scale_shift_table", "F8_E4M3", "[6,64]", 384 }, { "b.attn.weight", "F8_E4M3", "[16,64]", 1024 } },
    { { "attn.q.weight", "F8_E4M3", "[16,64]", 1024 }, { "attn.norm_q.scale", "F32", "[16]", 64 } },
    { { "attn.in_proj_weight", "F8_E4M3", "[48,16]", 768 }, { "attn.in_proj_bias", "F32", "[48]", 192 } },
    { { "attn.relative_position_index", "I32", "[4,4]", 64 },
      { "attn.relative_position_bias_table", "F32", "[4,4]", 64 } },
    { { "conv.weight_v", "F8_E4M3", "[16,64]", 1024 }, { "conv.weight_g", "F8_E4M3", "[16,1]", 16 } },
    { { "bn.weight", "F8_E4M3", "[16]", 16 }, { "bn.running_mean", "F32", "[16]", 64 } },
    { { "position_ids", "I32", "[1,16]", 64 }, { "spiece_model", "U8", "[64]", 64 } },
  };
  g_autofree char *out = scratch_path ("innocent-out.safetensors");

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *input = NULL;
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (GArray) weights = NULL;

      add_zeros (b, files[i], G_N_ELEMENTS (files[i]));
      input = builder_write (b, "innocent.safetensors");
      m = open_model (input, NULL);
      weights = qconv_model_weights (m);
      for (guint w = 0; w < weights->len; w++)
        g_assert_cmpstr (g_array_index (weights, QconvWeightInfo, w).scheme, ==, "plain");
      convert (input, out, "bf16-safetensors", NULL);
    }
}

/* ---- Decoded ---- */

/* A weight of ones, and scales that count 1, 2, 3 … in their grid. @block: what it must be found to be, for matrices,
   rows and columns */
static const struct {
  const char *scheme, *codes, *dtype, *name, *scale_dtype, *scale_shape;
  guint64 dims[3], block[3], grid[3];
} decoded[] = {
  { "fp8", "m.weight", "F8_E4M3", "m.weight_scale_inv", "F32", "[1,1]", { 1, 24, 40 }, { 1, 24, 40 }, { 1, 1, 1 } },
  { "fp8", "m.weight", "F8_E5M2", "m.scale", "BF16", "[]", { 1, 24, 40 }, { 1, 24, 40 }, { 1, 1, 1 } },
  { "fp8_row", "m.weight", "F8_E4M3", "m.scale", "F16", "[24,1]", { 1, 24, 40 }, { 1, 1, 40 }, { 1, 24, 1 } },
  { "fp8_row", "m.weight", "F8_E4M3", "m.w_scale", "F32", "[24]", { 1, 24, 40 }, { 1, 1, 40 }, { 1, 24, 1 } },
  { "fp8_block",
    "m.weight",
    "F8_E4M3",
    "m.weight_scale_inv",
    "BF16",
    "[2,3]",
    { 1, 32, 48 },
    { 1, 16, 16 },
    { 1, 2, 3 } },
  { "fp8_group",
    "m.weight",
    "F8_E4M3",
    "m.weight_scale_inv",
    "F32",
    "[3,2]",
    { 1, 300, 192 },
    { 1, 128, 128 },
    { 1, 3, 2 } },
  { "fp8_group",
    "m.weight",
    "F8_E5M2",
    "m.weight_scale_inv",
    "F32",
    "[2,3]",
    { 1, 32, 48 },
    { 1, 16, 16 },
    { 1, 2, 3 } },
  { "fp8_group", "m.weight", "F8_E4M3", "m.weight._scale", "F32", "[24,5]", { 1, 24, 40 }, { 1, 1, 8 }, { 1, 24, 5 } },
  { "fp8_group",
    "m.weight",
    "F8_E4M3",
    "m.scale_weight",
    "BF16",
    "[24,2,1]",
    { 1, 24, 64 },
    { 1, 1, 32 },
    { 1, 24, 2 } },
  { "fp8_group", "m.up", "F8_E4M3", "m.up_scale_inv", "F32", "[2,3,1]", { 2, 300, 64 }, { 1, 128, 64 }, { 2, 3, 1 } },
  { "fp8_group", "m.up", "F8_E4M3", "m.up_scale", "F32", "[2]", { 2, 16, 64 }, { 1, 16, 64 }, { 2, 1, 1 } },
  { "fp8_group", "m.up", "F8_E4M3", "m.up_scale", "F32", "[1,2,1]", { 2, 16, 64 }, { 2, 8, 64 }, { 1, 2, 1 } },
};

static guint8 *
ones_of (const char *dtype, gsize n)
{
  guint8 *ones = g_malloc (n);

  memset (ones, strcmp (dtype, "F8_E4M3") == 0 ? 0x38 : 0x3c, n);
  return ones;
}

/* Returns: (transfer full): numbers 1 … @n in the type. */
static guint8 *
counting (const char *dtype, gsize n, gsize *size)
{
  g_autofree float *numbers = g_new (float, n);
  guint8 *stored = g_malloc0 (n * 4);
  QconvDType type;

  g_assert_true (qconv_dtype_from_name (dtype, &type));
  for (gsize i = 0; i < n; i++)
    numbers[i] = (float) (i + 1);
  g_assert_true (qconv_floats_to (type, numbers, n, stored));
  *size = n * qconv_dtype_bits (type) / 8;
  return stored;
}

static void
test_decoded (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  const guint64 *d = decoded[i].dims, *b = decoded[i].block, *g = decoded[i].grid;
  gsize n = d[0] * d[1] * d[2], n_scales = g[0] * g[1] * g[2], size = 0;
  g_autofree guint8 *codes = ones_of (decoded[i].dtype, n),
                    *scales = counting (decoded[i].scale_dtype, n_scales, &size);
  g_autofree char *shape = d[0] > 1 ? g_strdup_printf ("[%u,%u,%u]", (guint) d[0], (guint) d[1], (guint) d[2])
                                    : g_strdup_printf ("[%u,%u]", (guint) d[1], (guint) d[2]);
  g_autofree char *out = scratch_path ("decoded-out.safetensors"), *input = NULL;
  g_autoptr (Builder) file = builder_new ();
  g_autoptr (QconvModel) m = NULL, made = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const float *x;

  builder_add (file, decoded[i].codes, decoded[i].dtype, shape, codes, n);
  builder_add (file, decoded[i].name, decoded[i].scale_dtype, decoded[i].scale_shape, scales, size);
  input = builder_write (file, "decoded.safetensors");
  m = open_model (input, NULL);
  g_assert_cmpstr (scheme_of (m, d[0] > 1 ? "m.up" : "m"), ==, decoded[i].scheme);
  convert (input, out, "f32-safetensors", NULL);
  made = open_model (out, NULL);
  g_assert_cmpuint (qconv_directory_n_tensors (qconv_model_directory (made)), ==, 1);
  bytes = tensor_bytes (made, decoded[i].codes);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, n * sizeof *x);
  x = g_bytes_get_data (bytes, NULL);
  for (guint64 at = 0; at < n; at++)
    {
      guint64 matrix = at / (d[1] * d[2]), row = at / d[2] % d[1], col = at % d[2];

      g_assert_cmpfloat (x[at], ==, (float) (((matrix / b[0]) * g[1] + row / b[1]) * g[2] + col / b[2] + 1));
    }
}

/* Tests that the block of config.json counts: no other rule finds 30 rows. */
static void
test_config (void)
{
  static const char config[] = "{\"quantization_config\": {\"weight_block_size\": [30, 40]}}";
  g_autofree char *beside = scratch_path ("config.json"), *out = scratch_path ("config-out.safetensors"), *input = NULL;
  g_autofree guint8 *codes = ones_of ("F8_E4M3", 64 * 64);
  static const float scales[] = { 1, 2, 3, 4, 5, 6 };
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) made = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  const float *x;

  builder_add (b, "m.weight", "F8_E4M3", "[64,64]", codes, 64 * 64);
  builder_add (b, "m.weight_scale_inv", "F32", "[3,2]", scales, sizeof scales);
  input = builder_write (b, "config.safetensors");
  g_file_set_contents (beside, config, -1, &error);
  g_assert_no_error (error);
  convert (input, out, "f32-safetensors", NULL);
  made = open_model (out, NULL);
  bytes = tensor_bytes (made, "m.weight");
  x = g_bytes_get_data (bytes, NULL);
  for (guint i = 0; i < 64 * 64; i++)
    g_assert_cmpfloat (x[i], ==, scales[i / 64 / 30 * 2 + i % 64 / 40]);
  g_remove (beside);
}

/* Tests files that transformers wrote against what it decodes. */
static void
test_golden (void)
{
  static const char *const cases[]
      = { "tensor", "fp4-i8-weight", "block64x32", "block128", "ue8m0", "experts-3d", "mxfp8-u8-scales" };
  g_autofree char *out = scratch_path ("golden-out.safetensors");
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *folder = g_strconcat ("hf-fp8/", cases[i], NULL), *path = golden_path (folder);
      g_autofree char *input = g_build_filename (path, "model.safetensors", NULL);
      g_autofree char *want_path = g_strconcat (folder, "/expected.safetensors", NULL);
      g_autoptr (GoldenFile) want = NULL;
      g_autoptr (QconvModel) made = NULL;
      g_autoptr (GBytes) bytes = NULL;
      const GoldenTensor *t;

      want = golden_file_open (want_path);
      t = g_ptr_array_index (want->tensors, 0);
      convert (input, out, "f32-safetensors", NULL);
      made = open_model (out, NULL);
      bytes = tensor_bytes (made, t->name);
      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), t->data, t->size);
      n++;
    }
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (cases));
}

/* Tests MXFP8 of other toolkits: the components move to ComfyUI's file, the scale of the input is left out. */
static void
test_moves (void)
{
  g_autofree char *input = NULL, *out = scratch_path ("moved.safetensors");
  g_autofree guint8 *codes = ones_of ("F8_E4M3", 32 * 64), *exponents = g_malloc (32 * 2);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) m = NULL, moved = NULL;

  memset (exponents, 120, 32 * 2);
  builder_add (b, "m.weight", "F8_E4M3", "[32,64]", codes, 32 * 64);
  builder_add (b, "m.weight_scale_inv", "U8", "[32,2]", exponents, 32 * 2);
  builder_add (b, "m.input_scale", "F32", "[]", NULL, 4);
  input = builder_write (b, "mxfp8.safetensors");
  m = open_model (input, NULL);
  g_assert_cmpstr (scheme_of (m, "m"), ==, "mxfp8");
  convert (input, out, "mxfp8-comfy", NULL);
  moved = open_model (out, NULL);
  g_assert_cmpstr (scheme_of (moved, "m"), ==, "mxfp8");
  g_assert_null (qconv_directory_find (qconv_model_directory (moved), "m.input_scale"));
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (decoded); i++)
    {
      g_autofree char *path = g_strdup_printf ("/scaled/decoded/%u-%s", i, decoded[i].scheme);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_decoded);
    }
  g_test_add_func ("/scaled/edit", test_edit);
  g_test_add_func ("/scaled/allowed", test_allowed);
  g_test_add_func ("/scaled/innocent", test_innocent);
  g_test_add_func ("/scaled/config", test_config);
  g_test_add_func ("/scaled/golden", test_golden);
  g_test_add_func ("/scaled/moves", test_moves);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
