/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the reader of nunchaku's files: golden files, spellings, biases, broken layers and odd metadata. */
#include <glib/gstdio.h>
#include <string.h>

#include "fixture.h"
#include "golden-file.h"

/* One tensor; @dtype: NULL: it is left out. Its items are zeros, or 16-bit @items if that is not 0 */
typedef struct {
  const char *name, *dtype, *shape;
  gsize n;
  guint16 item;
} Member;

/* A layer of 128 × 128, rank 16, and one of 24 × 64 in six vectors; BF16 1 is 0x3f80 */
#define FC1 "transformer_blocks.0.mlp_fc1"
#define MOD "transformer_blocks.0.norm1.linear"
static const Member int4_layer[] = {
  { FC1 ".qweight", "I8", "[128, 64]", 8192, 0x1111 },   { FC1 ".wscales", "BF16", "[2, 128]", 512, 0x3f00 },
  { FC1 ".bias", "BF16", "[128]", 256, 0x3f80 },         { FC1 ".smooth", "BF16", "[128]", 256, 0x4000 },
  { FC1 ".smooth_orig", "BF16", "[128]", 256, 0x3f80 },  { FC1 ".lora_down", "BF16", "[128, 16]", 4096, 0x3f80 },
  { FC1 ".lora_up", "BF16", "[128, 16]", 4096, 0x3f80 }, { MOD ".qweight", "I32", "[6, 32]", 768, 0x3333 },
  { MOD ".wscales", "BF16", "[1, 24]", 48, 0x3f80 },     { MOD ".wzeros", "BF16", "[1, 24]", 48, 0xc000 },
  { MOD ".bias", "BF16", "[24]", 48, 0x3fc0 },
};

static void
add_member (Builder *b, const Member *m, const char *name)
{
  g_autofree guint16 *items = g_new (guint16, m->n / 2);

  for (gsize i = 0; i < m->n / 2; i++)
    items[i] = GUINT16_TO_LE (m->item);
  builder_add (b, name, m->dtype, m->shape, items, m->n);
}

/* Writes the two layers; @change: (nullable): takes the place of the member with its name, or is added.
   @rename: (nullable): two texts, of which the second replaces the first in all names */
static char *
write_layers (const Member *change, const char *const *rename, const char *metadata)
{
  g_autoptr (Builder) b = builder_new ();
  gboolean found = change == NULL;

  for (guint i = 0; i < G_N_ELEMENTS (int4_layer); i++)
    {
      const Member *m = &int4_layer[i];
      GString *name = g_string_new (m->name);

      if (change != NULL && strcmp (change->name, m->name) == 0)
        m = change;
      found |= m == change;
      for (guint k = 0; rename != NULL && rename[k] != NULL; k += 2)
        g_string_replace (name, rename[k], rename[k + 1], 0);
      if (m->dtype != NULL)
        add_member (b, m, name->str);
      g_string_free (name, TRUE);
    }
  if (!found)
    add_member (b, change, change->name);
  if (metadata != NULL)
    builder_add_metadata (b, "quantization_config", metadata);
  return builder_write (b, "case.safetensors");
}

/* ---- Broken layers ---- */

/* clang-format off */
static const struct {
  const char *says;
  QconvError code;
  Member change;
} broken[] = {
  { "\"" FC1 "\": qweight is missing", QCONV_ERROR_INPUT, { FC1 ".qweight", NULL, NULL, 0, 0 } },
  { "\"" FC1 "\": wscales is missing", QCONV_ERROR_INPUT, { FC1 ".wscales", NULL, NULL, 0, 0 } },
  { "\"" FC1 "\": smooth is missing", QCONV_ERROR_INPUT, { FC1 ".smooth", NULL, NULL, 0, 0 } },
  { "\"" FC1 "\": lora_down is missing", QCONV_ERROR_INPUT, { FC1 ".lora_down", NULL, NULL, 0, 0 } },
  { "\"" FC1 "\": lora_up is missing", QCONV_ERROR_INPUT, { FC1 ".lora_up", NULL, NULL, 0, 0 } },
  { "\"" MOD "\": wzeros is missing", QCONV_ERROR_INPUT, { MOD ".wzeros", NULL, NULL, 0, 0 } },
  { "qweight is U8 where", QCONV_ERROR_INPUT, { FC1 ".qweight", "U8", "[128, 64]", 8192, 0 } },
  { "qweight is [64, 128], which makes no rows", QCONV_ERROR_INPUT, { FC1 ".qweight", "I8", "[64, 128]", 8192, 0 } },
  { "qweight is [256, 32], which makes no rows", QCONV_ERROR_INPUT, { FC1 ".qweight", "I8", "[256, 32]", 8192, 0 } },
  { "qweight is [8192], which makes no rows", QCONV_ERROR_INPUT, { FC1 ".qweight", "I8", "[8192]", 8192, 0 } },
  { "qweight is [3, 32], which makes no rows", QCONV_ERROR_INPUT, { MOD ".qweight", "I32", "[3, 32]", 384, 0 } },
  { "qweight is [128, 0], which makes no rows", QCONV_ERROR_INPUT, { FC1 ".qweight", "I8", "[128, 0]", 0, 0 } },
  { "wscales is [128, 2] where [2, 128]", QCONV_ERROR_INPUT, { FC1 ".wscales", "BF16", "[128, 2]", 512, 0 } },
  { "wscales is [2, 128] where [8, 128]", QCONV_ERROR_INPUT, { FC1 ".wscales", "F8_E4M3", "[2, 128]", 256, 0 } },
  { "bias is [64] where [128] is needed", QCONV_ERROR_INPUT, { FC1 ".bias", "BF16", "[64]", 128, 0 } },
  { "bias is F32 where BF16 or F16 is needed", QCONV_ERROR_INPUT, { FC1 ".bias", "F32", "[128]", 512, 0 } },
  { "smooth is I8 where", QCONV_ERROR_INPUT, { FC1 ".smooth", "I8", "[128]", 128, 0 } },
  { "smooth_orig is [1, 128] where", QCONV_ERROR_INPUT, { FC1 ".smooth_orig", "BF16", "[1, 128]", 256, 0 } },
  { "lora_down has the rank 24", QCONV_ERROR_INPUT, { FC1 ".lora_down", "BF16", "[128, 24]", 6144, 0 } },
  { "lora_down has the rank 0", QCONV_ERROR_INPUT, { FC1 ".lora_down", "BF16", "[2048]", 4096, 0 } },
  { "lora_down is [64, 32] where [128, 32]", QCONV_ERROR_INPUT, { FC1 ".lora_down", "BF16", "[64, 32]", 4096, 0 } },
  { "lora_up is [64, 32] where [128, 16]", QCONV_ERROR_INPUT, { FC1 ".lora_up", "BF16", "[64, 32]", 4096, 0 } },
  { "an INT4 layer has wtscale", QCONV_ERROR_INPUT, { FC1 ".wtscale", "BF16", "[1]", 2, 0 } },
  { "wcscales is [1] where [128]", QCONV_ERROR_INPUT, { FC1 ".wcscales", "BF16", "[1]", 2, 0 } },
  { "wzeros is F16, but wscales is BF16", QCONV_ERROR_INPUT, { MOD ".wzeros", "F16", "[1, 24]", 48, 0 } },
  { "\"" MOD "\": bias is missing", QCONV_ERROR_INPUT, { MOD ".bias", NULL, NULL, 0, 0 } },
  { "lora_down does not belong to a layer of AWQ", QCONV_ERROR_INPUT,
    { MOD ".lora_down", "BF16", "[16, 64]", 2048, 0 } },
  { "wzeros does not belong to a layer of SVDQuant", QCONV_ERROR_INPUT,
    { FC1 ".wzeros", "BF16", "[2, 128]", 512, 0 } },
  { "smooth and smooth_factor are two spellings of one tensor", QCONV_ERROR_INPUT,
    { FC1 ".smooth_factor", "BF16", "[128]", 256, 0x3f80 } },
  { "wscales is [16, 24] where [1, 24]", QCONV_ERROR_INPUT, { MOD ".wscales", "BF16", "[16, 24]", 768, 0 } },
};
/* clang-format on */

static void
assert_refused (const char *path, QconvError code, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (path, NULL, &error);

  g_assert_null (model);
  g_assert_error (error, QCONV_ERROR, (gint) code);
  if (strstr (error->message, text) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, text);
}

static void
test_broken (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (broken); i++)
    {
      g_autofree char *path = write_layers (&broken[i].change, NULL, NULL);

      assert_refused (path, broken[i].code, broken[i].says);
    }
}

/* Tests that a bias which makes up for a shift must be there, whatever the model is */
static void
test_missing_bias (void)
{
  static const Member none = { FC1 ".bias", NULL, NULL, 0, 0 };
  const char *const rename[] = { FC1, "transformer_blocks.0.mlp_fc2", NULL };
  g_autofree char *plain = write_layers (&none, NULL, NULL), *shifted = NULL;

  qconv_model_free (open_model (plain, NULL));
  shifted = write_layers (&none, rename, NULL);
  assert_refused (shifted, QCONV_ERROR_INPUT, "\"transformer_blocks.0.mlp_fc2\": bias is missing");
}

static void
test_strange_modulation (void)
{
  const char *const rename[] = { ".norm1.linear", ".adaln", NULL };
  g_autofree char *path = write_layers (NULL, rename, NULL);

  assert_refused (path, QCONV_ERROR_UNSUPPORTED, "it is not known in which order the rows");
}

/* ---- Numbers ---- */

static void
assert_all (const QconvModel *m, const char *name, float want)
{
  g_autoptr (GBytes) bytes = tensor_bytes (m, name);
  gsize n;
  const float *floats = g_bytes_get_data (bytes, &n);

  g_assert_cmpuint (n, >, 0);
  for (gsize i = 0; i < n / sizeof *floats; i++)
    g_assert_cmpfloat (floats[i], ==, want);
}

/* Tests that all spellings of names decode. Codes are 1, scales 0.5, smoothing factors 2; the product is 16 */
static void
test_names (void)
{
  static const struct {
    const char *layer;
    gboolean shifted;
  } cases[] = {
    { FC1, FALSE },
    { "transformer_blocks.0.mlp_fc2", TRUE },
    { "model.diffusion_model.transformer_blocks.0.mlp_fc2", TRUE },
    { "single_transformer_blocks.3.mlp_fc2", TRUE },
    { "transformer_blocks.7.ff_context.net.2", TRUE },
    { "transformer_blocks.0.txt_mlp.net.2", TRUE },
    { "transformer_blocks.0.attn.to_qkv", FALSE },
    { "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2", FALSE },
    { "layers.0.feed_forward.net.2", FALSE },
  };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++)
    {
      const char *layer = cases[i / 2].layer;
      const char *const rename[]
          = { FC1, layer, "lora_", i % 2 == 0 ? "lora_" : "proj_", ".smooth", i % 2 == 0 ? ".smooth" : ".smooth_factor",
              NULL };
      g_autofree char *path = write_layers (NULL, rename, NULL), *out = scratch_path ("out.safetensors");
      g_autofree char *weight = g_strconcat (layer, ".weight", NULL), *bias = g_strconcat (layer, ".bias", NULL);
      g_autoptr (QconvModel) m = NULL;

      convert (path, out, "f32-safetensors", NULL);
      m = open_model (out, NULL);
      assert_all (m, weight, 16.25f);
      /* 128 residuals of 0.25, times 11/64 */
      assert_all (m, bias, cases[i / 2].shifted ? 6.5f : 1.0f);
      /* 3 · 1 − 2 */
      assert_all (m, MOD ".weight", 1.0f);
    }
}

/* Tests that the scales of modulation layers lose the 1 that the file adds: chunks 1 and 4 of 6 */
static void
test_modulation_bias (void)
{
  g_autofree char *path = write_layers (NULL, NULL, NULL), *out = scratch_path ("out.safetensors");
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const float *bias;

  convert (path, out, "f32-safetensors", NULL);
  m = open_model (out, NULL);
  bytes = tensor_bytes (m, MOD ".bias");
  bias = g_bytes_get_data (bytes, NULL);
  for (guint i = 0; i < 24; i++)
    g_assert_cmpfloat (bias[i], ==, i / 4 == 1 || i / 4 == 4 ? 0.5f : 1.5f);
}

/* ---- Old folders ---- */

static void
remove_file (const char *name)
{
  g_autofree char *path = scratch_path (name);

  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
write_text (const char *name, const char *text)
{
  g_autofree char *path = scratch_path (name);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

/* Tests that the two files of a folder, and its two configs, are one model, whichever of them is named */
static void
test_folder (void)
{
  static const char *const named[]
      = { "old", "old/transformer_blocks.safetensors", "old/unquantized_layers.safetensors" };
  const guint16 two[] = { GUINT16_TO_LE (0x4000) };
  g_autofree char *layers = write_layers (NULL, NULL, NULL), *folder = scratch_path ("old");
  g_autofree char *blocks = scratch_path (named[1]), *rest = NULL;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) half = NULL;

  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_cmpint (g_rename (layers, blocks), ==, 0);
  builder_add (b, "proj_out.bias", "BF16", "[1]", two, sizeof two);
  rest = builder_write (b, named[2]);
  write_text ("old/config.json", "{\"a\": 1}");
  write_text ("old/comfy_config.json", "{\"b\": 2}");
  for (guint i = 0; i < G_N_ELEMENTS (named); i++)
    {
      g_autofree char *path = scratch_path (named[i]), *out = scratch_path ("out.safetensors");
      g_autoptr (QconvModel) m = open_model (path, NULL), plain = NULL;
      const QconvDirectory *d = qconv_model_directory (m);

      g_assert_cmpstr (qconv_model_format (m), ==, "nunchaku");
      g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (d, "config"), NULL), ==, "{\"a\": 1}");
      g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (d, "comfy_config"), NULL), ==, "{\"b\": 2}");
      convert (path, out, "f32-safetensors", NULL);
      plain = open_model (out, NULL);
      assert_all (plain, FC1 ".weight", 16.25f);
      assert_all (plain, "proj_out.bias", 2.0f);
    }
  g_unlink (rest);
  half = open_model (folder, warnings);
  g_assert_null (qconv_directory_find (qconv_model_directory (half), "proj_out.bias"));
  g_assert_nonnull (strstr (g_ptr_array_index (warnings, 0), "the other half of such a model, is not beside it"));
  remove_file ("old/config.json");
  remove_file ("old/comfy_config.json");
  remove_file (named[1]);
  remove_file ("old");
}

/* ---- Metadata ---- */

/* Tests that the tensors count, and that what disagrees is told. The layers have names of no known model, which would
   lack others */
#define STRAY "blocks.0.mlp_fc1"
static void
test_metadata (void)
{
  static const struct {
    const char *metadata, *warning, *problems;
  } cases[] = {
    { NULL, "has none, which means 32", "metadata -\nmetadata -\nrank " STRAY "\n" },
    { NULL, "the metadata have no config", "metadata -\nmetadata -\nrank " STRAY "\n" },
    { NULL, "the metadata have no quantization_config", "metadata -\nmetadata -\nrank " STRAY "\n" },
    { "{\"weight\": {\"dtype\": \"int4\", \"group_size\": 64}, \"rank\": 16}", NULL, "metadata -\n" },
    { "{\"weight\": {\"dtype\": \"int4\", \"group_size\": 64}}", "has none, which means 32",
      "metadata -\nrank " STRAY "\n" },
    { "{\"weight\": {\"dtype\": \"fp4_e2m1_all\", \"group_size\": 16}, \"rank\": 16}", "states fp4_e2m1_all",
      "metadata -\nprecision " STRAY "\n" },
    { "{\"rank\": 128}", "states 128", "metadata -\nprecision -\nrank " STRAY "\n" },
    { "[1]", "not a JSON object", "metadata -\nmetadata -\nrank " STRAY "\n" },
    { "{\"rank\": 16, \"weight\": 4}", NULL, "metadata -\nprecision -\n" },
  };
  static const char *const rename[] = { "transformer_blocks.0", "blocks.0", NULL };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
      g_autofree char *path = write_layers (NULL, rename, cases[i].metadata), *problems = problems_of (path);
      gboolean told = FALSE;

      qconv_model_free (open_model (path, warnings));
      for (guint k = 0; k < warnings->len; k++)
        told |= cases[i].warning != NULL && strstr (g_ptr_array_index (warnings, k), cases[i].warning) != NULL;
      g_assert_cmpint (told, ==, cases[i].warning != NULL);
      g_assert_cmpstr (problems, ==, cases[i].problems);
    }
}

/* Tests that verify lists all problems, not only the first */
static void
test_problems (void)
{
  static const Member bad = { FC1 ".lora_down", "F32", "[128, 24]", 12288, 0 };
  const QconvOpenOptions options = { .for_verify = TRUE };
  g_autofree char *path = write_layers (&bad, NULL, NULL), *problems = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (path, &options, &error);

  g_assert_no_error (error);
  problems = model_problems (m);
  g_assert_nonnull (strstr (problems, "rank " FC1));
  g_assert_nonnull (strstr (problems, "dtype " FC1));
  g_assert_nonnull (strstr (problems, "shape " FC1));
}

/* ---- Golden files ---- */

/* Tests that deepcompressor's files have no problem, and decode to the same bytes with any memory and threads. They are
   too large for this repository; QCONV_TEST_GOLDEN may name a folder that has them */
static void
test_golden (void)
{
  static const char *const names[]
      = { "nunchaku/flux-tiny-int4-r32.safetensors", "nunchaku/flux-tiny-fp4-r32.safetensors" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = golden_path (names[i]), *problems = NULL, *first = NULL;
      gsize n = 0;

      if (!g_file_test (path, G_FILE_TEST_EXISTS))
        {
          g_test_skip ("this repository lacks the complete files: QCONV_TEST_GOLDEN names a folder with them");
          return;
        }
      problems = problems_of (path);
      g_assert_cmpstr (problems, ==, "");
      for (guint threads = 1; threads <= 3; threads += 2)
        {
          g_autofree char *out = scratch_path ("golden.safetensors"), *bytes = NULL;
          const QconvJob job
              = { .target = "f32-safetensors",
                  .output = out,
                  .run = { .force = TRUE, .n_threads = threads, .memory = threads == 1 ? 256 << 20 : 2 << 20 } };
          g_autoptr (QconvModel) m = open_model (path, NULL);
          g_autoptr (GError) error = NULL;
          g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);
          gsize size;

          g_assert_no_error (error);
          qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
          g_assert_no_error (error);
          g_file_get_contents (out, &bytes, &size, &error);
          g_assert_no_error (error);
          if (first == NULL)
            {
              first = g_steal_pointer (&bytes);
              n = size;
              continue;
            }
          g_assert_cmpmem (bytes, size, first, n);
        }
    }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/nunchaku/reader/broken", test_broken);
  g_test_add_func ("/nunchaku/reader/missing-bias", test_missing_bias);
  g_test_add_func ("/nunchaku/reader/strange-modulation", test_strange_modulation);
  g_test_add_func ("/nunchaku/reader/names", test_names);
  g_test_add_func ("/nunchaku/reader/modulation-bias", test_modulation_bias);
  g_test_add_func ("/nunchaku/reader/metadata", test_metadata);
  g_test_add_func ("/nunchaku/reader/problems", test_problems);
  g_test_add_func ("/nunchaku/reader/folder", test_folder);
  g_test_add_func ("/nunchaku/reader/golden", test_golden);
  result = g_test_run ();
  scratch_end ();
  return result;
}
