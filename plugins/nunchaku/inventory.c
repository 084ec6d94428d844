/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The modules of nunchaku's classes for FLUX.1 (in the names of files, which its first class has), Qwen-Image, Z-Image
   (nunchaku/models/transformers: transformer_flux.py, transformer_qwenimage.py, transformer_zimage.py) and SDXL
   (nunchaku/models/unets/unet_sdxl.py; its width is that of conv_in). */
#include "inventory.h"

#include <string.h>

#define W4A4 NUNCHAKU_MODULE_W4A4
#define AWQ NUNCHAKU_MODULE_AWQ
#define LINEAR NUNCHAKU_MODULE_LINEAR
#define NORM NUNCHAKU_MODULE_NORM
#define GUIDANCE NUNCHAKU_MODULE_GUIDANCE
#define BARE NUNCHAKU_MODULE_BARE

#define DOUBLE "transformer_blocks."
#define SINGLE "single_transformer_blocks."

/* clang-format off */
#define FLUX(kind, stem, name, rows, cols) { NUNCHAKU_FLUX, kind, stem, name, rows, cols }
#define QWEN(kind, stem, name, rows, cols) { NUNCHAKU_QWEN_IMAGE, kind, stem, name, rows, cols }
#define ZIMG(kind, stem, name, rows, cols) { NUNCHAKU_Z_IMAGE, kind, stem, name, rows, cols }
#define ZIMG_BLOCK(stem)                                                                                               \
  ZIMG (W4A4, stem, "attention.to_qkv", 3, 1), ZIMG (W4A4, stem, "attention.to_out.0", 1, 1),                          \
  ZIMG (W4A4, stem, "feed_forward.net.0.proj", 0, 1), ZIMG (W4A4, stem, "feed_forward.net.2", 1, 0),                   \
  ZIMG (NORM, stem, "attention.norm_q", 0, 0), ZIMG (NORM, stem, "attention.norm_k", 0, 0),                            \
  ZIMG (NORM, stem, "attention_norm1", 1, 0), ZIMG (NORM, stem, "attention_norm2", 1, 0),                              \
  ZIMG (NORM, stem, "ffn_norm1", 1, 0), ZIMG (NORM, stem, "ffn_norm2", 1, 0)
#define SDXL(kind, stem, name, rows, cols) { NUNCHAKU_SDXL, kind, stem, name, rows, cols }
#define SDXL_BLOCK(stem, n, depth)                                                                                     \
  { NUNCHAKU_SDXL, W4A4, stem, "attn1.to_qkv", 3 * n, n, depth },                                                      \
  SDXL (W4A4, stem, "attn1.to_out.0", n, n), SDXL (W4A4, stem, "attn2.to_q", n, n),                                    \
  SDXL (W4A4, stem, "attn2.to_out.0", n, n), SDXL (W4A4, stem, "ff.net.0.proj", 8 * n, n),                             \
  SDXL (W4A4, stem, "ff.net.2", n, 4 * n), SDXL (NORM, stem, "attn2.to_k", n, 0),                                      \
  SDXL (NORM, stem, "attn2.to_v", n, 0), SDXL (LINEAR, stem, "norm1", n, 0), SDXL (LINEAR, stem, "norm2", n, 0),       \
  SDXL (LINEAR, stem, "norm3", n, 0)
#define SDXL_ATTENTION(at, n, depth)                                                                                   \
  SDXL_BLOCK (at ".transformer_blocks.", n, depth), SDXL (LINEAR, "", at ".norm", n, 0),                               \
  SDXL (LINEAR, "", at ".proj_in", n, n), SDXL (LINEAR, "", at ".proj_out", n, n)
#define SDXL_RESNET(at, n)                                                                                             \
  SDXL (LINEAR, "", at ".norm1", 0, 0), SDXL (LINEAR, "", at ".conv1", n, 0),                                          \
  SDXL (LINEAR, "", at ".time_emb_proj", n, 4), SDXL (LINEAR, "", at ".norm2", n, 0),                                  \
  SDXL (LINEAR, "", at ".conv2", n, n)
#define SDXL_RESNET_SHORTCUT(at, n) SDXL_RESNET (at, n), SDXL (LINEAR, "", at ".conv_shortcut", n, 0)

static const NunchakuModule modules[] = {
  FLUX (AWQ, DOUBLE, "norm1.linear", 6, 1), FLUX (AWQ, DOUBLE, "norm1_context.linear", 6, 1),
  FLUX (W4A4, DOUBLE, "qkv_proj", 3, 1), FLUX (W4A4, DOUBLE, "qkv_proj_context", 3, 1),
  FLUX (W4A4, DOUBLE, "out_proj", 1, 1), FLUX (W4A4, DOUBLE, "out_proj_context", 1, 1),
  FLUX (W4A4, DOUBLE, "mlp_fc1", 4, 1), FLUX (W4A4, DOUBLE, "mlp_context_fc1", 4, 1),
  FLUX (W4A4, DOUBLE, "mlp_fc2", 1, 4), FLUX (W4A4, DOUBLE, "mlp_context_fc2", 1, 4),
  FLUX (NORM, DOUBLE, "norm_q", 0, 0), FLUX (NORM, DOUBLE, "norm_k", 0, 0),
  FLUX (NORM, DOUBLE, "norm_added_q", 0, 0), FLUX (NORM, DOUBLE, "norm_added_k", 0, 0),
  FLUX (AWQ, SINGLE, "norm.linear", 3, 1), FLUX (W4A4, SINGLE, "qkv_proj", 3, 1),
  FLUX (W4A4, SINGLE, "out_proj", 1, 1), FLUX (W4A4, SINGLE, "mlp_fc1", 4, 1), FLUX (W4A4, SINGLE, "mlp_fc2", 1, 4),
  FLUX (NORM, SINGLE, "norm_q", 0, 0), FLUX (NORM, SINGLE, "norm_k", 0, 0),
  FLUX (LINEAR, "", "x_embedder", 1, 0), FLUX (LINEAR, "", "context_embedder", 1, 0),
  FLUX (LINEAR, "", "time_text_embed.timestep_embedder.linear_1", 1, 0),
  FLUX (LINEAR, "", "time_text_embed.timestep_embedder.linear_2", 1, 1),
  FLUX (GUIDANCE, "", "time_text_embed.guidance_embedder.linear_1", 1, 0),
  FLUX (GUIDANCE, "", "time_text_embed.guidance_embedder.linear_2", 1, 1),
  FLUX (LINEAR, "", "time_text_embed.text_embedder.linear_1", 1, 0),
  FLUX (LINEAR, "", "time_text_embed.text_embedder.linear_2", 1, 1),
  FLUX (LINEAR, "", "norm_out.linear", 2, 1), FLUX (LINEAR, "", "proj_out", 0, 1),

  QWEN (AWQ, DOUBLE, "img_mod.1", 6, 1), QWEN (AWQ, DOUBLE, "txt_mod.1", 6, 1),
  QWEN (W4A4, DOUBLE, "attn.to_qkv", 3, 1), QWEN (W4A4, DOUBLE, "attn.add_qkv_proj", 3, 1),
  QWEN (W4A4, DOUBLE, "attn.to_out.0", 1, 1), QWEN (W4A4, DOUBLE, "attn.to_add_out", 1, 1),
  QWEN (W4A4, DOUBLE, "img_mlp.net.0.proj", 4, 1), QWEN (W4A4, DOUBLE, "img_mlp.net.2", 1, 4),
  QWEN (W4A4, DOUBLE, "txt_mlp.net.0.proj", 4, 1), QWEN (W4A4, DOUBLE, "txt_mlp.net.2", 1, 4),
  QWEN (NORM, DOUBLE, "attn.norm_q", 0, 0), QWEN (NORM, DOUBLE, "attn.norm_k", 0, 0),
  QWEN (NORM, DOUBLE, "attn.norm_added_q", 0, 0), QWEN (NORM, DOUBLE, "attn.norm_added_k", 0, 0),
  QWEN (LINEAR, "", "img_in", 1, 0), QWEN (LINEAR, "", "txt_in", 1, 0), QWEN (NORM, "", "txt_norm", 0, 0),
  QWEN (LINEAR, "", "time_text_embed.timestep_embedder.linear_1", 1, 0),
  QWEN (LINEAR, "", "time_text_embed.timestep_embedder.linear_2", 1, 1),
  QWEN (LINEAR, "", "norm_out.linear", 2, 1), QWEN (LINEAR, "", "proj_out", 0, 1),

  ZIMG_BLOCK ("layers."), ZIMG_BLOCK ("noise_refiner."), ZIMG_BLOCK ("context_refiner."),
  ZIMG (LINEAR, "layers.", "adaLN_modulation.0", 4, 0), ZIMG (LINEAR, "noise_refiner.", "adaLN_modulation.0", 4, 0),
  ZIMG (LINEAR, "", "all_x_embedder.2-1", 1, 0), ZIMG (LINEAR, "", "all_final_layer.2-1.linear", 0, 1),
  ZIMG (LINEAR, "", "all_final_layer.2-1.adaLN_modulation.1", 1, 0),
  ZIMG (LINEAR, "", "t_embedder.mlp.0", 0, 0), ZIMG (LINEAR, "", "t_embedder.mlp.2", 0, 0),
  ZIMG (NORM, "", "cap_embedder.0", 0, 0), ZIMG (LINEAR, "", "cap_embedder.1", 1, 0),
  ZIMG (BARE, "", "x_pad_token", 0, 0), ZIMG (BARE, "", "cap_pad_token", 0, 0),

  SDXL (LINEAR, "", "conv_in", 1, 0), SDXL (LINEAR, "", "conv_norm_out", 1, 0), SDXL (LINEAR, "", "conv_out", 0, 1),
  SDXL (LINEAR, "", "time_embedding.linear_1", 4, 1), SDXL (LINEAR, "", "time_embedding.linear_2", 4, 4),
  SDXL (LINEAR, "", "add_embedding.linear_1", 4, 0), SDXL (LINEAR, "", "add_embedding.linear_2", 4, 4),
  SDXL_RESNET ("down_blocks.0.resnets.0", 1), SDXL_RESNET ("down_blocks.0.resnets.1", 1),
  SDXL (LINEAR, "", "down_blocks.0.downsamplers.0.conv", 1, 1),
  SDXL_RESNET_SHORTCUT ("down_blocks.1.resnets.0", 2), SDXL_ATTENTION ("down_blocks.1.attentions.0", 2, 2),
  SDXL_RESNET ("down_blocks.1.resnets.1", 2), SDXL_ATTENTION ("down_blocks.1.attentions.1", 2, 2),
  SDXL (LINEAR, "", "down_blocks.1.downsamplers.0.conv", 2, 2),
  SDXL_RESNET_SHORTCUT ("down_blocks.2.resnets.0", 4), SDXL_ATTENTION ("down_blocks.2.attentions.0", 4, 10),
  SDXL_RESNET ("down_blocks.2.resnets.1", 4), SDXL_ATTENTION ("down_blocks.2.attentions.1", 4, 10),
  SDXL_RESNET ("mid_block.resnets.0", 4), SDXL_ATTENTION ("mid_block.attentions.0", 4, 10),
  SDXL_RESNET ("mid_block.resnets.1", 4),
  SDXL_RESNET_SHORTCUT ("up_blocks.0.resnets.0", 4), SDXL_ATTENTION ("up_blocks.0.attentions.0", 4, 10),
  SDXL_RESNET_SHORTCUT ("up_blocks.0.resnets.1", 4), SDXL_ATTENTION ("up_blocks.0.attentions.1", 4, 10),
  SDXL_RESNET_SHORTCUT ("up_blocks.0.resnets.2", 4), SDXL_ATTENTION ("up_blocks.0.attentions.2", 4, 10),
  SDXL (LINEAR, "", "up_blocks.0.upsamplers.0.conv", 4, 4),
  SDXL_RESNET_SHORTCUT ("up_blocks.1.resnets.0", 2), SDXL_ATTENTION ("up_blocks.1.attentions.0", 2, 2),
  SDXL_RESNET_SHORTCUT ("up_blocks.1.resnets.1", 2), SDXL_ATTENTION ("up_blocks.1.attentions.1", 2, 2),
  SDXL_RESNET_SHORTCUT ("up_blocks.1.resnets.2", 2), SDXL_ATTENTION ("up_blocks.1.attentions.2", 2, 2),
  SDXL (LINEAR, "", "up_blocks.1.upsamplers.0.conv", 2, 2),
  SDXL_RESNET_SHORTCUT ("up_blocks.2.resnets.0", 1), SDXL_RESNET_SHORTCUT ("up_blocks.2.resnets.1", 1),
  SDXL_RESNET_SHORTCUT ("up_blocks.2.resnets.2", 1),
  { .name = NULL },
};
/* clang-format on */

const NunchakuModule *
nunchaku_modules (void)
{
  return modules;
}

/* ---- The file ---- */

/* Patterns of names of layers that one model alone has. @second: as only class V2 spells them */
static const struct {
  const char *pattern;
  NunchakuModel model;
  gboolean second;
} signs[] = {
  { "*_blocks.*.attentions.*.transformer_blocks.*", NUNCHAKU_SDXL, FALSE },
  { "mid_block.attentions.*.transformer_blocks.*", NUNCHAKU_SDXL, FALSE },
  { DOUBLE "*.img_mod.1", NUNCHAKU_QWEN_IMAGE, FALSE },
  { DOUBLE "*.img_mlp.net.*", NUNCHAKU_QWEN_IMAGE, FALSE },
  { "layers.*.attention.to_qkv", NUNCHAKU_Z_IMAGE, FALSE },
  { "layers.*.feed_forward.net.*", NUNCHAKU_Z_IMAGE, FALSE },
  { SINGLE "*.attn.to_*", NUNCHAKU_FLUX, TRUE },
  { DOUBLE "*.ff.net.*", NUNCHAKU_FLUX, TRUE },
  { DOUBLE "*.ff_context.net.*", NUNCHAKU_FLUX, TRUE },
  { SINGLE "*", NUNCHAKU_FLUX, FALSE },
  { DOUBLE "*.qkv_proj_context", NUNCHAKU_FLUX, FALSE },
  { DOUBLE "*.mlp_*", NUNCHAKU_FLUX, FALSE },
};

/* Looks which model has a layer of this name. */
static void
read_sign (NunchakuFile *f, const NunchakuLook *l)
{
  for (guint i = 0; i < G_N_ELEMENTS (signs); i++)
    {
      if (!nunchaku_name_matches (l->name, signs[i].pattern))
        continue;
      if (f->model == NUNCHAKU_OTHER)
        f->model = signs[i].model;
      if (signs[i].second && f->second_names == NULL)
        f->second_names = l->name;
      return;
    }
}

static gboolean
skips_refiners (const QconvDirectory *d)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const char *name = qconv_directory_tensor (d, i)->name;

      if (strstr (name, "refiner") != NULL && strstr (name, "attention.to_qkv") != NULL)
        return FALSE;
    }
  return TRUE;
}

void
nunchaku_file_init (NunchakuFile *f, const QconvDirectory *d, const GPtrArray *looks)
{
  static const char *const widths[] = { [NUNCHAKU_FLUX] = "x_embedder.bias",
                                        [NUNCHAKU_QWEN_IMAGE] = "img_in.bias",
                                        [NUNCHAKU_Z_IMAGE] = "all_x_embedder.2-1.bias",
                                        [NUNCHAKU_SDXL] = "conv_in.bias" };

  *f = (NunchakuFile) { .directory = d, .looks = looks, .prefix = "" };
  for (guint i = 0; i < looks->len; i++)
    {
      const NunchakuLook *l = g_ptr_array_index (looks, i);

      read_sign (f, l);
      if (*f->prefix == '\0')
        f->prefix = nunchaku_name_prefix (l->name);
    }
  f->skips_refiners = f->model == NUNCHAKU_Z_IMAGE && skips_refiners (d);
  f->width = widths[f->model] != NULL ? nunchaku_file_extent (f, widths[f->model], 0) : 0;
}

gboolean
nunchaku_file_has (const NunchakuFile *f, const NunchakuModule *m)
{
  return m->model == f->model && !(f->skips_refiners && m->kind == W4A4 && strstr (m->stem, "refiner") != NULL);
}

guint64
nunchaku_file_extent (const NunchakuFile *f, const char *name, guint axis)
{
  const QconvTensor *t = qconv_directory_find (f->directory, name);

  return t != NULL && axis < t->shape.rank ? t->shape.dim[axis] : 0;
}

guint64
nunchaku_file_blocks (const NunchakuFile *f, const char *stem)
{
  guint n = qconv_directory_n_tensors (f->directory);
  guint64 blocks = 0;

  for (guint i = 0; i < n; i++)
    {
      const char *name = qconv_directory_tensor (f->directory, i)->name;

      if (g_str_has_prefix (name, stem) && g_ascii_isdigit (name[strlen (stem)]))
        blocks = MAX (blocks, MIN (g_ascii_strtoull (name + strlen (stem), NULL, 10), n) + 1);
    }
  return MIN (blocks, n);
}

const NunchakuModule *
nunchaku_file_module (const NunchakuFile *f, const char *name, const char **member)
{
  for (const NunchakuModule *m = modules; m->name != NULL; m++)
    {
      gsize stem = strlen (m->stem), length = strlen (m->name);
      gsize digits = stem > 0 && g_str_has_prefix (name, m->stem) ? strspn (name + stem, "0123456789") : 0;
      const char *rest = digits > 0 && name[stem + digits] == '.' ? name + stem + digits + 1 : name;

      if (m->model != f->model || (stem > 0) != (rest != name) || !g_str_has_prefix (rest, m->name)
          || rest[length] != (m->kind == BARE ? '\0' : '.'))
        continue;
      *member = rest + length + (m->kind == BARE ? 0 : 1);
      return m;
    }
  return NULL;
}
