/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests two maps after each other: between names that no map joins. */
#include "map-fixture.h"

static GPtrArray *
map_names (const Family *f, const char *variant, const Dims *dims, const Names *names, const char *const between[2])
{
  g_autoptr (GError) error = NULL;
  GPtrArray *maps = qconv_keymap (MAP (f, variant, dims, names, between[0], between[1]), &error);

  g_assert_no_error (error);
  g_assert_null (qconv_keymap_stray (MAP (f, variant, dims, names, between[0], between[1]), maps));
  g_assert_null (qconv_keymap_unnamed (MAP (f, variant, dims, names, between[0], between[1]), maps));
  return maps;
}

static const char *const to_diffusers[] = { "nunchaku", "diffusers" }, *const to_nunchaku[]
                                                                       = { "diffusers", "nunchaku" };

static Dims *
small_dims (void)
{
  Dims *dims = qconv_dims_new ();

  qconv_dims_set (dims, "hidden", 2);
  qconv_dims_set (dims, "mlp", 8);
  qconv_dims_set (dims, "mlp1", 8);
  qconv_dims_set (dims, "depth_single", 1);
  qconv_dims_set (dims, "depth_double", 1);
  qconv_dims_set (dims, "layers", 1);
  return dims;
}

#define SINGLE "single_transformer_blocks.0."

/* Tests that fused rows are split, columns joined, and halves that change places twice end where they were */
static void
test_to_diffusers (void)
{
  g_autoptr (Family) f = map_family ("flux1"), qwen = map_family ("qwen_image"), z = map_family ("z_image");
  g_autoptr (Dims) dims = small_dims ();
  g_autoptr (Names) names
      = names_of (SINGLE "attn.to_qkv.bias", 6, 0, SINGLE "mlp_fc1.bias", 8, 0, SINGLE "out_proj.weight", 2, 2,
                  SINGLE "mlp_fc2.weight", 2, 8, "norm_out.linear.bias", 4, 0, "else.weight", 2, 2, NULL);
  g_autoptr (Names) fused
      = names_of ("transformer_blocks.0.attn.add_qkv_proj.weight", 6, 2, "txt_norm.weight", 2, 0, NULL);
  g_autoptr (Names) gated = names_of ("layers.0.feed_forward.net.0.proj.weight", 16, 2, NULL);
  g_autoptr (GPtrArray) flux_maps = map_names (f, NULL, dims, names, to_diffusers);
  g_autoptr (GPtrArray) qwen_maps = map_names (qwen, NULL, dims, fused, to_diffusers);
  g_autoptr (GPtrArray) z_maps = map_names (z, NULL, dims, gated, to_diffusers);

  g_assert_cmpuint (flux_maps->len, ==, 6);
  assert_map (flux_maps, SINGLE "attn.to_k.bias", SINGLE "attn.to_qkv.bias 2+1*2");
  assert_map (flux_maps, SINGLE "proj_mlp.bias", SINGLE "mlp_fc1.bias 0+1*8");
  assert_map (flux_maps, SINGLE "proj_out.weight", SINGLE "out_proj.weight 0+1*2 | " SINGLE "mlp_fc2.weight 0+1*2");
  assert_map (flux_maps, "norm_out.linear.bias", "norm_out.linear.bias 0+1*4");
  assert_map (qwen_maps, "transformer_blocks.0.attn.add_v_proj.weight",
              "transformer_blocks.0.attn.add_qkv_proj.weight 4+1*2");
  assert_map (qwen_maps, "txt_norm.weight", "txt_norm.weight 0+1*2");
  assert_map (z_maps, "layers.0.feed_forward.w1.weight", "layers.0.feed_forward.net.0.proj.weight 8+1*8");
}

/* Tests that parts are fused, and that a matrix is cut by columns */
static void
test_to_nunchaku (void)
{
  g_autoptr (Family) f = map_family ("flux1"), z = map_family ("z_image");
  g_autoptr (Dims) dims = small_dims ();
  g_autoptr (Names) names
      = names_of (SINGLE "attn.to_q.weight", 2, 2, SINGLE "attn.to_k.weight", 2, 2, SINGLE "attn.to_v.weight", 2, 2,
                  SINGLE "proj_mlp.weight", 8, 2, SINGLE "proj_out.weight", 2, 10, SINGLE "proj_out.bias", 2, 0, NULL);
  g_autoptr (Names) gated
      = names_of ("layers.0.feed_forward.w1.weight", 8, 2, "layers.0.feed_forward.w3.weight", 8, 2, NULL);
  g_autoptr (GPtrArray) maps = map_names (f, NULL, dims, names, to_nunchaku);
  g_autoptr (GPtrArray) z_maps = map_names (z, NULL, dims, gated, to_nunchaku);

  g_assert_cmpuint (maps->len, ==, 5);
  assert_map (maps, SINGLE "qkv_proj.weight",
              SINGLE "attn.to_q.weight 0+1*2, " SINGLE "attn.to_k.weight 0+1*2, " SINGLE "attn.to_v.weight 0+1*2");
  assert_map (maps, SINGLE "mlp_fc1.weight", SINGLE "proj_mlp.weight 0+1*8");
  assert_map (maps, SINGLE "out_proj.weight", SINGLE "proj_out.weight 0+1*2 [0+2]");
  assert_map (maps, SINGLE "mlp_fc2.weight", SINGLE "proj_out.weight 0+1*2 [2+8]");
  assert_map (maps, SINGLE "mlp_fc2.bias", SINGLE "proj_out.bias 0+1*2");
  assert_map (z_maps, "layers.0.feed_forward.net.0.proj.weight",
              "layers.0.feed_forward.w3.weight 0+1*8, layers.0.feed_forward.w1.weight 0+1*8");
}

/* Tests that tensors without a name are found, whichever step lacks it */
static void
test_stray (void)
{
  g_autoptr (Family) f = map_family ("flux1");
  g_autoptr (Dims) dims = small_dims ();
  g_autoptr (Names) names = names_of (SINGLE "out_proj.bias", 2, 0, "x_embedder.weight", 2, 2, NULL);
  g_autoptr (Names) far = names_of ("single_transformer_blocks.7.mlp_fc1.weight", 8, 2, NULL);
  g_autoptr (GPtrArray) maps = qconv_keymap (MAP (f, NULL, dims, names, "nunchaku", "diffusers"), NULL);
  g_autoptr (GPtrArray) none = qconv_keymap (MAP (f, NULL, dims, far, "nunchaku", "diffusers"), NULL);

  g_assert_cmpuint (maps->len, ==, 1);
  g_assert_cmpstr (qconv_keymap_unnamed (MAP (f, NULL, dims, names, "nunchaku", "diffusers"), maps), ==,
                   SINGLE "out_proj.bias");
  g_assert_cmpstr (qconv_keymap_stray (MAP (f, NULL, dims, far, "nunchaku", "diffusers"), none), ==,
                   "single_transformer_blocks.7.mlp_fc1.weight");
  g_assert_false (qconv_keymap_exists (f, "ovis-image", "nunchaku", "diffusers"));
  g_assert_false (qconv_keymap_exists (f, NULL, "nunchaku", "nunchaku"));
}

/* Asserts that @maps make just @want */
static void
assert_makes (GPtrArray *maps, const Names *names, const Names *want)
{
  g_autoptr (Names) made = qconv_keymap_names (maps, names);

  g_assert_cmpuint (qconv_names_length (made), ==, qconv_names_length (want));
  for (guint i = 0; i < qconv_names_length (want); i++)
    {
      const QconvShape *shape = qconv_names_find (made, qconv_names_name (want, i));

      g_assert_nonnull (shape);
      g_assert_true (qconv_shape_equal (shape, qconv_names_shape (want, i)));
    }
}

/* Tests all small variants: two steps lead to the names that the original has in the other naming, and back */
static void
test_variants (gconstpointer family)
{
  g_autoptr (Family) f = map_family (family);
  const FamilyData *data = qconv_family_data (f);
  guint n = 0;

  for (guint i = 0; i < data->variants.n; i++)
    {
      const char *variant = data->variants.at[i].name;
      g_autoptr (Dims) dims = qconv_family_variant_dims (f, variant, NULL);
      g_autoptr (GPtrArray) tensors = qconv_family_expand (f, dims, NULL);
      GPtrArray *maps[4];
      g_autoptr (Names) original = qconv_names_new (), nunchaku = NULL, diffusers = NULL;

      if (!data->variants.at[i].synthetic || !qconv_keymap_exists (f, variant, "nunchaku", "diffusers"))
        continue;
      n++;
      for (guint k = 0; k < tensors->len; k++)
        qconv_names_add (original, ((GraphTensor *) g_ptr_array_index (tensors, k))->name,
                         &((GraphTensor *) g_ptr_array_index (tensors, k))->shape);
      maps[0] = map_names (f, variant, dims, original, (const char *const[]) { "original", "nunchaku" });
      maps[1] = map_names (f, variant, dims, original, (const char *const[]) { "original", "diffusers" });
      nunchaku = qconv_keymap_names (maps[0], original);
      diffusers = qconv_keymap_names (maps[1], original);
      maps[2] = map_names (f, variant, dims, nunchaku, to_diffusers);
      maps[3] = map_names (f, variant, dims, diffusers, to_nunchaku);
      assert_makes (maps[2], nunchaku, diffusers);
      assert_makes (maps[3], diffusers, nunchaku);
      for (guint k = 0; k < G_N_ELEMENTS (maps); k++)
        g_ptr_array_unref (maps[k]);
    }
  g_assert_cmpuint (n, >, 0);
}

void
map_add_chains (void)
{
  g_test_add_func ("/keymap/chain/to-diffusers", test_to_diffusers);
  g_test_add_func ("/keymap/chain/to-nunchaku", test_to_nunchaku);
  g_test_add_func ("/keymap/chain/stray", test_stray);
  g_test_add_data_func ("/keymap/chain/flux1", "flux1", test_variants);
  g_test_add_data_func ("/keymap/chain/qwen_image", "qwen_image", test_variants);
  g_test_add_data_func ("/keymap/chain/z_image", "z_image", test_variants);
}
