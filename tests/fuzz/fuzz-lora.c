/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target for LoRAs: a structured or raw file, with or without a configuration beside it, is merged into a small
   model. */
#include "trial.h"

#define MODEL "model.safetensors"
#define LORA "adapter_model.safetensors"

/* Layers of FLUX.1, an encoder, a convolution, a norm, and a layer of no family */
static const char model[] = "img_in.weight F32 32x16\n"
                            "img_in.bias F32 32\n"
                            "txt_in.weight F32 32x24\n"
                            "txt_in.bias F32 32\n"
                            "vector_in.in_layer.weight F32 32x8\n"
                            "double_blocks.0.img_attn.qkv.weight BF16 96x32\n"
                            "double_blocks.0.img_attn.qkv.bias BF16 96\n"
                            "double_blocks.0.img_attn.proj.weight BF16 32x32\n"
                            "double_blocks.0.img_attn.norm.query_norm.scale F32 16\n"
                            "double_blocks.0.img_mlp.0.weight F16 64x32\n"
                            "double_blocks.0.img_mlp.0.bias F16 64\n"
                            "single_blocks.0.linear1.weight F32 160x32\n"
                            "single_blocks.0.linear1.bias F32 160\n"
                            "single_blocks.0.linear2.weight F32 32x96\n"
                            "final_layer.linear.weight F32 16x32\n"
                            "final_layer.linear.bias F32 16\n"
                            "conv.weight F32 16x8x3x3\n"
                            "a.norm.weight F32 32\n"
                            "a.b.weight F32 8x32\n";

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const names[] = { LORA, "adapter_config.json", MODEL, NULL };
  static const RecipeFile base = { MODEL, (const guint8 *) model, sizeof model - 1 };
  g_autoptr (Recipe) r = NULL;
  g_autofree char *path = NULL, *lora = NULL;
  g_auto (Trial) t = { 0 };

  trial_begin ();
  r = recipe_new (data, size, names, FALSE);
  if (recipe_find (r, LORA) == NULL)
    return 0;
  if (recipe_find (r, MODEL) == NULL)
    g_array_append_val (r->files, base);
  trial_write_files (r);
  path = trial_path (MODEL);
  lora = trial_path (LORA);
  t.input = path;
  t.job = r->job;
  t.job.lora.files = QCONV_LIST (lora);
  t.job.names.allow_incomplete = TRUE;
  trial_run (&t);
  return 0;
}
