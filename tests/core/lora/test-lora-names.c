/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the rows of layers that keys of LoRA files mean, in every spelling, and refusals. */
#include <string.h>

#include "lora-fixture.h"
#include "small.h"

/* One block of each kind: every spelling of a key is merged into a whole model */
#define TINY                                                                                                      \
  "--family flux1 --variant tiny --set depth_double=1 --set depth_single=1 --set hidden=128 --set mlp=256 --set " \
  "mlp1=256"                                                                                                      \
  " --type f32"
enum { HIDDEN = 128 };

/* ---- Spellings ---- */

typedef struct {
  const char *up, *down;
} Suffixes;

static const Suffixes suffixes[] = {
  { ".lora_up.weight", ".lora_down.weight" },
  { ".lora_B.weight", ".lora_A.weight" },
  { ".lora_B.default.weight", ".lora_A.default.weight" },
  { ".lora_B", ".lora_A" },
  { ".lora.up.weight", ".lora.down.weight" },
  { "_lora.up.weight", "_lora.down.weight" },
  { ".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight" },
  { ".lora_B.my-style.weight", ".lora_A.my-style.weight" },
  { ".up.weight", ".down.weight" },
};

/* @key means rows [first, first + n) of @tensor of the FLUX model */
typedef struct {
  const char *key, *tensor;
  guint64 first, n, cols;
} Spelling;

static const Spelling spellings[] = {
  { "double_blocks.0.img_attn.qkv", "double_blocks.0.img_attn.qkv.weight", 0, 384, 128 },
  { "diffusion_model.double_blocks.0.img_attn.qkv", "double_blocks.0.img_attn.qkv.weight", 0, 384, 128 },
  { "model.diffusion_model.double_blocks.0.txt_mlp.2", "double_blocks.0.txt_mlp.2.weight", 0, 128, 256 },
  { "base_model.model.double_blocks.0.txt_mlp.2", "double_blocks.0.txt_mlp.2.weight", 0, 128, 256 },
  { "base_model.model.diffusion_model.img_in", "img_in.weight", 0, 128, 64 },
  { "lora_unet_double_blocks_0_img_mod_lin", "double_blocks.0.img_mod.lin.weight", 0, 768, 128 },
  { "lycoris_single_blocks_0_linear1", "single_blocks.0.linear1.weight", 0, 640, 128 },
  { "transformer.transformer_blocks.0.attn.to_q", "double_blocks.0.img_attn.qkv.weight", 0, 128, 128 },
  { "transformer.transformer_blocks.0.attn.to_k", "double_blocks.0.img_attn.qkv.weight", 128, 128, 128 },
  { "transformer.transformer_blocks.0.attn.to_v", "double_blocks.0.img_attn.qkv.weight", 256, 128, 128 },
  { "transformer_blocks.0.attn.add_k_proj", "double_blocks.0.txt_attn.qkv.weight", 128, 128, 128 },
  { "base_model.model.transformer_blocks.0.attn.to_out.0", "double_blocks.0.img_attn.proj.weight", 0, 128, 128 },
  { "transformer_blocks.0.attn.processor.to_out", "double_blocks.0.img_attn.proj.weight", 0, 128, 128 },
  { "lora_transformer_transformer_blocks_0_attn_to_v", "double_blocks.0.img_attn.qkv.weight", 256, 128, 128 },
  { "lycoris_transformer_blocks_0_ff_net_0_proj", "double_blocks.0.img_mlp.0.weight", 0, 256, 128 },
  { "lora_unet_single_transformer_blocks_0_proj_mlp", "single_blocks.0.linear1.weight", 384, 256, 128 },
  { "transformer.single_transformer_blocks.0.attn.to_q", "single_blocks.0.linear1.weight", 0, 128, 128 },
  { "diffusion_model.double_blocks.0.processor.qkv_lora1", "double_blocks.0.img_attn.qkv.weight", 0, 384, 128 },
  { "double_blocks.0.processor.proj_lora2", "double_blocks.0.txt_attn.proj.weight", 0, 128, 128 },
  { "double_blocks.0.processor.qkv_lora2", "double_blocks.0.txt_attn.qkv.weight", 0, 384, 128 },
  { "double_blocks.0.processor.proj_lora1", "double_blocks.0.img_attn.proj.weight", 0, 128, 128 },
  { "single_blocks.0.processor.proj_lora", "single_blocks.0.linear2.weight", 0, 128, 384 },
  { "single_blocks.0.processor.qkv_lora", "single_blocks.0.linear1.weight", 0, 384, 128 },
  { "diffusion_model.single_blocks.0.linear1_qkv", "single_blocks.0.linear1.weight", 0, 384, 128 },
  { "transformer.single_transformer_blocks.0.attn.to_k", "single_blocks.0.linear1.weight", 128, 128, 128 },
  { "lora_transformer_single_transformer_blocks_0_attn_to_v", "single_blocks.0.linear1.weight", 256, 128, 128 },
  { "lycoris_single_transformer_blocks_0_proj_mlp", "single_blocks.0.linear1.weight", 384, 256, 128 },
  { "transformer.single_transformer_blocks.0.proj_out", "single_blocks.0.linear2.weight", 0, 128, 384 },
  { "transformer.single_transformer_blocks.0.norm.linear", "single_blocks.0.modulation.lin.weight", 0, 384, 128 },
  { "transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", "single_blocks.0.linear1.weight", 0, 640, 128 },
  { "transformer.single_transformer_blocks.0.attn.to_out", "single_blocks.0.linear2.weight", 0, 128, 384 },
};

static char *
write_product (const char *key, const Suffixes *suffix, const Matrix *up, const Matrix *down)
{
  g_autoptr (Builder) b = builder_new ();

  lora_add (b, key, suffix->up, up, NULL);
  lora_add (b, key, suffix->down, down, NULL);
  return builder_write (b, "spelled.safetensors");
}

static void
test_spellings (gconstpointer arguments)
{
  g_autofree char *model = lora_model (arguments);
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", "original", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (spellings); i += test_is_small () ? 4 : 1)
    {
      const Spelling *s = &spellings[i];
      g_autoptr (Matrix) up = matrix_noise (s->n, 2, 2 * i + 1), down = matrix_noise (2, s->cols, 2 * i + 2);
      g_autofree char *lora = write_product (s->key, &suffixes[i % G_N_ELEMENTS (suffixes)], up, down);
      const char *loras[] = { lora, NULL };
      g_autoptr (QconvModel) baked = lora_bake (model, "f32-safetensors", "original", loras);
      g_autoptr (Matrix) want = lora_tensor (plain, s->tensor), got = lora_tensor (baked, s->tensor);
      g_autofree char *changes = lora_changes (plain, baked), *line = g_strconcat (s->tensor, "\n", NULL);

      g_assert_cmpstr (changes, ==, line);
      matrix_add_product (want, s->first, up, down, 1);
      matrix_assert_equal (got, want);
    }
}

/* Tests a layer whose halves diffusers has in the opposite order */
static void
test_swapped (void)
{
  g_autofree char *model = lora_model (TINY), *lora = NULL;
  const char *name = "final_layer.adaLN_modulation.1.weight", *loras[2] = { NULL };
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL), baked = NULL;
  g_autoptr (Matrix) diff = matrix_noise (2 * HIDDEN, HIDDEN, 5), want = lora_tensor (plain, name), got = NULL;
  g_autoptr (Builder) b = builder_new ();
  const gsize half = HIDDEN * HIDDEN;

  lora_add (b, "transformer.norm_out.linear", ".diff", diff, NULL);
  loras[0] = lora = builder_write (b, "swapped.safetensors");
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  for (gsize i = 0; i < 2 * half; i++)
    want->items[i] += diff->items[(i + half) % (2 * half)];
  got = lora_tensor (baked, name);
  matrix_assert_equal (got, want);
}

/* Copies @part into @m, from row @first and column @col on */
static void
put_block (Matrix *m, gsize first, gsize col, const Matrix *part)
{
  for (gsize i = 0; i < part->rows; i++)
    memcpy (m->items + (first + i) * m->cols + col, part->items + i * part->cols, part->cols * sizeof *part->items);
}

static Matrix *
matrix_zeros (gsize rows, gsize cols)
{
  Matrix *m = g_new (Matrix, 1);

  *m = (Matrix) { rows, cols, g_new0 (float, rows *cols) };
  return m;
}

/* Tests that a LoRA for q, k and v one by one gives the same weights as a LoRA for the fused layer, for any names of
   the source and of the output */
static void
test_fused (gconstpointer arguments)
{
  static const char *const parts[] = { "to_q", "to_k", "to_v" };
  static const char *const namings[] = { "original", "diffusers" };
  g_autofree char *model = lora_model (arguments);
  g_autoptr (Builder) split = builder_new (), fused = builder_new ();
  g_autoptr (Matrix) up = matrix_zeros (3 * HIDDEN, 6), down = matrix_zeros (6, HIDDEN);
  g_autofree char *a = NULL, *b = NULL;

  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (Matrix) u = matrix_noise (HIDDEN, 2, i + 31), d = matrix_noise (2, HIDDEN, i + 41);
      g_autofree char *layer = g_strconcat ("transformer.transformer_blocks.0.attn.", parts[i], NULL);

      put_block (up, i * HIDDEN, 2 * i, u);
      put_block (down, 2 * i, 0, d);
      lora_add (split, layer, ".lora_B.weight", u, NULL);
      lora_add (split, layer, ".lora_A.weight", d, NULL);
    }
  lora_add (fused, "diffusion_model.double_blocks.0.img_attn.qkv", ".lora_B.weight", up, NULL);
  lora_add (fused, "diffusion_model.double_blocks.0.img_attn.qkv", ".lora_A.weight", down, NULL);
  a = builder_write (split, "split.safetensors");
  b = builder_write (fused, "fused.safetensors");
  for (guint i = 0; i < G_N_ELEMENTS (namings); i++)
    {
      const char *one[] = { a, NULL }, *other[] = { b, NULL };
      g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", namings[i], NULL);
      g_autoptr (QconvModel) x = lora_bake (model, "f32-safetensors", namings[i], one);
      g_autoptr (QconvModel) y = lora_bake (model, "f32-safetensors", namings[i], other);
      g_autofree char *changes = lora_changes (plain, x), *differences = lora_changes (x, y);
      g_auto (GStrv) lines = g_strsplit (changes, "\n", -1);

      g_assert_cmpuint (g_strv_length (lines) - 1, ==, i == 0 ? 1 : 3);
      g_assert_cmpstr (differences, ==, "");
    }
}

/* ---- Refusals ---- */

typedef struct {
  const char *title, *suffix, *shape, *more, *more_shape;
  QconvError code;
  const char *text;
} Refusal;

#define LAYER "double_blocks.0.img_attn.proj"

static const Refusal refusals[] = {
  { "dora", ".dora_scale", "[128,1]", NULL, NULL, QCONV_ERROR_UNSUPPORTED, "DoRA cannot be merged" },
  { "peft-dora", ".lora_magnitude_vector", "[128]", NULL, NULL, QCONV_ERROR_UNSUPPORTED, "DoRA cannot be merged" },
  { "mid-alone", ".lora_mid.weight", "[2,2,1,1]", NULL, NULL, QCONV_ERROR_INPUT, "a factor of the LoRA is missing" },
  { "reshape", ".reshape_weight", "[2]", NULL, NULL, QCONV_ERROR_UNSUPPORTED, "reshape_weight" },
  { "replace-shape", ".set_weight", "[128,64]", NULL, NULL, QCONV_ERROR_INPUT, "the LoRA has 128 × 64 items" },
  { "glora", ".a1.weight", "[2,2]", NULL, NULL, QCONV_ERROR_UNSUPPORTED, "GLoRA" },
  { "tucker", ".hada_t1", "[2,2,3,3]", NULL, NULL, QCONV_ERROR_UNSUPPORTED, "Tucker" },
  { "up-alone", ".lora_up.weight", "[128,2]", NULL, NULL, QCONV_ERROR_INPUT,
    LAYER ": a factor of the LoRA is missing" },
  { "alpha-alone", ".alpha", "[]", NULL, NULL, QCONV_ERROR_INPUT, "a factor of the LoRA is missing" },
  { "loha-half", ".hada_w1_a", "[128,2]", ".hada_w1_b", "[2,128]", QCONV_ERROR_INPUT,
    "a factor of the LoRA is missing" },
  { "lokr-half", ".lokr_w1", "[8,8]", ".lokr_w2_a", "[32,2]", QCONV_ERROR_INPUT, "a factor of the LoRA is missing" },
  { "ranks", ".lora_up.weight", "[128,2]", ".lora_down.weight", "[3,128]", QCONV_ERROR_INPUT,
    "lora_up.weight has 2 columns" },
  { "shape", ".lora_up.weight", "[64,2]", ".lora_down.weight", "[2,128]", QCONV_ERROR_INPUT,
    "the LoRA has 64 × 128 items, \"" LAYER ".weight\" has 128 × 128" },
  { "diff-shape", ".diff", "[128,64]", NULL, NULL, QCONV_ERROR_INPUT, "the LoRA has 128 × 64 items" },
  { "bias-shape", ".diff_b", "[7]", NULL, NULL, QCONV_ERROR_INPUT, "the LoRA has 7 × 1 items" },
  { "lokr-shape", ".lokr_w1", "[8,8]", ".lokr_w2", "[8,8]", QCONV_ERROR_INPUT, "the LoRA has 64 × 64 items" },
  { "twice", ".lora_up.weight", "[128,2]", ".lora_B.weight", "[128,2]", QCONV_ERROR_INPUT, "have the same role" },
  { "unknown-suffix", ".nonsense", "[2]", NULL, NULL, QCONV_ERROR_OPTION, "none of its 1 keys" },
};

static gsize
items_of (const char *shape)
{
  g_auto (GStrv) dims = g_strsplit (shape + 1, ",", -1);
  gsize n = 1;

  for (char **d = dims; *d != NULL; d++)
    n *= **d == ']' ? 1 : (gsize) g_ascii_strtoull (*d, NULL, 10);
  return n;
}

static void
assert_refused (const char *lora, const char *target, QconvError code, const char *const *texts)
{
  g_autofree char *model = lora_model (TINY), *output = scratch_path ("refused.safetensors");
  const char *loras[] = { lora, NULL };
  const QconvJob job = { .target = target, .output = output, .lora.files = loras };
  g_autofree char *message = job_refusal (model, &job, code);

  for (; *texts != NULL; texts++)
    if (strstr (message, *texts) == NULL)
      g_error ("\"%s\" does not say \"%s\"", message, *texts);
}

static void
test_refused (gconstpointer data)
{
  const Refusal *r = data;
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *first = g_strconcat (LAYER, r->suffix, NULL), *lora = NULL;

  builder_add (b, first, "F32", r->shape, NULL, 4 * items_of (r->shape));
  if (r->more != NULL)
    {
      g_autofree char *second = g_strconcat (LAYER, r->more, NULL);

      builder_add (b, second, "F32", r->more_shape, NULL, 4 * items_of (r->more_shape));
    }
  lora = builder_write (b, "bad.safetensors");
  assert_refused (lora, "f32-safetensors", r->code, QCONV_LIST (r->text, "bad.safetensors"));
}

static void
test_refused_numbers (void)
{
  g_autoptr (Builder) integers = builder_new (), infinite = builder_new (), both = builder_new ();
  g_autoptr (Matrix) diff = matrix_noise (HIDDEN, HIDDEN, 3);
  g_autofree char *a = NULL, *b = NULL, *c = NULL;

  builder_add (integers, LAYER ".diff", "I32", "[128,128]", NULL, HIDDEN * HIDDEN * 4);
  a = builder_write (integers, "integers.safetensors");
  assert_refused (a, "f32-safetensors", QCONV_ERROR_UNSUPPORTED, QCONV_LIST ("not floats"));
  diff->items[HIDDEN * HIDDEN - 1] = 1e38f * 1e38f;
  lora_add (infinite, LAYER, ".diff", diff, NULL);
  b = builder_write (infinite, "infinite.safetensors");
  assert_refused (b, "f32-safetensors", QCONV_ERROR_NON_FINITE, QCONV_LIST (LAYER));
  assert_refused (b, "nvfp4-comfy", QCONV_ERROR_NON_FINITE, QCONV_LIST (LAYER));
  assert_refused (b, "copy-safetensors", QCONV_ERROR_OPTION, QCONV_LIST ("no LoRA can be merged"));
  lora_add (both, LAYER, ".diff", diff, NULL);
  lora_add (both, "transformer.transformer_blocks.0.attn.to_out.0", ".diff", diff, NULL);
  c = builder_write (both, "both.safetensors");
  assert_refused (c, "f32-safetensors", QCONV_ERROR_INPUT, QCONV_LIST ("mean the same layer"));
}

static void
keep_warning (const char *message, gpointer text)
{
  g_string_append (text, message);
}

/* Tests that keys that belong to no layer are an error, or with lora_partial a warning */
static void
test_partial (void)
{
  g_autofree char *model = lora_model (TINY), *output = scratch_path ("refused.safetensors"), *lora = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (Matrix) diff = matrix_noise (HIDDEN, HIDDEN, 3);
  const char *loras[2] = { NULL };
  g_autoptr (GString) warnings = g_string_new (NULL);
  QconvJob job = {
    .target = "f32-safetensors", .output = output, .lora.files = loras, .warn = keep_warning, .warn_data = warnings
  };
  g_autoptr (QconvModel) m = open_model (model, NULL);
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GError) error = NULL;

  lora_add (b, LAYER, ".diff", diff, NULL);
  lora_add (b, "double_blocks.66.img_attn.proj", ".diff", diff, NULL);
  lora_add (b, "double_blocks.77.img_attn.proj", ".dora_scale", diff, NULL);
  loras[0] = lora = builder_write (b, "partial.safetensors");
  assert_job_refused (model, &job, QCONV_ERROR_OPTION,
                      "2 of 3 keys belong to no layer of this model: "
                      "double_blocks.66.img_attn.proj.diff");
  job.lora.partial = TRUE;
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  g_assert_nonnull (strstr (warnings->str, "2 of 3 keys"));
}

/* Plans with a LoRA file that has @metadata; @told: TRUE if it must warn of the strength that diffusers would use */
static void
check_metadata (const char *metadata, gboolean with_alpha, gboolean told)
{
  g_autofree char *model = lora_model (TINY), *output = scratch_path ("refused.safetensors");
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, 2, 3), down = matrix_noise (2, HIDDEN, 4);
  g_autoptr (GString) warnings = g_string_new (NULL);
  g_autoptr (QconvModel) m = open_model (model, NULL);
  g_autofree char *lora = NULL, *text = NULL;
  const char *loras[2] = { NULL };
  QconvJob job = {
    .target = "f32-safetensors", .output = output, .lora.files = loras, .warn = keep_warning, .warn_data = warnings
  };
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GError) error = NULL;

  builder_add_metadata (b, "lora_adapter_metadata", metadata);
  lora_add (b, LAYER, ".lora_B.weight", up, NULL);
  lora_add (b, LAYER, ".lora_A.weight", down, NULL);
  if (with_alpha)
    lora_add_alpha (b, LAYER, 1);
  lora = builder_write (b, "metadata.safetensors");
  loras[0] = text = g_strconcat (lora, ":3", NULL);
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  g_assert_cmpint (strstr (warnings->str, "use strength 1.5") != NULL, ==, told);
}

/* Tests that an alpha in the metadata, which only diffusers applies, is a warning */
static void
test_metadata (void)
{
  static const char *const odd[] = { "{\"transformer.lora_alpha\": [1], \"transformer.r\": {\"a\": 1}}",
                                     "{\"transformer.lora_alpha\": \"1\", \"transformer.r\": null}" };
  const char *good = "{\"text_encoder.lora_alpha\": 9, \"transformer.lora_alpha\": 1, \"transformer.r\": 2}";
  g_autofree char *nested = g_strnfill (300000, '[');

  check_metadata (good, FALSE, TRUE);
  check_metadata (good, TRUE, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (odd); i++)
    check_metadata (odd[i], FALSE, FALSE);
  check_metadata (nested, FALSE, FALSE);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_data_func ("/lora-names/spellings/original", TINY, test_spellings);
  g_test_add_data_func ("/lora-names/spellings/diffusers", TINY " --naming diffusers", test_spellings);
  g_test_add_func ("/lora-names/swapped", test_swapped);
  g_test_add_data_func ("/lora-names/fused/original", TINY, test_fused);
  g_test_add_data_func ("/lora-names/fused/diffusers", TINY " --naming diffusers", test_fused);
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autofree char *path = g_strconcat ("/lora-names/refused/", refusals[i].title, NULL);

      g_test_add_data_func (path, &refusals[i], test_refused);
    }
  g_test_add_func ("/lora-names/refused/numbers", test_refused_numbers);
  g_test_add_func ("/lora-names/partial", test_partial);
  g_test_add_func ("/lora-names/metadata", test_metadata);
  result = g_test_run ();
  scratch_end ();
  return result;
}
