/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests mapping single tensors between namings, and refusals. */
#include "map-fixture.h"

/* Asserts that @request fails. Its family is the one of the repository called @family */
static void
assert_fails (const char *family, const KeymapRequest *request, const char *message)
{
  g_autoptr (Family) f = map_family (family);
  KeymapRequest of_family = *request;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) maps = NULL;

  of_family.family = f;
  maps = qconv_keymap (&of_family, &error);
  g_assert_null (maps);
  g_assert_nonnull (error);
  g_assert_cmpint (error->domain, ==, QCONV_ERROR);
  g_assert_nonnull (strstr (error->message, message));
}

static void
test_flux (void)
{
  g_autoptr (Family) f = map_family ("flux1");
  g_autoptr (Names) names
      = names_of ("transformer_blocks.0.attn.to_v.weight", 2, 2, "transformer_blocks.0.attn.to_q.weight", 2, 2,
                  "transformer_blocks.0.attn.to_k.weight", 2, 2, "norm_out.linear.bias", 4, 0,
                  "single_transformer_blocks.0.attn.to_q.bias", 2, 0, "single_transformer_blocks.0.attn.to_k.bias", 2,
                  0, "single_transformer_blocks.0.attn.to_v.bias", 2, 0, "single_transformer_blocks.0.proj_mlp.bias", 8,
                  0, "single_transformer_blocks.0.attn.norm_q.weight", 2, 0, "else.weight", 2, 2, NULL);
  g_autoptr (GPtrArray) maps = qconv_keymap (MAP (f, NULL, NULL, names, "diffusers", "original"), NULL);

  g_assert_cmpuint (maps->len, ==, 4);
  assert_map (maps, "double_blocks.0.img_attn.qkv.weight",
              "transformer_blocks.0.attn.to_q.weight 0+1*2, transformer_blocks.0.attn.to_k.weight 0+1*2, "
              "transformer_blocks.0.attn.to_v.weight 0+1*2");
  assert_map (maps, "single_blocks.0.linear1.bias",
              "single_transformer_blocks.0.attn.to_q.bias 0+1*2, single_transformer_blocks.0.attn.to_k.bias 0+1*2, "
              "single_transformer_blocks.0.attn.to_v.bias 0+1*2, single_transformer_blocks.0.proj_mlp.bias 0+1*8");
  assert_map (maps, "final_layer.adaLN_modulation.1.bias", "norm_out.linear.bias 2+1*2, norm_out.linear.bias 0+1*2");
  assert_map (maps, "single_blocks.0.norm.query_norm.weight", "single_transformer_blocks.0.attn.norm_q.weight 0+1*2");
}

/* Tests both spellings of nunchaku's names, and layers that it cuts by columns */
static void
test_nunchaku (void)
{
  g_autoptr (Family) f = map_family ("flux1"), qwen = map_family ("qwen_image");
  g_autoptr (Dims) dims = qconv_dims_new ();
  g_autoptr (Names) names
      = names_of ("single_transformer_blocks.0.out_proj.weight", 2, 2, "single_transformer_blocks.0.mlp_fc2.weight", 2,
                  8, "single_transformer_blocks.0.mlp_fc2.bias", 2, 0, "transformer_blocks.0.attn.to_qkv.bias", 6, 0,
                  "transformer_blocks.0.attn.norm_added_k.weight", 2, 0, "transformer_blocks.0.ff_context.net.2.weight",
                  2, 8, NULL);
  g_autoptr (Names) original = names_of ("single_blocks.0.linear2.weight", 2, 10, NULL);
  g_autoptr (Names) fused = names_of ("transformer_blocks.0.attn.add_qkv_proj.weight", 6, 2, NULL);
  g_autoptr (Names) odd = names_of ("single_transformer_blocks.0.out_proj.weight", 3, 2,
                                    "single_transformer_blocks.0.mlp_fc2.weight", 2, 8, NULL);
  g_autoptr (GPtrArray) maps = qconv_keymap (MAP (f, NULL, NULL, names, "nunchaku", "original"), NULL), back = NULL;
  g_autoptr (GPtrArray) split = NULL;

  g_assert_cmpuint (maps->len, ==, 5);
  assert_map (maps, "single_blocks.0.linear2.weight",
              "single_transformer_blocks.0.out_proj.weight 0+1*2 | single_transformer_blocks.0.mlp_fc2.weight 0+1*2");
  assert_map (maps, "single_blocks.0.linear2.bias", "single_transformer_blocks.0.mlp_fc2.bias 0+1*2");
  assert_map (maps, "double_blocks.0.img_attn.qkv.bias", "transformer_blocks.0.attn.to_qkv.bias 0+1*6");
  assert_map (maps, "double_blocks.0.txt_mlp.2.weight", "transformer_blocks.0.ff_context.net.2.weight 0+1*2");
  qconv_dims_set (dims, "hidden", 2);
  qconv_dims_set (dims, "mlp", 8);
  qconv_dims_set (dims, "depth_single", 1);
  qconv_dims_set (dims, "layers", 1);
  back = qconv_keymap (MAP (f, NULL, dims, original, "original", "nunchaku"), NULL);
  assert_map (back, "single_transformer_blocks.0.out_proj.weight", "single_blocks.0.linear2.weight 0+1*2 [0+2]");
  assert_map (back, "single_transformer_blocks.0.mlp_fc2.weight", "single_blocks.0.linear2.weight 0+1*2 [2+8]");
  split = qconv_keymap (MAP (qwen, NULL, dims, fused, "nunchaku", "original"), NULL);
  assert_map (split, "transformer_blocks.0.attn.add_k_proj.weight",
              "transformer_blocks.0.attn.add_qkv_proj.weight 2+1*2");
  assert_fails ("flux1", MAP (NULL, NULL, NULL, odd, "nunchaku", "original"), "its rows differ");
  qconv_dims_set (dims, "mlp", 9);
  assert_fails ("flux1", MAP (NULL, NULL, dims, original, "original", "nunchaku"), "10 columns are too few");
  assert_fails ("flux1", MAP (NULL, NULL, dims, names, "nunchaku", "original"), "must have 9 columns");
}

static void
test_flux_split (void)
{
  g_autoptr (Family) f = map_family ("flux1");
  g_autoptr (Dims) dims = qconv_dims_new ();
  g_autoptr (Names) names = names_of ("single_blocks.0.linear1.weight", 14, 2, "single_blocks.0.norm.key_norm.scale", 2,
                                      0, "final_layer.adaLN_modulation.1.weight", 4, 2, NULL);
  g_autoptr (GPtrArray) maps = NULL;

  qconv_dims_set (dims, "hidden", 2);
  qconv_dims_set (dims, "mlp", 8);
  qconv_dims_set (dims, "depth_single", 1);
  maps = qconv_keymap (MAP (f, NULL, dims, names, "original", "diffusers"), NULL);
  g_assert_cmpuint (maps->len, ==, 6);
  assert_map (maps, "single_transformer_blocks.0.attn.to_v.weight", "single_blocks.0.linear1.weight 4+1*2");
  assert_map (maps, "single_transformer_blocks.0.proj_mlp.weight", "single_blocks.0.linear1.weight 6+1*8");
  assert_map (maps, "single_transformer_blocks.0.attn.norm_k.weight", "single_blocks.0.norm.key_norm.scale 0+1*2");
  assert_map (maps, "norm_out.linear.weight",
              "final_layer.adaLN_modulation.1.weight 2+1*2, final_layer.adaLN_modulation.1.weight 0+1*2");
  qconv_dims_set (dims, "mlp", 9);
  assert_fails ("flux1", MAP (NULL, NULL, dims, names, "original", "diffusers"), "single_blocks.0.linear1.weight");
  qconv_dims_set (dims, "mlp", 7);
  assert_fails ("flux1", MAP (NULL, NULL, dims, names, "original", "diffusers"), "single_blocks.0.linear1.weight");
  assert_fails ("flux1", MAP (NULL, NULL, NULL, names, "original", "diffusers"), "dimensions are not known");
}

/* Tests other spellings: norms of both namings, and LongCat-Image's own name of an embedder */
static void
test_spellings (void)
{
  g_autoptr (Family) f = map_family ("flux1");
  g_autoptr (Dims) dims = qconv_dims_new ();
  g_autoptr (Names) ours = names_of ("double_blocks.0.img_attn.norm.query_norm.weight", 2, 0, NULL);
  g_autoptr (Names) theirs = names_of ("time_embed.timestep_embedder.linear_1.weight", 2, 2, NULL);
  g_autoptr (GPtrArray) out = NULL,
                        in = qconv_keymap (MAP (f, "longcat-image", NULL, theirs, "diffusers", "original"), NULL);

  qconv_dims_set (dims, "depth_double", 1);
  out = qconv_keymap (MAP (f, "longcat-image", dims, ours, "original", "diffusers"), NULL);
  assert_map (out, "transformer_blocks.0.attn.norm_q.weight", "double_blocks.0.img_attn.norm.query_norm.weight 0+1*2");
  assert_map (in, "time_in.in_layer.weight", "time_embed.timestep_embedder.linear_1.weight 0+1*2");
}

/* Tests that shift and scale of the last context block change places, and those of other blocks do not */
static void
test_sd3 (void)
{
  g_autoptr (Family) f = map_family ("sd3");
  g_autoptr (Names) names = names_of (
      "transformer_blocks.0.norm1_context.linear.bias", 12, 0, "transformer_blocks.1.norm1_context.linear.bias", 4, 0,
      "transformer_blocks.0.norm1.linear.bias", 18, 0, "transformer_blocks.1.norm1.linear.bias", 12, 0,
      "transformer_blocks.0.attn.to_out.0.bias", 2, 0, "transformer_blocks.1.attn.to_out.0.bias", 2, 0,
      "transformer_blocks.0.attn2.to_out.0.bias", 2, 0, NULL);

  for (guint known = 0; known < 2; known++)
    {
      g_autoptr (Dims) dims = known ? qconv_dims_new () : NULL;
      g_autoptr (GPtrArray) maps = NULL;

      if (known)
        {
          qconv_dims_set (dims, "depth", 2);
          qconv_dims_set (dims, "dual", 1);
        }
      maps = qconv_keymap (MAP (f, NULL, dims, names, "diffusers", "original"), NULL);
      g_assert_cmpuint (maps->len, ==, 7);
      assert_map (maps, "joint_blocks.0.context_block.adaLN_modulation.1.bias",
                  "transformer_blocks.0.norm1_context.linear.bias 0+1*12");
      assert_map (maps, "joint_blocks.1.context_block.adaLN_modulation.1.bias",
                  "transformer_blocks.1.norm1_context.linear.bias 2+1*2, "
                  "transformer_blocks.1.norm1_context.linear.bias 0+1*2");
      assert_map (maps, "joint_blocks.0.x_block.adaLN_modulation.1.bias",
                  "transformer_blocks.0.norm1.linear.bias 0+1*18");
      assert_map (maps, "joint_blocks.1.x_block.adaLN_modulation.1.bias",
                  "transformer_blocks.1.norm1.linear.bias 0+1*12");
      assert_map (maps, "joint_blocks.0.x_block.attn2.proj.bias", "transformer_blocks.0.attn2.to_out.0.bias 0+1*2");
    }
}

static void
test_renames (void)
{
  g_autoptr (Family) wan = map_family ("wan"), z = map_family ("z_image"), unet = map_family ("sd15");
  g_autoptr (Names) wan_names = names_of ("blocks.0.norm2.weight", 2, 0, "scale_shift_table", 1, 2, NULL);
  g_autoptr (Names) z_names = names_of ("layers.0.attention.to_q.weight", 2, 2, "layers.0.attention.to_k.weight", 2, 2,
                                        "layers.0.attention.to_v.weight", 2, 2, "all_x_embedder.2-1.bias", 2, 0, NULL);
  g_autoptr (Names) unet_names
      = names_of ("down_blocks.0.resnets.0.time_emb_proj.bias", 2, 0, "down_blocks.0.resnets.0.other.bias", 2, 0,
                  "up_blocks.0.upsamplers.0.conv.weight", 2, 2, "down_blocks.0.attentions.1.norm.weight", 2, 0, NULL);
  g_autoptr (GPtrArray) a = qconv_keymap (MAP (wan, NULL, NULL, wan_names, "diffusers", "original"), NULL);
  g_autoptr (GPtrArray) b = qconv_keymap (MAP (z, NULL, NULL, z_names, "diffusers", "original"), NULL);
  g_autoptr (GPtrArray) c = qconv_keymap (MAP (unet, NULL, NULL, unet_names, "diffusers", "original"), NULL);

  assert_map (a, "blocks.0.norm3.weight", "blocks.0.norm2.weight 0+1*2");
  assert_map (a, "head.modulation", "scale_shift_table 0+1*1");
  assert_map (b, "layers.0.attention.qkv.weight",
              "layers.0.attention.to_q.weight 0+1*2, layers.0.attention.to_k.weight 0+1*2, "
              "layers.0.attention.to_v.weight 0+1*2");
  assert_map (b, "x_embedder.bias", "all_x_embedder.2-1.bias 0+1*2");
  g_assert_cmpuint (c->len, ==, 3);
  assert_map (c, "input_blocks.1.0.emb_layers.1.bias", "down_blocks.0.resnets.0.time_emb_proj.bias 0+1*2");
  assert_map (c, "output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight 0+1*2");
  assert_map (c, "input_blocks.2.1.norm.weight", "down_blocks.0.attentions.1.norm.weight 0+1*2");
}

/* Tests two heads of six rows */
static void
test_permuted (void)
{
  g_autoptr (Family) f = map_family ("llm_dense");
  g_autoptr (Dims) dims = qconv_dims_new ();
  g_autoptr (Names) theirs = names_of ("blk.0.attn_q.weight", 12, 2, "blk.0.attn_v.weight", 12, 2, NULL);
  g_autoptr (Names) ours = names_of ("model.layers.0.self_attn.k_proj.bias", 12, 0, NULL);
  g_autoptr (GPtrArray) in = NULL, out = NULL, plain = NULL;

  qconv_dims_set (dims, "layers", 1);
  qconv_dims_set (dims, "head_dim", 6);
  in = qconv_keymap (MAP_OF ("llama", f, NULL, dims, theirs, "llama.cpp", "original"), NULL);
  assert_map (
      in, "model.layers.0.self_attn.q_proj.weight",
      "blk.0.attn_q.weight 0+2*3, blk.0.attn_q.weight 1+2*3, blk.0.attn_q.weight 6+2*3, blk.0.attn_q.weight 7+2*3");
  assert_map (in, "model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight 0+1*12");
  out = qconv_keymap (MAP_OF ("llama", f, NULL, dims, ours, "original", "llama.cpp"), NULL);
  assert_map (out, "blk.0.attn_k.bias",
              "model.layers.0.self_attn.k_proj.bias 0+3*2, model.layers.0.self_attn.k_proj.bias 1+3*2, "
              "model.layers.0.self_attn.k_proj.bias 2+3*2, model.layers.0.self_attn.k_proj.bias 6+3*2, "
              "model.layers.0.self_attn.k_proj.bias 7+3*2, model.layers.0.self_attn.k_proj.bias 8+3*2");
  plain = qconv_keymap (MAP_OF ("qwen3", f, NULL, dims, theirs, "llama.cpp", "original"), NULL);
  assert_map (plain, "model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight 0+1*12");
  assert_fails ("llm_dense", MAP_OF (NULL, NULL, NULL, dims, theirs, "llama.cpp", "original"), "architecture");
  assert_fails ("llm_dense", MAP_OF ("chameleon", NULL, NULL, dims, theirs, "llama.cpp", "original"), "q_norm");
  assert_fails ("llm_dense", MAP_OF ("llama", NULL, NULL, NULL, theirs, "llama.cpp", "original"), "heads of 0");
  qconv_dims_set (dims, "head_dim", 5);
  assert_fails ("llm_dense", MAP_OF ("llama", NULL, NULL, dims, theirs, "llama.cpp", "original"),
                "blk.0.attn_q.weight");
  qconv_dims_set (dims, "head_dim", 0);
  assert_fails ("llm_dense", MAP_OF ("llama", NULL, NULL, dims, theirs, "llama.cpp", "original"),
                "blk.0.attn_q.weight");
  qconv_dims_set (dims, "head_dim", 8);
  assert_fails ("llm_dense", MAP_OF ("llama", NULL, NULL, dims, theirs, "llama.cpp", "original"),
                "blk.0.attn_q.weight");
}

/* Rows that cannot be divided into heads, and heads without rows, are refused */
static void
test_permuted_bounds (void)
{
  static const QconvShape wrong[] = { QCONV_SHAPE2 (G_GUINT64_CONSTANT (1) << 30, 0), QCONV_SHAPE2 (1 << 20, 4),
                                      QCONV_SHAPE2 (G_MAXUINT64 - 3, 4) };
  g_autoptr (Family) f = map_family ("llm_dense");
  g_autoptr (Dims) dims = qconv_dims_new ();
  g_autoptr (Names) empty = qconv_names_new ();
  g_autoptr (GPtrArray) maps = NULL;
  QconvShape none = QCONV_SHAPE2 (0, 4);

  qconv_dims_set (dims, "layers", 1);
  qconv_dims_set (dims, "head_dim", 4);
  qconv_names_add (empty, "blk.0.attn_q.weight", &none);
  maps = qconv_keymap (MAP_OF ("llama", f, NULL, dims, empty, "llama.cpp", "original"), NULL);
  assert_map (maps, "model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight 0+1*0");
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (Names) names = qconv_names_new ();

      qconv_names_add (names, "blk.0.attn_q.weight", &wrong[i]);
      assert_fails ("llm_dense", MAP_OF ("llama", NULL, NULL, dims, names, "llama.cpp", "original"),
                    "blk.0.attn_q.weight");
    }
}

/* Tests norms that are larger by one in files of another program */
static void
test_offset (void)
{
  g_autoptr (Family) f = map_family ("gemma");
  g_autoptr (Dims) dims = qconv_dims_new ();
  g_autoptr (Names) theirs = names_of ("blk.0.attn_q_norm.weight", 4, 0, "blk.0.attn_v.weight", 4, 2, NULL);
  g_autoptr (Names) ours = names_of ("model.norm.weight", 4, 0, NULL);
  g_autoptr (GPtrArray) in = NULL, out = NULL;

  qconv_dims_set (dims, "layers", 1);
  in = qconv_keymap (MAP_OF ("gemma3", f, NULL, dims, theirs, "llama.cpp", "original"), NULL);
  g_assert_cmpuint (in->len, ==, 2);
  for (guint i = 0; i < in->len; i++)
    {
      const NameMap *map = g_ptr_array_index (in, i);

      g_assert_cmpint (map->plus, ==, g_str_has_suffix (map->name, "q_norm.weight") ? -1 : 0);
    }
  out = qconv_keymap (MAP_OF ("gemma2", f, NULL, dims, ours, "original", "llama.cpp"), NULL);
  g_assert_cmpint (((const NameMap *) g_ptr_array_index (out, 0))->plus, ==, 1);
  assert_fails ("gemma", MAP_OF ("gemma4", NULL, NULL, dims, theirs, "llama.cpp", "original"), "gemma4");
  assert_fails ("gemma", MAP_OF (NULL, NULL, NULL, dims, theirs, "llama.cpp", "original"), "architecture");
}

/* Tests that the first tensor behind a gap in the blocks is reported */
static void
test_stray (void)
{
  static const struct {
    const char *naming, *to, *names[3], *stray;
  } cases[] = {
    { "diffusers", "original", { "single_transformer_blocks.0.proj_out.weight" }, NULL },
    { "diffusers", "original", { "single_transformer_blocks.0.proj_out.weight", "vae.2.proj_out.weight" }, NULL },
    { "diffusers",
      "original",
      { "single_transformer_blocks.0.proj_out.bias", "single_transformer_blocks.2.proj_out.bias" },
      "single_transformer_blocks.2.proj_out.bias" },
    { "original",
      "diffusers",
      { "single_blocks.0.linear2.weight", "img_in.bias", "single_blocks.7.norm.key_norm.scale" },
      "single_blocks.7.norm.key_norm.scale" },
  };
  g_autoptr (Family) f = map_family ("flux1");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Names) names = qconv_names_new ();
      g_autoptr (GPtrArray) maps = NULL;
      QconvShape shape = QCONV_SHAPE1 (4);

      for (guint k = 0; k < G_N_ELEMENTS (cases[i].names) && cases[i].names[k] != NULL; k++)
        qconv_names_add (names, cases[i].names[k], &shape);
      maps = qconv_keymap (MAP (f, NULL, NULL, names, cases[i].naming, cases[i].to), NULL);
      g_assert_nonnull (maps);
      g_assert_cmpstr (qconv_keymap_stray (MAP (f, NULL, NULL, names, cases[i].naming, cases[i].to), maps), ==,
                       cases[i].stray);
    }
}

static void
test_clip (void)
{
  g_autoptr (Family) f = map_family ("clip_text");
  g_autoptr (Names) theirs
      = names_of ("transformer.resblocks.0.attn.in_proj_weight", 6, 2, "transformer.resblocks.0.attn.in_proj_bias", 6,
                  0, "text_projection", 4, 2, NULL);
  g_autoptr (Names) ours = names_of ("text_model.encoder.layers.0.self_attn.k_proj.bias", 2, 0,
                                     "text_model.encoder.layers.0.self_attn.q_proj.bias", 2, 0,
                                     "text_model.encoder.layers.0.self_attn.v_proj.bias", 2, 0, NULL);
  g_autoptr (Names) seven = names_of ("transformer.resblocks.0.attn.in_proj_weight", 7, 2, NULL);
  g_autoptr (GPtrArray) in = qconv_keymap (MAP (f, NULL, NULL, theirs, "open_clip", "original"), NULL);
  g_autoptr (GPtrArray) out = qconv_keymap (MAP (f, NULL, NULL, ours, "original", "open_clip"), NULL);
  QconvShape shape = QCONV_SHAPE2 (2, 4);

  assert_map (in, "text_model.encoder.layers.0.self_attn.v_proj.weight",
              "transformer.resblocks.0.attn.in_proj_weight 4+1*2");
  assert_map (in, "text_model.encoder.layers.0.self_attn.k_proj.bias",
              "transformer.resblocks.0.attn.in_proj_bias 2+1*2");
  assert_map (in, "text_projection.weight", "columns of text_projection 0+1*4");
  g_assert_true (qconv_shape_equal (&((NameMap *) g_ptr_array_index (in, in->len - 1))->shape, &shape));
  assert_map (out, "transformer.resblocks.0.attn.in_proj_bias",
              "text_model.encoder.layers.0.self_attn.q_proj.bias 0+1*2, "
              "text_model.encoder.layers.0.self_attn.k_proj.bias 0+1*2, "
              "text_model.encoder.layers.0.self_attn.v_proj.bias 0+1*2");
  assert_fails ("clip_text", MAP (NULL, NULL, NULL, seven, "open_clip", "original"), "in_proj_weight");
}

static void
test_broken (void)
{
  g_autoptr (Names) two
      = names_of ("transformer_blocks.0.attn.to_q.weight", 2, 2, "transformer_blocks.0.attn.to_v.weight", 2, 2, NULL);
  g_autoptr (Names) wide
      = names_of ("transformer_blocks.0.attn.to_q.weight", 2, 2, "transformer_blocks.0.attn.to_k.weight", 2, 3,
                  "transformer_blocks.0.attn.to_v.weight", 2, 2, NULL);
  g_autoptr (Names) odd = names_of ("norm_out.linear.weight", 3, 2, NULL);
  g_autoptr (Names) vector = names_of ("text_projection", 3, 0, NULL), rowless = qconv_names_new ();
  g_autoptr (Dims) dims = qconv_dims_new ();
  QconvShape none = QCONV_SHAPE0;

  qconv_names_add (rowless, "norm_out.linear.weight", &none);
  assert_fails ("flux1", MAP (NULL, NULL, NULL, two, "diffusers", "original"),
                "transformer_blocks.0.attn.to_k.weight: missing");
  assert_fails ("flux1", MAP (NULL, NULL, NULL, wide, "diffusers", "original"),
                "transformer_blocks.0.attn.to_k.weight: its columns");
  assert_fails ("flux1", MAP (NULL, NULL, NULL, odd, "diffusers", "original"), "norm_out.linear.weight");
  assert_fails ("flux1", MAP (NULL, NULL, NULL, rowless, "diffusers", "original"), "norm_out.linear.weight");
  assert_fails ("flux1", MAP (NULL, "ovis-image", NULL, odd, "diffusers", "original"),
                "ovis-image: no map from diffusers");
  assert_fails ("flux1", MAP (NULL, NULL, NULL, odd, "original", "original"), "no map from original");
  assert_fails ("anima", MAP (NULL, NULL, NULL, odd, "diffusers", "original"), "no map");
  assert_fails ("clip_text", MAP (NULL, NULL, NULL, vector, "open_clip", "original"), "text_projection: not a matrix");
  qconv_dims_set (dims, "hidden", 3);
  qconv_dims_set (dims, "depth_double", 1);
  assert_fails ("flux1", MAP (NULL, NULL, dims, two, "diffusers", "original"),
                "transformer_blocks.0.attn.to_q.weight: must have 3 rows");
}

/* Keymaps that contradict themselves are refused */
static void
test_hostile (void)
{
  static const char *const maps[] = {
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": \"x.{p}\", \"b_rows_part\": 1, \"b_parts\": 2}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": \"x.{p}\", \"b_rows_part\": 0, \"b_parts\": 2}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": [\"x.{p}\", \"y.{p}\"], \"rows\": [\"n\"]}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": [\"x.{p}\", \"y.{p}\"], \"rows\": [\"n-9\", \"n\"]}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": [\"x.{p}\", \"y.{p}\"], \"rows\": [9223372036854775807, \"n\"]}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": [\"x.{p}\", \"y.{p}\"], \"swap_halves\": true}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": [\"x.{p}\", \"x.{p}\"]}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": \"x.{p}\"}, {\"a\": \"k.{p}\", \"b\": \"x.{p}\"}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": \"x.{p}\", \"index\": {\"i\": [0, 1000000000]}}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": []}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": [\"x.{p}\", \"y.{p}\"], \"columns\": [\"n\"]}]",
    "\"rules\": [{\"a\": \"q.{p}\", \"b\": [\"x.{p}\", \"y.{p}\"], \"columns\": [\"n\", 0], \"rows\": [\"n\", 0]}]",
    "\"block_map\": [[\"q\", \"x\", \"plain\"], [\"k\", \"x\", \"plain\"]]",
  };
  g_autoptr (Dims) dims = qconv_dims_new ();
  g_autoptr (Names) names = names_of ("q.weight", 4, 2, "k.weight", 4, 2, NULL);

  qconv_dims_set (dims, "n", 4);
  for (guint i = 0; i < G_N_ELEMENTS (maps); i++)
    {
      g_autofree char *text = g_strdup_printf (
          "{\"schema\": \"qconv-model-family\", \"schema_version\": 1, \"family\": \"f\", \"title\": \"F\", "
          "\"kind\": \"generic\", \"prefixes\": [], \"presets\": {}, \"dims\": {\"n\": {\"doc\": \"rows\", "
          "\"infer\": {\"const\": 4}}}, \"keymaps\": [{\"a\": \"original\", \"b\": \"other\", %s}]}",
          maps[i]);
      g_autoptr (GError) error = NULL;
      g_autoptr (Family) f = qconv_family_parse ("f.json", text, &error);
      g_autoptr (GPtrArray) made = NULL;

      g_assert_no_error (error);
      made = qconv_keymap (MAP (f, NULL, dims, names, "original", "other"), &error);
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
      g_assert_null (made);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (argc > 1 && g_str_equal (argv[1], "published"))
    {
      map_add_round_trips (TRUE);
      return g_test_run ();
    }
  g_test_add_func ("/keymap/flux", test_flux);
  g_test_add_func ("/keymap/flux-split", test_flux_split);
  g_test_add_func ("/keymap/nunchaku", test_nunchaku);
  g_test_add_func ("/keymap/spellings", test_spellings);
  g_test_add_func ("/keymap/sd3", test_sd3);
  g_test_add_func ("/keymap/renames", test_renames);
  g_test_add_func ("/keymap/permuted", test_permuted);
  g_test_add_func ("/keymap/permuted-bounds", test_permuted_bounds);
  g_test_add_func ("/keymap/offset", test_offset);
  g_test_add_func ("/keymap/stray", test_stray);
  g_test_add_func ("/keymap/clip", test_clip);
  g_test_add_func ("/keymap/broken", test_broken);
  g_test_add_func ("/keymap/hostile", test_hostile);
  map_add_chains ();
  map_add_round_trips (FALSE);
  return g_test_run ();
}
