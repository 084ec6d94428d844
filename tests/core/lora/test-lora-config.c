/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests an alpha that stands outside a LoRA's tensors, LoRAs in folders, and what a LoRA may leave out. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "lora-fixture.h"

#define TINY \
  "--family flux1 --variant tiny --set depth_double=1 --set depth_single=1 --set mlp=256 --set mlp1=256 --type f32"
#define LAYER "double_blocks.0.img_attn.proj"
#define PEFT "base_model.model."
enum { HIDDEN = 256, RANK = 4 };

/* Writes PEFT's LoRA for one layer into a folder of its own, with @config (nullable) beside it. Returns: (transfer
   full): the folder */
static char *
write_peft (const char *name, const char *config, const Matrix *bias)
{
  g_autofree char *inside = g_build_filename (name, "adapter_model.safetensors", NULL), *path = NULL;
  g_autofree char *beside = NULL;
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, RANK, 1), down = matrix_noise (RANK, HIDDEN, 2);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (GError) error = NULL;
  char *folder = scratch_path (name);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  lora_add (b, PEFT LAYER, ".lora_B.my-style.weight", up, NULL);
  lora_add (b, PEFT LAYER, ".lora_A.my-style.weight", down, NULL);
  if (bias != NULL)
    lora_add (b, PEFT LAYER, ".lora_B.my-style.bias", bias, NULL);
  path = builder_write (b, inside);
  beside = g_build_filename (folder, "adapter_config.json", NULL);
  if (config != NULL)
    g_file_set_contents (beside, config, -1, &error);
  g_assert_no_error (error);
  return folder;
}

static const struct {
  const char *name, *config;
  double factor;
} configs[] = {
  { "alpha", "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 32}", 8 },
  { "fraction", "{\"lora_alpha\": 2.5, \"use_rslora\": false, \"init_lora_weights\": true}", 0.625 },
  { "root", "{\"lora_alpha\": 8, \"use_rslora\": true}", 4 },
  { "lycoris", "{\"alpha\": 2}", 0.5 },
  { "pattern", "{\"lora_alpha\": 8, \"alpha_pattern\": {\"img_attn\": 1, \"img_attn.proj\": 2, \".*\": 3}}", 0.5 },
  { "root-pattern", "{\"lora_alpha\": 8, \"use_rslora\": true, \"alpha_pattern\": {\"double_blocks.*\": 6}}", 3 },
  { "rank", "{\"r\": 99, \"rank_pattern\": {\".*\": 7}, \"lora_alpha\": 8}", 2 },
  { "no-pattern", "{\"lora_alpha\": 8, \"alpha_pattern\": {\"attn.pro\": 2, \"proj.x\": 1}}", 2 },
};

/* Tests that the alpha beside the file scales the product as PEFT scales it, for the file and for its folder */
static void
test_factor (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *model = lora_model (TINY), *folder = write_peft (configs[i].name, configs[i].config, NULL);
  g_autofree char *file = g_build_filename (folder, "adapter_model.safetensors", NULL);
  g_autofree char *half = g_strconcat (folder, ":0.5", NULL);
  const char *paths[] = { file, folder, half };
  const double strengths[] = { 1, 1, 0.5 };
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, RANK, 1), down = matrix_noise (RANK, HIDDEN, 2);
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL);

  for (guint j = 0; j < G_N_ELEMENTS (paths); j++)
    {
      const char *loras[] = { paths[j], NULL };
      g_autoptr (QconvModel) baked = lora_bake (model, "f32-safetensors", NULL, loras);
      g_autoptr (Matrix) want = lora_tensor (plain, LAYER ".weight"), got = lora_tensor (baked, LAYER ".weight");

      matrix_add_product (want, 0, up, down, (float) (strengths[j] * configs[i].factor));
      matrix_assert_equal (got, want);
    }
}

/* Tests that the bias of the second factor is scaled as the product is */
static void
test_bias (void)
{
  g_autoptr (Matrix) bias = matrix_noise (HIDDEN, 1, 3);
  g_autofree char *model = lora_model (TINY), *folder = write_peft ("bias", "{\"lora_alpha\": 2}", bias);
  const char *loras[] = { folder, NULL };
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL);
  g_autoptr (QconvModel) baked = lora_bake (model, "f32-safetensors", NULL, loras);
  g_autoptr (Matrix) want = lora_tensor (plain, LAYER ".bias"), got = lora_tensor (baked, LAYER ".bias");

  for (gsize i = 0; i < HIDDEN; i++)
    want->items[i] += 0.5f * bias->items[i];
  matrix_assert_equal (got, want);
}

static void
keep_warning (const char *message, gpointer text)
{
  g_string_append_printf (text, "%s\n", message);
}

/* Plans a merge. Returns: (transfer full): the warnings and the error, each followed by a line feed */
static char *
plan_messages (const char *lora, gboolean partial, gboolean right)
{
  g_autofree char *model = lora_model (TINY), *output = scratch_path ("planned.safetensors");
  GString *messages = g_string_new (NULL);
  const char *loras[] = { lora, NULL };
  QconvJob job = { .target = "f32-safetensors",
                   .output = output,
                   .lora.files = loras,
                   .lora.partial = partial,
                   .warn = keep_warning,
                   .warn_data = messages };
  g_autoptr (QconvModel) m = open_model (model, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);

  if (error != NULL)
    g_string_append_printf (messages, "%s\n", error->message);
  if ((plan != NULL) != right)
    g_error ("%s", messages->str);
  return g_string_free (messages, FALSE);
}

static void
assert_says (const char *messages, const char *what)
{
  if (strstr (messages, what) == NULL)
    g_error ("\"%s\" does not say \"%s\"", messages, what);
}

static const struct {
  const char *name, *config;
  double factor;
} kroneckers[] = {
  { "stated", "{\"peft_type\": \"LOKR\", \"r\": 8, \"alpha\": 4}", 0.5 },
  { "patterns", "{\"r\": 8, \"alpha\": 4, \"rank_pattern\": {\"proj\": 2}, \"alpha_pattern\": {\"proj\": 6}}", 3 },
};

/* Tests that PEFT's alpha and rank scale a Kronecker product whose factors do not show the rank */
static void
test_kronecker (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *name = g_strconcat ("lokr-", kroneckers[i].name, NULL), *folder = scratch_path (name);
  g_autofree char *inside = g_build_filename (name, "adapter_model.safetensors", NULL), *path = NULL;
  g_autofree char *beside = g_build_filename (folder, "adapter_config.json", NULL), *model = lora_model (TINY);
  g_autoptr (Matrix) outer = matrix_noise (8, 16, 15), inner = matrix_noise (32, 16, 16), want = NULL, got = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL), baked = NULL;
  const char *loras[] = { folder, NULL };

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  lora_add (b, PEFT LAYER, ".lokr_w1", outer, NULL);
  lora_add (b, PEFT LAYER, ".lokr_w2", inner, NULL);
  path = builder_write (b, inside);
  g_assert_true (g_file_set_contents (beside, kroneckers[i].config, -1, NULL));
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  want = lora_tensor (plain, LAYER ".weight");
  got = lora_tensor (baked, LAYER ".weight");
  for (gsize j = 0; j < HIDDEN * HIDDEN; j++)
    {
      gsize row = j / HIDDEN, col = j % HIDDEN;
      volatile float product = outer->items[row / 32 * 16 + col / 16] * inner->items[row % 32 * 16 + col % 16];
      volatile float scaled = (float) kroneckers[i].factor * product;

      want->items[j] += scaled;
    }
  matrix_assert_equal (got, want);
}

/* Tests that a file from which the strength cannot be known is refused, and that a missing one is a warning */
static void
test_refused (void)
{
  static const struct {
    const char *config, *says;
  } cases[] = {
    { "{", "adapter_config.json" },
    { "[]", "not a JSON object" },
    { "{\"r\": 4}", "lora_alpha" },
    { "{\"lora_alpha\": \"8\"}", "lora_alpha" },
    { "{\"lora_alpha\": 1e300}", "lora_alpha" },
    { "{\"lora_alpha\": 8, \"alpha_pattern\": {\"(\": 1}}", "alpha_pattern" },
    { "{\"lora_alpha\": 8, \"alpha_pattern\": {\"a\": null}}", "alpha_pattern" },
    { "{\"lora_alpha\": 8, \"rank_pattern\": {\"a\": \"4\"}}", "rank_pattern" },
    { "{\"lora_alpha\": 8, \"alpha_pattern\": {\"(([a-z_.0-9]+)+)+[!?]\": 1}}", "limit" },
    { "{\"lora_alpha\": 8, \"fan_in_fan_out\": true}", "fan_in_fan_out" },
    { "{\"lora_alpha\": 8, \"init_lora_weights\": \"pissa_niter_4\"}", "pissa" },
  };
  g_autofree char *alone = write_peft ("alone", NULL, NULL), *messages = plan_messages (alone, FALSE, TRUE);

  assert_says (messages, "adapter_config.json is not beside it");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *folder = write_peft ("refused", cases[i].config, NULL);
      g_autofree char *error = plan_messages (folder, TRUE, FALSE);

      assert_says (error, cases[i].says);
    }
}

/* Tests that alpha and rank in the keys of the metadata are a warning with the strength that would apply them */
static void
test_header (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, 2, 3), down = matrix_noise (2, HIDDEN, 4);
  g_autofree char *lora = NULL, *messages = NULL, *other = NULL, *root = NULL, *several = NULL, *own = NULL;
  g_autoptr (Builder) diffusers = builder_new (), patterns = builder_new ();

  builder_add_metadata (b, "ss_network_alpha", "1.0");
  builder_add_metadata (b, "ss_network_dim", "4");
  lora_add (b, "lora_unet_double_blocks_0_img_attn_proj", ".lora_up.weight", up, NULL);
  lora_add (b, "lora_unet_double_blocks_0_img_attn_proj", ".lora_down.weight", down, NULL);
  lora = builder_write (b, "header.safetensors");
  messages = plan_messages (lora, FALSE, TRUE);
  assert_says (messages, "use strength 0.25");
  builder_add_metadata (diffusers, "lora_adapter_metadata",
                        "{\"transformer.lora_alpha\": 8, \"transformer.r\": 4, \"transformer.use_rslora\": true}");
  lora_add (diffusers, "transformer.transformer_blocks.0.attn.to_out.0", ".lora_B.weight", up, NULL);
  lora_add (diffusers, "transformer.transformer_blocks.0.attn.to_out.0", ".lora_A.weight", down, NULL);
  other = builder_write (diffusers, "root.safetensors");
  root = plan_messages (other, FALSE, TRUE);
  assert_says (root, "use strength 4");
  builder_add_metadata (
      patterns, "lora_adapter_metadata",
      "{\"transformer.lora_alpha\": 8, \"transformer.r\": 4, \"transformer.rank_pattern\": {\"a\": 2}}");
  lora_add (patterns, LAYER, ".lora_B.weight", up, NULL);
  lora_add (patterns, LAYER, ".lora_A.weight", down, NULL);
  several = builder_write (patterns, "patterns.safetensors");
  own = plan_messages (several, FALSE, TRUE);
  assert_says (own, "no single strength applies it");
}

/* Tests that a layer of another shape is left out only if the user allows it, and only if another layer fits */
static void
test_misfit (void)
{
  g_autoptr (Builder) b = builder_new (), alone = builder_new ();
  g_autoptr (Matrix) fits = matrix_noise (HIDDEN, HIDDEN, 3), narrow = matrix_noise (HIDDEN, HIDDEN - 64, 4);
  g_autofree char *lora = NULL, *only = NULL, *error = NULL, *warning = NULL, *nothing = NULL;

  lora_add (b, LAYER, ".diff", fits, NULL);
  lora_add (b, "double_blocks.0.txt_attn.proj", ".diff", narrow, NULL);
  lora_add (alone, "double_blocks.0.txt_attn.proj", ".diff", narrow, NULL);
  lora = builder_write (b, "misfit.safetensors");
  only = builder_write (alone, "only.safetensors");
  error = plan_messages (lora, FALSE, FALSE);
  assert_says (error, "double_blocks.0.txt_attn.proj: the LoRA has 256 × 192 items");
  warning = plan_messages (lora, TRUE, TRUE);
  assert_says (warning,
               "1 layers for which it has another shape are left out: double_blocks.0.txt_attn.proj; the first");
  nothing = plan_messages (only, TRUE, FALSE);
  assert_says (nothing, "fits no layer");
}

/* Tests that keys of a text encoder are left out with a note, and that a bias for a layer without one is refused by
   what it is */
static void
test_others (void)
{
  g_autoptr (Builder) b = builder_new (), biased = builder_new ();
  g_autoptr (Matrix) diff = matrix_noise (HIDDEN, HIDDEN, 3), bias = matrix_noise (HIDDEN, 1, 4);
  g_autofree char *lora = NULL, *other = NULL, *note = NULL, *error = NULL, *left_out = NULL;

  lora_add (b, LAYER, ".diff", diff, NULL);
  lora_add (b, "lora_te1_text_model_encoder_layers_0_mlp_fc1", ".diff", diff, NULL);
  lora_add (b, "text_encoder.layers.0.fc1", ".weight", diff, NULL);
  lora = builder_write (b, "others.safetensors");
  note = plan_messages (lora, FALSE, TRUE);
  assert_says (note, "2 keys are for a text encoder");
  lora_add (biased, LAYER, ".diff", diff, NULL);
  lora_add (biased, "double_blocks.0.img_attn.norm.key_norm.scale", ".diff_b", bias, NULL);
  other = builder_write (biased, "biased.safetensors");
  error = plan_messages (other, FALSE, FALSE);
  assert_says (error, "1 of 2 keys change a bias that their layer lacks: double_blocks.0.img_attn.norm.key_norm.scale");
  left_out = plan_messages (other, TRUE, TRUE);
  assert_says (left_out, "1 keys change a bias that their layer lacks and are left out");
}

/* Tests that whole tensors and set_weight replace those of the model, whatever the strength is */
static void
test_replaced (void)
{
  static const struct {
    const char *layer, *suffix, *tensor;
  } whole[] = {
    { PEFT "double_blocks.0.txt_attn.proj", ".weight", "double_blocks.0.txt_attn.proj.weight" },
    { PEFT "double_blocks.0.txt_attn.proj", ".bias", "double_blocks.0.txt_attn.proj.bias" },
    { PEFT "final_layer.linear", ".modules_to_save.default.weight", "final_layer.linear.weight" },
    { PEFT "final_layer.linear", ".modules_to_save.default.bias", "final_layer.linear.bias" },
    { "transformer.x_embedder", ".set_weight", "img_in.weight" },
    { "transformer.transformer_blocks.0.attn.to_k", ".set_weight", "double_blocks.0.img_attn.qkv.weight" },
    { "double_blocks.0.img_attn.norm.key_norm.scale", "", "double_blocks.0.img_attn.norm.key_norm.scale" },
    { "double_blocks.0.txt_attn.norm.key_norm", ".set_weight", "double_blocks.0.txt_attn.norm.key_norm.scale" },
  };
  enum { PART = 5 }; /* of which only the rows of k are replaced */
  g_autofree char *model = lora_model (TINY), *lora = NULL, *half = NULL, *messages = NULL;
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL), baked = NULL;
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, RANK, 1), down = matrix_noise (RANK, HIDDEN, 2);
  const char *loras[2] = { NULL };

  lora_add (b, LAYER, ".lora_up.weight", up, NULL);
  lora_add (b, LAYER, ".lora_down.weight", down, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (whole); i++)
    {
      g_autoptr (Matrix) w = lora_tensor (plain, whole[i].tensor);
      g_autoptr (Matrix) with = matrix_noise (i == PART ? HIDDEN : w->rows, w->cols, 50 + i);

      lora_add (b, whole[i].layer, whole[i].suffix, with, NULL);
    }
  lora = builder_write (b, "replaced.safetensors");
  loras[0] = half = g_strconcat (lora, ":0.5", NULL);
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  for (guint i = 0; i < G_N_ELEMENTS (whole); i++)
    {
      g_autoptr (Matrix) want = lora_tensor (plain, whole[i].tensor), got = lora_tensor (baked, whole[i].tensor);
      g_autoptr (Matrix) with = matrix_noise (i == PART ? HIDDEN : want->rows, want->cols, 50 + i);

      memcpy (want->items + (i == PART ? HIDDEN * HIDDEN : 0), with->items,
              with->rows * with->cols * sizeof *with->items);
      matrix_assert_equal (got, want);
    }
  messages = plan_messages (half, FALSE, TRUE);
  assert_says (messages, "8 tensors replace those of the model, whatever the strength is");
}

/* Tests that diff_m changes the modulation of a block */
static void
test_modulation (void)
{
  g_autofree char *model = lora_model ("--family wan --variant tiny-t2v --type f32 --set ctx=256"), *lora = NULL,
                  *changes = NULL;
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL);
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (plain), "blocks.1.modulation");
  g_autofree char *shape = g_strdup_printf ("[1,6,%" G_GUINT64_FORMAT "]", t->shape.dim[2]);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (Matrix) diff = matrix_noise (6, (gsize) t->shape.dim[2], 3);
  g_autoptr (QconvModel) baked = NULL;
  const char *loras[2] = { NULL };

  lora_add (b, "diffusion_model.blocks.1", ".diff_m", diff, shape);
  loras[0] = lora = builder_write (b, "modulation.safetensors");
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  changes = lora_changes (plain, baked);
  g_assert_cmpstr (changes, ==, "blocks.1.modulation\n");
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (configs); i++)
    {
      g_autofree char *path = g_strconcat ("/lora-config/factor/", configs[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_factor);
    }
  for (guint i = 0; i < G_N_ELEMENTS (kroneckers); i++)
    {
      g_autofree char *path = g_strconcat ("/lora-config/kronecker/", kroneckers[i].name, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_kronecker);
    }
  g_test_add_func ("/lora-config/bias", test_bias);
  g_test_add_func ("/lora-config/refused", test_refused);
  g_test_add_func ("/lora-config/header", test_header);
  g_test_add_func ("/lora-config/misfit", test_misfit);
  g_test_add_func ("/lora-config/others", test_others);
  g_test_add_func ("/lora-config/replaced", test_replaced);
  g_test_add_func ("/lora-config/modulation", test_modulation);
  result = g_test_run ();
  scratch_end ();
  return result;
}
