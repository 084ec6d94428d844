/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the checks of nunchaku files: small complete models have no problem, and each kind of damage gives the line
   that names it. */
#include <string.h>

#include "golden-file.h"
#include "tiny-model.h"

#define FC1 DOUBLE "mlp_fc1"
#define CONTEXT DOUBLE "qkv_proj_context"
#define WARN "warning: "
#define NO_KEY(key, who) "metadata: the metadata have no " key ", without which " who " loads no single file\n"

/* clang-format off */
static const struct {
  const char *key, *text, *says;
} metadata_cases[] = {
  { "config", NULL, NO_KEY ("config", "nunchaku") },
  { "config", "{", "metadata: config is not a JSON object\n" },
  { "config", CONFIG ("2", "64", "true"), "config: num_layers of config is 2, but the tensors make it 1\n" },
  { "config", CONFIG ("\"1\"", "64", "true"), "config: num_layers of config is not a whole number\n" },
  { "config", CONFIG ("null", "64", "true"),
    "config: config has no num_layers, which means 19, but the tensors make it 1\n" },
  { "config", CONFIG ("1", "384", "true"), "config: in_channels of config is 384, but the tensors make it 64\n" },
  { "config", CONFIG ("1", "64", "false"), "config: guidance_embeds of config is 0, but the tensors make it 1\n" },
  { "quantization_config", NULL, NO_KEY ("quantization_config", "nunchaku") "RANKS" },
  { "quantization_config", "7", "metadata: quantization_config is not a JSON object\nRANKS" },
  { "quantization_config", INT4 (", \"rank\": \"16\""),
    "rank: the rank in quantization_config is not a whole number\nRANKS" },
  { "quantization_config", INT4 (""), "RANKS" },
  { "quantization_config", "{\"rank\": 16}",
    "precision: quantization_config has no weight.dtype, which loaders read\n" },
  { "quantization_config", "{\"rank\": 16, \"weight\": {\"dtype\": \"int4\", \"group_size\": 16}}",
    "precision: quantization_config states weight.group_size 16 where int4 needs 64\n" },
  { "model_class", NULL, WARN "the metadata have no model_class, which nunchaku's own tools write\n" },
  { "full_config", "no", "metadata: full_config is not a JSON object\n" },
  { "comfy_config", NULL, NO_KEY ("comfy_config", "ComfyUI's node for FLUX.1") },
  { "comfy_config", "[]", "metadata: comfy_config is not a JSON object\n" },
  { "comfy_config", "{}", "config: comfy_config states model_class nothing where ComfyUI needs Flux or FluxSchnell\n"
                          "config: comfy_config has no object model_config, which ComfyUI needs\n" },
  { "comfy_config", COMFY ("\"Flux2\"", "\"depth\": 1, "),
    "config: comfy_config states model_class Flux2 where ComfyUI needs Flux or FluxSchnell\n" },
  { "comfy_config", COMFY ("\"Flux\"", ""), "config: model_config has no depth, which ComfyUI needs\n" },
  { "comfy_config", COMFY ("\"Flux\"", "\"depth\": 19, "),
    "config: depth of model_config is 19, but the tensors make it 1\n" },
};

static const struct {
  gboolean fp4;
  Damage damage;
  const char *says;
} tensor_cases[] = {
  /* Modules and members */
  { FALSE, { .tensor = FC1 ".smooth_orig" },
    WARN FC1 ": smooth_orig is missing, without which nunchaku's class V2 loads no file\n" },
  { FALSE, { .tensor = FC1 ".bias" }, FC1 ": missing: bias is missing\n" },
  { FALSE, { .tensor = FC1 ".lora_up" }, FC1 ": missing: lora_up is missing\n" },
  { FALSE, { .tensor = FC1 ".lora_down", "BF16", "[64, 16]", 2048, 0x3f80 },
    FC1 ": shape: lora_down is [64, 16] where [128, 16] is needed\n" },
  { FALSE, { .tensor = FC1 ".wtscale", "BF16", "[1]", 2, 0x3f80 },
    FC1 ": wtscale: an INT4 layer has wtscale, which nunchaku's kernels refuse\n" },
  { TRUE, { .tensor = FC1 ".wtscale" },
    WARN FC1 ": it has neither wtscale nor wcscales, so that both are 1\n" },
  { TRUE, { .tensor = FC1 ".wcscales", "BF16", "[512]", 1024, 0x3f80 },
    WARN FC1 ": it has both wtscale and wcscales; deepcompressor writes one of them\n" },
  { FALSE, { .tensor = DOUBLE "norm1.linear.wzeros" }, DOUBLE "norm1.linear: missing: wzeros is missing\n" },
  { FALSE, { .tensor = DOUBLE "norm1.linear.bias", "BF16", "[64]", 128, 0 },
    DOUBLE "norm1.linear: shape: bias is [64] where [768] is needed\n" },
  { FALSE, { .tensor = DOUBLE "norm_q.weight" }, DOUBLE "norm_q: missing: weight is missing\n" },
  { FALSE, { .tensor = DOUBLE "norm_q.weight", "F32", "[64]", 256, 0 },
    WARN DOUBLE "norm_q: it is F32; strict loaders want the 16-bit type of the others\n" },
  { FALSE, { .tensor = "x_embedder.bias" }, "x_embedder: missing: bias is missing\n" },
  { FALSE, { .tensor = "time_text_embed.text_embedder.linear_2.weight", "BF16", "[128, 64]", 16384, 0 },
    "time_text_embed.text_embedder.linear_2: shape: the weight is [128, 64], which does not fit a model of the "
    "width 128\n" },
  { FALSE, { .tensor = "time_text_embed.guidance_embedder.linear_2.weight" },
    "time_text_embed.guidance_embedder.linear_2: missing: weight is missing\n" },
  { FALSE, { .tensor = "extra", "BF16", "[1]", 2, 0 },
    WARN "extra: no class for this model has the tensor; the first ignores it, V2 loads no file with it\n" },
  { FALSE, { .tensor = "transformer_blocks.2.extra", "BF16", "[1]", 2, 0 }, "GAP" },
  /* Numbers */
  { FALSE, { .tensor = FC1 ".wscales", .patch = TRUE, .at = 2, .fill = 0 },
    FC1 ": scale-value: 1 scales in wscales are not positive numbers\n" },
  { FALSE, { .tensor = FC1 ".wscales", .patch = TRUE, .at = 2, .fill = 0xbf80 },
    FC1 ": scale-value: 1 scales in wscales are not positive numbers\n" },
  { TRUE, { .tensor = FC1 ".wscales", .patch = TRUE, .at = 2, .fill = 0x387f },
    FC1 ": scale-value: 1 scales in wscales are NaN or negative; the kernels read E4M3 without a sign\n" },
  { TRUE, { .tensor = FC1 ".wscales", .patch = TRUE, .at = 2, .fill = 0xb880 },
    FC1 ": scale-value: 2 scales in wscales are NaN or negative; the kernels read E4M3 without a sign\n" },
  { TRUE, { .tensor = FC1 ".wtscale", .patch = TRUE, .fill = 0x7f80 },
    FC1 ": scale-value: 1 numbers in wtscale, wcscales and smooth_orig are Inf or NaN\n" },
  { FALSE, { .tensor = FC1 ".smooth", .patch = TRUE, .fill = 0x8000 },
    FC1 ": smooth: 1 numbers in smooth, by which inputs are divided, are not positive\n" },
  { FALSE, { .tensor = FC1 ".smooth", .patch = TRUE, .at = 254, .fill = 0x7fc0 },
    FC1 ": smooth: 1 numbers in smooth, by which inputs are divided, are not positive\n" },
  { FALSE, { .tensor = FC1 ".lora_down", .patch = TRUE, .fill = 0x7fc0 },
    FC1 ": low-rank: 1 numbers in lora_down and lora_up are Inf or NaN\n" },
  { FALSE, { .tensor = FC1 ".lora_up", .patch = TRUE, .at = 1024, .fill = 0xff80 },
    FC1 ": low-rank: 1 numbers in lora_down and lora_up are Inf or NaN\n" },
  { FALSE, { .tensor = FC1 ".lora_up", "BF16", "[512, 16]", 16384, 0 },
    WARN FC1 ": lora_up holds only zeros: there is no low-rank product\n" },
  { TRUE, { .tensor = FC1 ".lora_down", "BF16", "[128, 16]", 4096, 0x8000 },
    WARN FC1 ": lora_down holds only zeros: there is no low-rank product\n" },
  { FALSE, { .tensor = FC1 ".qweight", .patch = TRUE, .at = 32766, .fill = 0x1881 },
    WARN FC1 ": 2 codes are -8, which deepcompressor never writes\n" },
  { TRUE, { .tensor = FC1 ".qweight", .patch = TRUE, .fill = 0x1811 },
    WARN FC1 ": 1 codes are minus zero, which deepcompressor never writes\n" },
  { FALSE, { .tensor = SINGLE "out_proj.bias", .patch = TRUE, .at = 254, .fill = 0x3f80 },
    WARN SINGLE "out_proj: its bias is not zero, but mlp_fc2 of the same block has the bias of both\n" },
  { FALSE, { .tensor = SINGLE "mlp_fc2.bias", .patch = TRUE, .at = 2, .fill = 0x7f80 },
    SINGLE "mlp_fc2.bias: non-finite: the tensor holds Inf or NaN\n" },
  { FALSE, { .tensor = "proj_out.weight", .patch = TRUE, .at = 4, .fill = 0xffff },
    "proj_out.weight: non-finite: the tensor holds Inf or NaN\n" },
};
/* clang-format on */

/* Appends the line of each layer of rank 16 where 32 is assumed, in the order of the file. */
static char *
with_ranks (const char *says, const char *got)
{
  const char *tail = strstr (says, "RANKS");
  g_autofree char *head = tail != NULL ? g_strndup (says, (gsize) (tail - says)) : NULL;
  g_auto (GStrv) lines = tail != NULL ? g_strsplit (got + MIN (strlen (head), strlen (got)), "\n", -1) : NULL;

  if (tail == NULL)
    return g_strdup (says);
  g_assert_cmpuint (g_strv_length (lines), ==, 13); /* 12 layers, and what follows the last */
  for (guint i = 0; i < 12; i++)
    g_assert_true (g_str_has_suffix (
        lines[i], ": rank: its factors have the rank 16, but quantization_config has none, which means 32"));
  return g_strconcat (head, got + strlen (head), NULL);
}

/* Tests that the usual rank need not be stated, because loaders assume it, and that other ranks are multiples of 16. */
static void
test_rank (void)
{
  static const struct {
    const char *text, *says;
  } cases[] = {
    { INT4 (""), WARN "quantization_config has no rank, so that loaders assume 32\n" },
    { INT4 (", \"rank\": 24"), "rank: the rank 24 in quantization_config is no multiple of 16 up to 1024\n" },
    { INT4 (", \"rank\": 0"), "rank: the rank 0 in quantization_config is no multiple of 16 up to 1024\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      TinyModel m = { .rank = 32 };
      g_autofree char *path = tiny_write (&m, "quantization_config", cases[i].text), *got = tiny_report (path, NULL);

      g_assert_true (g_str_has_prefix (got, cases[i].says));
      g_assert_true (i == 1 || strlen (got) == strlen (cases[i].says));
    }
}

static void
test_metadata (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (metadata_cases); i++)
    {
      TinyModel m = { .b = NULL };
      g_autofree char *path = tiny_write (&m, metadata_cases[i].key, metadata_cases[i].text);
      g_autofree char *got = tiny_report (path, NULL), *want = with_ranks (metadata_cases[i].says, got);

      g_assert_cmpstr (got, ==, want);
    }
}

static void
test_tensors (void)
{
  static const char gap[] = "transformer_blocks.1: missing: the block is missing\n";

  for (guint i = 0; i < G_N_ELEMENTS (tensor_cases); i++)
    {
      TinyModel m = { .damage = &tensor_cases[i].damage, .fp4 = tensor_cases[i].fp4 };
      g_autofree char *path = tiny_write (&m, NULL, NULL), *got = tiny_report (path, NULL);

      if (strcmp (tensor_cases[i].says, "GAP") == 0)
        {
          g_assert_nonnull (strstr (got, gap));
          g_assert_nonnull (strstr (got, "transformer_blocks.2.qkv_proj: missing: the module is missing\n"));
          g_assert_nonnull (strstr (got, "config: num_layers of config is 1, but the tensors make it 3\n"));
        }
      else
        g_assert_cmpstr (got, ==, tensor_cases[i].says);
    }
}

/* Tests files that have no problem, and what GPUs they are for. */
static void
test_good (void)
{
  for (guint i = 0; i < 6; i++)
    {
      gboolean fp4 = i % 2 == 1;
      TinyModel m = { .kind = (TinyKind) (i / 2), .fp4 = fp4 };
      g_autofree char *path = tiny_write (&m, NULL, NULL), *note = NULL, *got = tiny_report (path, &note);

      g_assert_cmpstr (got, ==, "");
      g_assert_cmpstr (note, ==,
                       fp4 ? "FP4: for GPUs with the compute capability 12.0 or 12.1"
                           : "INT4: for GPUs with the compute capability 7.5, 8.0, 8.6 or 8.9");
    }
}

/* Tests the strict classes, whose members have other names. */
static void
test_strict_classes (void)
{
  static const struct {
    TinyModel model;
    const char *key, *text, *says;
  } cases[] = {
    { { .kind = TINY_QWEN_IMAGE, .from = "add_qkv_proj.smooth_factor", .to = "add_qkv_proj.smooth" },
      NULL,
      NULL,
      DOUBLE "attn.add_qkv_proj: names: smooth is called smooth_factor in files of this model\n" },
    { { .kind = TINY_QWEN_IMAGE, .from = "add_qkv_proj.smooth_factor_orig", .to = "other" },
      NULL,
      NULL,
      DOUBLE "attn.add_qkv_proj: missing: smooth_factor_orig is missing\n" DOUBLE
             "attn.other: unknown: the class for this model has no such tensor and loads no file with it\n" },
    { { .kind = TINY_QWEN_IMAGE, .plain = DOUBLE "attn.to_add_out" },
      NULL,
      NULL,
      DOUBLE "attn.to_add_out: unquantized: it has a plain weight where nunchaku loads qweight\n" },
    { { .kind = TINY_Z_IMAGE, .plain_refiners = TRUE },
      "quantization_config",
      INT4 (", \"rank\": 16, \"skip_refiners\": true"),
      "" },
    { { .kind = TINY_Z_IMAGE, .plain_refiners = TRUE },
      NULL,
      NULL,
      "refiners: quantization_config states that the refiners are quantized, but they are not\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      TinyModel m = cases[i].model;
      g_autofree char *path = tiny_write (&m, cases[i].key, cases[i].text), *got = tiny_report (path, NULL);

      g_assert_cmpstr (got, ==, cases[i].says);
    }
}

/* Tests SDXL, whose class is strict, too: the lines of what a single block lacks, and of damage to it. */
static void
test_sdxl (void)
{
  static const char *const always[]
      = { MIDDLE "attn2.to_v: missing: weight is missing\n",
          "mid_block.attentions.0.transformer_blocks.9: missing: the block is missing\n",
          "up_blocks.1.attentions.2.transformer_blocks.1: missing: the block is missing\n",
          "down_blocks.2.resnets.0.conv_shortcut: missing: weight is missing\n" };
  static const struct {
    TinyModel model;
    Damage damage;
    const char *says;
  } cases[] = {
    { .says = NULL },
    { .damage = { .tensor = MIDDLE "attn2.to_q.bias", "BF16", "[128]", 256, 0 },
      .says
      = MIDDLE "attn2.to_q.bias: unknown: the class for this model has no such tensor and loads no file with it\n" },
    { .damage = { .tensor = MIDDLE "ff.net.2.bias" }, .says = MIDDLE "ff.net.2: missing: bias is missing\n" },
    { .damage = { .tensor = MIDDLE "attn1.to_qkv.smooth_orig" },
      .says = MIDDLE "attn1.to_qkv: missing: smooth_orig is missing\n" },
    { { .plain = MIDDLE "attn1.to_out.0" },
      .says = MIDDLE "attn1.to_out.0: unquantized: it has a plain weight where nunchaku loads qweight\n" },
    { { .fp4 = TRUE }, .says = MIDDLE "ff.net.2: missing: wcscales is missing, which the class for SDXL needs\n" },
    { { .fp4 = TRUE },
      .says
      = MIDDLE "ff.net.2.wtscale: unknown: the class for this model has no such tensor and loads no file with it\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      TinyModel m = cases[i].model;
      g_autofree char *path = NULL, *got = NULL;

      m.kind = TINY_SDXL;
      m.damage = &cases[i].damage;
      path = tiny_write (&m, NULL, NULL);
      got = tiny_report (path, NULL);
      for (guint k = 0; k < G_N_ELEMENTS (always); k++)
        g_assert_nonnull (strstr (got, always[k]));
      if (cases[i].says == NULL)
        g_assert_true (strstr (got, "blocks.10:") == NULL && strstr (got, MIDDLE "attn1") == NULL
                       && strstr (got, MIDDLE "ff") == NULL && strstr (got, "unknown") == NULL);
      else
        g_assert_nonnull (strstr (got, cases[i].says));
    }
}

/* Tests that files of deepcompressor have no problem. It writes scales of minus zero. */
static void
test_golden (void)
{
  g_autofree char *path = golden_path ("nunchaku/flux-tiny-int4-r32.safetensors");

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    {
      g_test_skip ("this repository lacks the complete files: QCONV_TEST_GOLDEN names a folder with them");
      return;
    }
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *name = g_strdup_printf ("nunchaku/flux-tiny-%s-r32.safetensors", i == 0 ? "int4" : "fp4");
      g_autofree char *golden = golden_path (name), *got = tiny_report (golden, NULL);

      g_assert_true (*got == '\0' || strstr (got, "are minus zero\n") != NULL);
    }
}

/* Tests that a scale of minus zero is harmless if the codes of its group are zeros. */
static void
test_minus_zero (void)
{
  const Damage zeros = { .tensor = FC1 ".qweight", "I8", "[512, 64]", 32768, 0 };
  TinyModel m = { .damage = &zeros, .fp4 = TRUE };
  g_autofree char *path = tiny_write (&m, NULL, NULL), *bytes = NULL, *got = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = open_model (path, NULL);
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (model), FC1 ".wscales");
  gsize n;

  g_file_get_contents (path, &bytes, &n, &error);
  g_assert_no_error (error);
  memset (bytes + t->offset, 0x80, (gsize) t->n_bytes);
  g_file_set_contents (path, bytes, (gssize) n, &error);
  g_assert_no_error (error);
  got = tiny_report (path, NULL);
  g_assert_cmpstr (got, ==, WARN FC1 ": 4096 scales of groups of zeros are minus zero\n");
}

/* Tests modules that were left out of the quantization: nunchaku's first class loads the file and makes noise. */
static void
test_unquantized (void)
{
  static const char *const modules[] = { CONTEXT, SINGLE "out_proj" };

  for (guint i = 0; i < G_N_ELEMENTS (modules); i++)
    {
      TinyModel m = { .plain = modules[i] };
      g_autofree char *path = tiny_write (&m, NULL, NULL), *got = tiny_report (path, NULL);
      g_autofree char *want
          = g_strdup_printf ("%s: unquantized: it has a plain weight where nunchaku loads qweight\n", modules[i]);

      g_assert_cmpstr (got, ==, want);
    }
}

/* Tests names that no loader finds. */
static void
test_names (void)
{
  static const struct {
    const char *from, *to, *says;
  } cases[] = {
    { SINGLE "qkv_proj", SINGLE "attn.to_qkv",
      "names: layers have the names of nunchaku's class V2, such as " SINGLE
      "attn.to_qkv, under which neither class loads a file\n" },
    { CONTEXT ".smooth", CONTEXT ".smooth_factor",
      CONTEXT ": names: smooth_factor is called smooth in files of this model\n" },
    { CONTEXT ".lora_down", CONTEXT ".proj_down",
      CONTEXT ": names: proj_down is called lora_down in files of this model\n" },
    { DOUBLE "norm_added_k", DOUBLE "attn.norm_added_k",
      DOUBLE "norm_added_k: missing: weight is missing\n" WARN DOUBLE
             "attn.norm_added_k.weight: no class for this model has the "
             "tensor; the first ignores it, V2 loads no file with it\n" },
    { DOUBLE "norm1_context.linear.qweight", DOUBLE "norm1_context.linear.weight",
      DOUBLE "norm1_context.linear: missing: qweight is missing\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      TinyModel m = { .from = cases[i].from, .to = cases[i].to };
      g_autofree char *path = tiny_write (&m, NULL, NULL), *got = tiny_report (path, NULL);

      g_assert_cmpstr (got, ==, cases[i].says);
    }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/nunchaku/checks/good", test_good);
  g_test_add_func ("/nunchaku/checks/metadata", test_metadata);
  g_test_add_func ("/nunchaku/checks/rank", test_rank);
  g_test_add_func ("/nunchaku/checks/strict-classes", test_strict_classes);
  g_test_add_func ("/nunchaku/checks/sdxl", test_sdxl);
  g_test_add_func ("/nunchaku/checks/tensors", test_tensors);
  g_test_add_func ("/nunchaku/checks/minus-zero", test_minus_zero);
  g_test_add_func ("/nunchaku/checks/unquantized", test_unquantized);
  g_test_add_func ("/nunchaku/checks/names", test_names);
  g_test_add_func ("/nunchaku/checks/golden", test_golden);
  result = g_test_run ();
  scratch_end ();
  return result;
}
