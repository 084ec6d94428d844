/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that keys for text encoders change those of the same checkpoint, whatever names these have. */
#include <string.h>

#include "lora-fixture.h"

#define CLIP "--family clip_text --variant tiny --type f32 --set vocab=64 --set layers=1"
/* The keys name layers of the encoders: the models beside them may be small */
#define SDXL "--family sdxl --variant tiny --type f32 --set ch=32 --set ctx=64"
#define FLUX "--family flux1 --variant tiny --type f32 --set mlp=256 --set mlp1=256"
#define CLIP_L "conditioner.embedders.0.transformer."
#define CLIP_G "conditioner.embedders.1.model."
#define LAYER "text_model.encoder.layers.0."
#define T5 "text_encoders.t5xxl.transformer."
enum { HIDDEN = 256, FFN = 1024 };

/* Copies the F32 tensors of @model into a file */
static void
add_model (Builder *b, const char *model, const char *prefix)
{
  g_autoptr (QconvModel) m = open_model (model, NULL);
  const QconvDirectory *d = qconv_model_directory (m);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autoptr (GBytes) bytes = tensor_bytes (m, t->name);
      g_autofree char *name = g_strconcat (prefix, t->name, NULL);
      g_autoptr (GString) shape = g_string_new (NULL);

      for (guint axis = 0; axis < t->shape.rank; axis++)
        g_string_append_printf (shape, "%s%" G_GUINT64_FORMAT, axis > 0 ? "," : "[", t->shape.dim[axis]);
      g_string_append (shape, t->shape.rank > 0 ? "]" : "[]");
      builder_add (b, name, "F32", shape->str, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
    }
}

/* Makes a checkpoint of a diffusion model and encoders. Returns: (transfer full): its path */
static char *
make_checkpoint (const char *name, gboolean sdxl)
{
  g_autofree char *unet = lora_model (sdxl ? SDXL : FLUX);
  g_autofree char *clip = lora_model (CLIP), *made = scratch_path (name);
  g_autofree char *other
      = lora_model (sdxl ? CLIP " --naming open_clip" : "--family t5 --variant tiny --type f32 --set vocab=64");
  g_autoptr (Builder) b = builder_new ();

  if (g_file_test (made, G_FILE_TEST_EXISTS))
    return g_steal_pointer (&made);
  add_model (b, unet, "model.diffusion_model.");
  add_model (b, clip, sdxl ? CLIP_L : "text_encoders.clip_l.transformer.");
  add_model (b, other, sdxl ? CLIP_G : T5);
  return builder_write (b, name);
}

/* @key means rows [first, first + n) of @tensor; n = 0: all rows */
typedef struct {
  const char *key, *tensor;
  guint64 first, n;
} Spelling;

static const Spelling sdxl[] = {
  { "lora_te1_text_model_encoder_layers_0_mlp_fc1", CLIP_L LAYER "mlp.fc1.weight", 0, 0 },
  { "lora_te_text_model_encoder_layers_0_self_attn_q_proj", CLIP_L LAYER "self_attn.q_proj.weight", 0, 0 },
  { "text_encoder.text_model.encoder.layers.0.self_attn.out_proj", CLIP_L LAYER "self_attn.out_proj.weight", 0, 0 },
  { "clip_l.transformer.text_model.encoder.layers.0.mlp.fc2", CLIP_L LAYER "mlp.fc2.weight", 0, 0 },
  { "lora_te2_text_model_encoder_layers_0_self_attn_k_proj", CLIP_G "transformer.resblocks.0.attn.in_proj_weight",
    HIDDEN, HIDDEN },
  { "text_encoder_2.text_model.encoder.layers.0.self_attn.v_proj", CLIP_G "transformer.resblocks.0.attn.in_proj_weight",
    2 * HIDDEN, HIDDEN },
  { "lora_te2_text_model_encoder_layers_0_mlp_fc2", CLIP_G "transformer.resblocks.0.mlp.c_proj.weight", 0, 0 },
};

static const Spelling flux[] = {
  { "lora_te1_text_model_encoder_layers_0_mlp_fc1", "text_encoders.clip_l.transformer." LAYER "mlp.fc1.weight", 0, 0 },
  { "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc2",
    "text_encoders.clip_l.transformer." LAYER "mlp.fc2.weight", 0, 0 },
  { "lora_te2_encoder_block_0_layer_0_SelfAttention_q", T5 "encoder.block.0.layer.0.SelfAttention.q.weight", 0, 0 },
  { "lora_te3_encoder_block_0_layer_0_SelfAttention_k", T5 "encoder.block.0.layer.0.SelfAttention.k.weight", 0, 0 },
  { "text_encoder_2.encoder.block.1.layer.0.SelfAttention.o", T5 "encoder.block.1.layer.0.SelfAttention.o.weight", 0,
    0 },
};

/* Tests that one LoRA with all of @list changes the rows that they mean, and no other tensor */
static void
check_spellings (const char *model, const Spelling *list, guint n)
{
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL), baked = NULL;
  g_autoptr (GHashTable) wanted = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) matrix_free);
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *lora = NULL, *changes = NULL;
  g_auto (GStrv) lines = NULL;
  const char *loras[2] = { NULL };
  GHashTableIter iter;
  gpointer tensor, want;

  for (guint i = 0; i < n; i++)
    {
      Matrix *w = g_hash_table_lookup (wanted, list[i].tensor);
      g_autoptr (Matrix) up = NULL, down = NULL;

      if (w == NULL)
        g_hash_table_insert (wanted, (gpointer) list[i].tensor, w = lora_tensor (plain, list[i].tensor));
      up = matrix_noise (list[i].n > 0 ? list[i].n : w->rows, 2, 2 * i + 1);
      down = matrix_noise (2, w->cols, 2 * i + 2);
      matrix_add_product (w, list[i].first, up, down, 0.5f);
      lora_add (b, list[i].key, ".lora_up.weight", up, NULL);
      lora_add (b, list[i].key, ".lora_down.weight", down, NULL);
      lora_add_alpha (b, list[i].key, 1);
    }
  loras[0] = lora = builder_write (b, "encoder.safetensors");
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  changes = lora_changes (plain, baked);
  lines = g_strsplit (changes, "\n", -1);
  g_assert_cmpuint (g_strv_length (lines) - 1, ==, g_hash_table_size (wanted));
  g_hash_table_iter_init (&iter, wanted);
  while (g_hash_table_iter_next (&iter, &tensor, &want))
    {
      g_autoptr (Matrix) got = lora_tensor (baked, tensor);

      matrix_assert_equal (got, want);
    }
}

static void
test_sdxl (void)
{
  g_autofree char *model = make_checkpoint ("sdxl.safetensors", TRUE);

  check_spellings (model, sdxl, G_N_ELEMENTS (sdxl));
}

static void
test_flux (void)
{
  g_autofree char *model = make_checkpoint ("flux.safetensors", FALSE);

  check_spellings (model, flux, G_N_ELEMENTS (flux));
}

/* Tests a text encoder that is a file of its own */
static void
test_alone (void)
{
  const Spelling one
      = { "lora_te1_text_model_encoder_layers_0_mlp_fc1", "text_model.encoder.layers.0.mlp.fc1.weight", 0, 0 };
  g_autofree char *model = lora_model (CLIP);

  check_spellings (model, &one, 1);
}

static void
keep_warning (const char *message, gpointer text)
{
  g_string_append_printf (text, "%s\n", message);
}

/* Plans a merge into the SDXL checkpoint. Returns: (transfer full): the warnings and the error */
static char *
plan_messages (const char *model, const char *lora, const char *component)
{
  g_autofree char *output = scratch_path ("planned.safetensors");
  GString *messages = g_string_new (NULL);
  const char *loras[] = { lora, NULL };
  QconvJob job = { .target = "f32-safetensors",
                   .output = output,
                   .lora.files = loras,
                   .names.component = component,
                   .warn = keep_warning,
                   .warn_data = messages };
  g_autoptr (QconvModel) m = open_model (model, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);

  if (error != NULL)
    g_string_append (messages, error->message);
  g_assert_cmpint (plan != NULL, ==, error == NULL);
  return g_string_free (messages, FALSE);
}

static void
assert_says (const char *messages, const char *what)
{
  if (strstr (messages, what) == NULL)
    g_error ("\"%s\" does not say \"%s\"", messages, what);
}

/* Tests that keys for an encoder are left out only if it is not converted; an unknown layer of it is an error */
static void
test_left_out (void)
{
  g_autofree char *model = make_checkpoint ("sdxl.safetensors", TRUE);
  g_autoptr (Builder) b = builder_new (), odd = builder_new ();
  g_autoptr (Matrix) diff = matrix_noise (FFN, HIDDEN, 3), unet = NULL;
  g_autoptr (QconvModel) m = open_model (model, NULL);
  g_autofree char *lora = NULL, *unknown = NULL, *note = NULL, *third = NULL, *error = NULL;

  unet = lora_tensor (m, "model.diffusion_model.time_embed.0.weight");
  lora_add (b, "lora_unet_time_embed_0", ".diff", unet, NULL);
  lora_add (b, "lora_te1_text_model_encoder_layers_0_mlp_fc1", ".diff", diff, NULL);
  lora_add (b, "lora_te3_encoder_block_0_layer_0_SelfAttention_q", ".diff", diff, NULL);
  lora = builder_write (b, "left-out.safetensors");
  note = plan_messages (model, lora, "diffusion");
  assert_says (note,
               "2 keys are for a text encoder that is not among the converted layers and are left out: lora_te1_");
  third = plan_messages (model, lora, NULL);
  assert_says (third,
               "1 keys are for a text encoder that is not among the converted layers and are left out: lora_te3_");
  lora_add (odd, "lora_unet_time_embed_0", ".diff", unet, NULL);
  lora_add (odd, "lora_te1_text_model_encoder_layers_7_mlp_fc1", ".diff", diff, NULL);
  unknown = builder_write (odd, "odd.safetensors");
  error = plan_messages (model, unknown, NULL);
  assert_says (error,
               "1 of 2 keys belong to no layer of this model: lora_te1_text_model_encoder_layers_7_mlp_fc1.diff");
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/lora-encoders/sdxl", test_sdxl);
  g_test_add_func ("/lora-encoders/flux", test_flux);
  g_test_add_func ("/lora-encoders/alone", test_alone);
  g_test_add_func ("/lora-encoders/left-out", test_left_out);
  result = g_test_run ();
  scratch_end ();
  return result;
}
