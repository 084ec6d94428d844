/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of names in nunchaku's files (nunchaku: nunchaku/models/linear.py, nunchaku/models/transformers). look.c and
   writer.c ask. */
#include "names.h"

#include <string.h>

/* One spelling if both are equal */
static const char *const members[NUNCHAKU_N_MEMBERS][NUNCHAKU_N_SPELLINGS] = {
  [NUNCHAKU_QWEIGHT] = { ".qweight" },
  [NUNCHAKU_WSCALES] = { ".wscales" },
  [NUNCHAKU_BIAS] = { ".bias" },
  [NUNCHAKU_WZEROS] = { ".wzeros" },
  [NUNCHAKU_WTSCALE] = { ".wtscale" },
  [NUNCHAKU_WCSCALES] = { ".wcscales" },
  [NUNCHAKU_SMOOTH] = { ".smooth", ".smooth_factor" },
  [NUNCHAKU_SMOOTH_ORIG] = { ".smooth_orig", ".smooth_factor_orig" },
  [NUNCHAKU_DOWN] = { ".lora_down", ".proj_down" },
  [NUNCHAKU_UP] = { ".lora_up", ".proj_up" },
};

/* Names of modulation layers, and the number of vectors that they make (nunchaku/models/normalization.py,
   transformer_qwenimage.py). No tensor shows it */
static const struct {
  const char *suffix;
  guint chunks;
} modulations[] = {
  { ".norm1.linear", 6 }, { ".norm1_context.linear", 6 }, { ".norm.linear", 3 }, { ".img_mod.1", 6 },
  { ".txt_mod.1", 6 },
};

/* The layers behind a fused GELU, whose output the INT4 kernels shift, in the spellings of FLUX and of Qwen-Image.
   SDXL has names with the same end, but no such kernel (src/kernels/zgemm/gemm_w4a4_launch_impl.cuh, "act_unsigned") */
static const char *const shifted_names[] = {
  "transformer_blocks.*.mlp_fc2",       "transformer_blocks.*.mlp_context_fc2",  "single_transformer_blocks.*.mlp_fc2",
  "transformer_blocks.*.ff.net.2",      "transformer_blocks.*.ff_context.net.2", "transformer_blocks.*.img_mlp.net.2",
  "transformer_blocks.*.txt_mlp.net.2",
};

const char *
nunchaku_member_name (NunchakuMember member, NunchakuSpelling spelling)
{
  const char *name = members[member][spelling];

  return name != NULL ? name : members[member][NUNCHAKU_LORA_NAMES];
}

const char *
nunchaku_name_prefix (const char *layer)
{
  static const char *const prefixes[] = { "model.diffusion_model.", "diffusion_model.", "model." };

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    if (g_str_has_prefix (layer, prefixes[i]))
      return prefixes[i];
  return "";
}

gboolean
nunchaku_name_matches (const char *layer, const char *pattern)
{
  return g_pattern_match_simple (pattern, layer + strlen (nunchaku_name_prefix (layer)));
}

guint
nunchaku_name_chunks (const char *layer)
{
  for (guint i = 0; i < G_N_ELEMENTS (modulations); i++)
    if (g_str_has_suffix (layer, modulations[i].suffix))
      return modulations[i].chunks;
  return 0;
}

gboolean
nunchaku_name_shifted (const char *layer)
{
  for (guint i = 0; i < G_N_ELEMENTS (shifted_names); i++)
    if (nunchaku_name_matches (layer, shifted_names[i]))
      return TRUE;
  return FALSE;
}

gboolean
nunchaku_name_fused (const char *layer)
{
  static const char *const suffixes[] = { ".qkv_proj", ".qkv_proj_context", ".to_qkv", ".add_qkv_proj" };

  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (g_str_has_suffix (layer, suffixes[i]))
      return TRUE;
  return FALSE;
}

gboolean
nunchaku_name_added (const char *layer)
{
  return nunchaku_name_matches (layer, "single_transformer_blocks.*.out_proj")
         || nunchaku_name_matches (layer, "single_transformer_blocks.*.attn.to_out");
}
