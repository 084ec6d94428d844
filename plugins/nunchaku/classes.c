/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Table of nunchaku's model classes (nunchaku: nunchaku/models/transformers,
   nunchaku/models/unets). writer.c asks. */
#include "classes.h"

/* diffusers: models/transformers/transformer_flux.py */
static const NunchakuConfigMember flux1_config[] = {
  { "_class_name", "\"FluxTransformer2DModel\"" },
  { "attention_head_dim", .dim = "head_dim" },
  { "axes_dims_rope", "[16, 56, 56]" },
  { "guidance_embeds", .dim = "guidance", .logical = TRUE },
  { "in_channels", .dim = "in_ch" },
  { "joint_attention_dim", .dim = "ctx" },
  { "num_attention_heads", .dim = "hidden", .per = "head_dim" },
  { "num_layers", .dim = "depth_double" },
  { "num_single_layers", .dim = "depth_single" },
  { "out_channels", .dim = "out_ch" },
  { "patch_size", "1" },
  { "pooled_projection_dim", .dim = "vec" },
  { NULL },
};

/* ComfyUI-nunchaku: nodes/models/configs; channels are those of the latent image, a quarter of a patch's */
static const NunchakuConfigMember flux1_comfy[] = {
  { "axes_dim", "[16, 56, 56]" },
  { "context_in_dim", .dim = "ctx" },
  { "depth", .dim = "depth_double" },
  { "depth_single_blocks", .dim = "depth_single" },
  { "disable_unet_model_creation", "true" },
  { "guidance_embed", .dim = "guidance", .logical = TRUE },
  { "hidden_size", .dim = "hidden" },
  { "image_model", "\"flux\"" },
  { "in_channels", .dim = "in_ch", .by = 4 },
  { "mlp_ratio", "4.0" },
  { "num_heads", .dim = "hidden", .per = "head_dim" },
  { "out_channels", .dim = "out_ch", .by = 4 },
  { "patch_size", "2" },
  { "qkv_bias", "true" },
  { "theta", "10000" },
  { "vec_in_dim", .dim = "vec" },
  { NULL },
};

/* diffusers: models/transformers/transformer_qwenimage.py */
static const NunchakuConfigMember qwen_image_config[] = {
  { "_class_name", "\"QwenImageTransformer2DModel\"" },
  { "attention_head_dim", .dim = "head_dim" },
  { "axes_dims_rope", "[16, 56, 56]" },
  { "guidance_embeds", "false" },
  { "in_channels", .dim = "in_ch" },
  { "joint_attention_dim", .dim = "ctx" },
  { "num_attention_heads", .dim = "hidden", .per = "head_dim" },
  { "num_layers", .dim = "layers" },
  { "out_channels", .dim = "out_dim", .by = 4 },
  { "patch_size", "2" },
  { NULL },
};

/* diffusers: models/transformers/transformer_z_image.py */
static const NunchakuConfigMember z_image_config[] = {
  { "_class_name", "\"ZImageTransformer2DModel\"" },
  { "all_f_patch_size", "[1]" },
  { "all_patch_size", "[2]" },
  { "axes_dims", "[32, 48, 48]" },
  { "axes_lens", "[1536, 512, 512]" },
  { "cap_feat_dim", .dim = "ctx" },
  { "dim", .dim = "hidden" },
  { "in_channels", .dim = "in_ch", .by = 4 },
  { "n_heads", .dim = "hidden", .per = "head_dim" },
  { "n_kv_heads", .dim = "kv", .per = "head_dim" },
  { "n_layers", .dim = "layers" },
  { "n_refiner_layers", .dim = "refiners" },
  { "norm_eps", "1e-05" },
  { "qk_norm", "true" },
  { "rope_theta", "256.0" },
  { "t_scale", "1000.0" },
  { NULL },
};

/* diffusers: models/unets/unet_2d_condition.py. SDXL-Turbo has the same tensors; its published config has other words
   only for "sample_size" */
static const NunchakuConfigMember sdxl_config[] = {
  { "_class_name", "\"UNet2DConditionModel\"" },
  { "addition_embed_type", "\"text_time\"" },
  { "addition_time_embed_dim", "256" },
  { "attention_head_dim", .dim = "ch", .by = 64, .times = { 1, 2, 4 } },
  { "block_out_channels", .dim = "ch", .times = { 1, 2, 4 } },
  { "cross_attention_dim", .dim = "ctx" },
  { "down_block_types", "[\"DownBlock2D\", \"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\"]" },
  { "in_channels", .dim = "in_ch" },
  { "layers_per_block", "2" },
  { "out_channels", "4" },
  { "projection_class_embeddings_input_dim", .dim = "adm" },
  { "sample_size", "128" },
  { "transformer_layers_per_block", "[1, 2, 10]" },
  { "up_block_types", "[\"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"UpBlock2D\"]" },
  { "use_linear_projection", "true" },
  { NULL },
};

static const NunchakuRepo flux1_repos[] = {
  { "dev", "black-forest-labs/FLUX.1-dev" },
  { "dev", "black-forest-labs/FLUX.1-Kontext-dev" },
  { "dev", "black-forest-labs/FLUX.1-Krea-dev" },
  { "schnell", "black-forest-labs/FLUX.1-schnell" },
  { "fill-dev", "black-forest-labs/FLUX.1-Fill-dev" },
  { "control-dev", "black-forest-labs/FLUX.1-Canny-dev" },
  { "control-dev", "black-forest-labs/FLUX.1-Depth-dev" },
  { NULL },
};
static const NunchakuRepo qwen_image_repos[]
    = { { "image", "Qwen/Qwen-Image" }, { "image", "Qwen/Qwen-Image-Edit" }, { NULL } };
static const NunchakuRepo z_image_repos[] = { { "turbo", "Tongyi-MAI/Z-Image-Turbo" }, { NULL } };
static const NunchakuRepo sdxl_repos[] = {
  { "base-1.0", "stabilityai/stable-diffusion-xl-base-1.0" },
  { "base-1.0", "stabilityai/sdxl-turbo" },
  { "inpaint", "diffusers/stable-diffusion-xl-1.0-inpainting-0.1" },
  { NULL },
};

static const char *const blocks[] = { "transformer_blocks.*.weight", "single_transformer_blocks.*.weight", NULL };
static const char *const z_image_layers[] = { "layers.*.attention.*.weight", "layers.*.feed_forward.*.weight", NULL };
static const char *const z_image_blocks[]
    = { "layers.*.attention.*.weight", "layers.*.feed_forward.*.weight", "*_refiner.*.attention.*.weight",
        "*_refiner.*.feed_forward.*.weight", NULL };
static const char *const sdxl_blocks[]
    = { "*.transformer_blocks.*.attn1.*.weight", "*.transformer_blocks.*.attn2.to_q.weight",
        "*.transformer_blocks.*.attn2.to_out.0.weight", "*.transformer_blocks.*.ff.net.*.weight", NULL };
static const char *const nothing[] = { NULL };
static const char *const qwen_image_variants[] = { "layered", "zero_cond_t", NULL };
static const char *const z_image_variants[] = { "siglip", NULL };

static const NunchakuClass classes[] = {
  { .family = "flux1",
    .name = "NunchakuFluxTransformer2dModel",
    .config_class = "FluxTransformer2DModel",
    .part = "transformer",
    .spelling = NUNCHAKU_LORA_NAMES,
    .quantized = blocks,
    .biases = TRUE,
    .without = nothing,
    .repos = flux1_repos,
    .config = flux1_config,
    .comfy = flux1_comfy },
  { .family = "qwen_image",
    .name = "NunchakuQwenImageTransformer2DModel",
    .config_class = "QwenImageTransformer2DModel",
    .part = "transformer",
    .spelling = NUNCHAKU_PROJ_NAMES,
    .quantized = blocks,
    .biases = TRUE,
    .without = qwen_image_variants,
    .repos = qwen_image_repos,
    .config = qwen_image_config },
  { .family = "z_image",
    .naming = "nunchaku_refiners",
    .name = "NunchakuZImageTransformer2DModel",
    .config_class = "ZImageTransformer2DModel",
    .part = "transformer",
    .spelling = NUNCHAKU_PROJ_NAMES,
    .quantized = z_image_layers,
    .skip_refiners = "true",
    .without = z_image_variants,
    .repos = z_image_repos,
    .config = z_image_config },
  { .family = "z_image",
    .name = "NunchakuZImageTransformer2DModel",
    .config_class = "ZImageTransformer2DModel",
    .part = "transformer",
    .spelling = NUNCHAKU_PROJ_NAMES,
    .quantized = z_image_blocks,
    .skip_refiners = "false",
    .without = z_image_variants,
    .repos = z_image_repos,
    .config = z_image_config },
  { .family = "sdxl",
    .name = "NunchakuSDXLUNet2DConditionModel",
    .config_class = "UNet2DConditionModel",
    .part = "unet",
    .spelling = NUNCHAKU_LORA_NAMES,
    .quantized = sdxl_blocks,
    .row_scales = TRUE,
    .without = nothing,
    .repos = sdxl_repos,
    .config = sdxl_config },
};

/* Fails if the model has something that the class lacks. */
static gboolean
check_variant (const QconvOutput *o, const NunchakuClass *c, GError **error)
{
  for (guint i = 0; c->without[i] != NULL; i++)
    {
      const char *number = qconv_output_fact (o, c->without[i]), *variant = qconv_output_fact (o, "variant");

      if (number != NULL && !g_str_equal (number, "0"))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "nunchaku's class %s lacks what the variant %s has (%s)",
                           c->name, variant != NULL ? variant : "of this model", c->without[i]);
    }
  return TRUE;
}

const NunchakuClass *
nunchaku_class (const QconvOutput *o, GError **error)
{
  const char *family = qconv_output_fact (o, "family"), *naming = qconv_output_fact (o, "naming");
  g_autoptr (GString) known = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (classes); i++)
    {
      if (classes[i].naming != NULL && g_strcmp0 (naming, classes[i].naming) != 0)
        continue;
      if (g_strcmp0 (family, classes[i].family) == 0)
        return check_variant (o, &classes[i], error) ? &classes[i] : NULL;
      g_string_append_printf (known, "%s%s", i > 0 ? ", " : "", classes[i].family);
    }
  qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "nunchaku has no class for %s; it has some for %s",
              family != NULL ? family : "a model of no known family", known->str);
  return NULL;
}

gboolean
nunchaku_class_quantizes (const NunchakuClass *c, const char *name)
{
  for (guint i = 0; c->quantized[i] != NULL; i++)
    if (g_pattern_match_simple (c->quantized[i], name))
      return TRUE;
  return FALSE;
}
