/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the claims of the reader: names, shapes, scales beside weights, prefixes. */
#include <string.h>

#include "fixture.h"

enum { F32 = 0, Q8_0 = 8, MXFP4 = 39, NVFP4 = 40 };

static const guint8 zeros[4096];

static void
assert_layer (const Model *m, const char *name, const char *scheme, const char *plain_name, guint64 rows, guint64 cols)
{
  const SourceLayer *s = model_layer (m, name);

  g_assert_cmpstr (s->layer->scheme, ==, scheme);
  g_assert_cmpstr (s->plain_name, ==, plain_name);
  g_assert_cmpuint (s->layer->pub.rows, ==, rows);
  g_assert_cmpuint (s->layer->pub.cols, ==, cols);
}

static void
assert_shape (const Model *m, const char *name, const char *shape)
{
  g_autofree char *text = qconv_shape_to_string (&model_layer (m, name)->layer->pub.shape);

  g_assert_cmpstr (text, ==, shape);
}

static void
assert_bound (const Model *m, const char *name, const char *component, gboolean bound)
{
  g_assert_true ((qconv_source_layer_binding (model_layer (m, name), component) != NULL) == bound);
}

static void
test_names (void)
{
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) m = NULL;

  build_tensor (b, "a.weight", Q8_0, zeros, 3 * 34, 32, 3, -1);
  build_tensor (b, "a.bias", F32, zeros, 12, 3, -1);
  build_tensor (b, "table", Q8_0, zeros, 2 * 68, 64, 2, -1);
  build_tensor (b, "vector", Q8_0, zeros, 34, 32, -1);
  build_tensor (b, "conv.weight", Q8_0, zeros, 6 * 34, 32, 2, 3, -1);
  m = model_open_build (b, NULL);
  model_claim (m, NULL, FALSE);
  assert_opened (m);
  g_assert_cmpuint (m->layers->len, ==, 5);
  assert_layer (m, "a", "q8_0", "a.weight", 3, 32);
  assert_layer (m, "a.bias", "plain", "a.bias", 3, 1);
  assert_layer (m, "table", "q8_0", "table", 2, 64);
  assert_layer (m, "vector", "q8_0", "vector", 1, 32);
  assert_shape (m, "vector", "[32]");
  assert_layer (m, "conv", "q8_0", "conv.weight", 6, 32);
  assert_shape (m, "conv", "[3, 2, 32]");
  assert_bound (m, "conv", "blocks", TRUE);
}

static void
test_orig_shape (void)
{
  static const gint64 four[] = { 2, 16, 2, 1 }, two[] = { 2, 4 };
  static const guint32 kinds[] = { KV_U8, KV_I8, KV_U16, KV_I16, KV_U32, KV_I32, KV_U64, KV_I64 };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr (Build) b = build_new (FALSE);
      g_autoptr (Model) m = NULL;

      build_integers (b, "comfy.gguf.orig_shape.a.weight", kinds[i], four, 4);
      build_integers (b, "comfy.gguf.orig_shape.b", kinds[i], two, 2);
      build_text (b, "general.architecture", "sd1");
      build_integer (b, "general.file_type", KV_U32, 7);
      build_tensor (b, "a.weight", Q8_0, zeros, 68, 64, -1);
      build_tensor (b, "b", F32, zeros, 32, 8, -1);
      m = model_open_build (b, NULL);
      model_claim (m, NULL, FALSE);
      assert_opened (m);
      assert_layer (m, "a", "q8_0", "a.weight", 1, 64);
      assert_shape (m, "a", "[2, 16, 2, 1]");
      assert_shape (m, "b", "[2, 4]");
      g_assert_true (qconv_claims_metadata_dropped (m->claims, "comfy.gguf.orig_shape.b"));
      g_assert_true (qconv_claims_metadata_dropped (m->claims, "general.file_type"));
      g_assert_false (qconv_claims_metadata_dropped (m->claims, "general.architecture"));
    }
}

/* Tests SDXL files of stable-diffusion.cpp, which have no metadata. Tensors of other files keep their shapes. */
static void
test_padded_projection (gconstpointer data)
{
  gboolean sdxl = GPOINTER_TO_INT (data);
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) m = NULL;

  build_tensor (b, "x.proj_in.weight", F32, zeros, 24, 1, 1, 2, 3, -1);
  build_tensor (b, "x.conv.weight", F32, zeros, 24, 1, 1, 2, 3, -1);
  if (sdxl)
    build_tensor (b, "model.diffusion_model.label_emb.0.0.weight", F32, zeros, 4, 1, -1);
  m = model_open_build (b, NULL);
  model_claim (m, NULL, FALSE);
  assert_opened (m);
  assert_shape (m, "x.proj_in", sdxl ? "[3, 2]" : "[3, 2, 1, 1]");
  assert_shape (m, "x.conv", "[3, 2, 1, 1]");
}

/* Tests the convolution over two frames of Qwen2.5-VL, which is stored as two tensors. Two of other shapes stay as they
   are */
static void
test_frames (gconstpointer data)
{
  gboolean equal = GPOINTER_TO_INT (data);
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) m = NULL;

  build_tensor (b, "v.patch_embd.weight", F32, zeros, 96, 2, 2, 3, 2, -1);
  build_tensor (b, "v.patch_embd.weight.1", F32, zeros, equal ? 96 : 48, 2, 2, 3, equal ? 2 : 1, -1);
  m = model_open_build (b, NULL);
  model_claim (m, NULL, FALSE);
  assert_opened (m);
  g_assert_cmpuint (m->layers->len, ==, equal ? 1 : 2);
  assert_shape (m, "v.patch_embd", equal ? "[2, 3, 2, 2, 2]" : "[2, 3, 2, 2]");
}

static Build *
build_prefixed (void)
{
  Build *b = build_new (FALSE);

  build_tensor (b, "model.diffusion_model.a.weight", Q8_0, zeros, 34, 32, 1, -1);
  build_tensor (b, "model.diffusion_model.a.bias", F32, zeros, 4, 1, -1);
  build_tensor (b, "model.diffusion_model.table", Q8_0, zeros, 34, 32, 1, -1);
  build_tensor (b, "first_stage_model.b.weight", F32, zeros, 4, 1, -1);
  build_tensor (b, "cond.c.weight", Q8_0, zeros, 34, 32, 1, -1);
  return b;
}

static void
test_prefix (void)
{
  g_autoptr (Build) b = build_prefixed (), none = build_new (FALSE);
  g_autoptr (Model) keep = model_open_build (b, NULL), strip = model_open_build (b, NULL), plain = NULL;

  model_claim (keep, NULL, FALSE);
  assert_opened (keep);
  g_assert_cmpuint (keep->layers->len, ==, 5);
  assert_layer (keep, "model.diffusion_model.a", "q8_0", "model.diffusion_model.a.weight", 1, 32);

  model_claim (strip, "prefix=strip", FALSE);
  assert_warned (strip, "2 tensors without the prefix model.diffusion_model. are left out");
  g_assert_cmpuint (strip->layers->len, ==, 3);
  assert_layer (strip, "a", "q8_0", "a.weight", 1, 32);
  assert_layer (strip, "a.bias", "plain", "a.bias", 1, 1);
  assert_layer (strip, "table", "q8_0", "table", 1, 32);

  build_tensor (none, "a.weight", Q8_0, zeros, 34, 32, 1, -1);
  plain = model_open_build (none, NULL);
  model_claim (plain, "prefix=strip", FALSE);
  assert_opened (plain);
  assert_layer (plain, "a", "q8_0", "a.weight", 1, 32);
}

static void
test_side_scales (void)
{
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) m = NULL, forced = NULL;

  build_tensor (b, "a.scale", F32, zeros, 4, 1, -1); /* before its weight */
  build_tensor (b, "a.weight", NVFP4, zeros, 72, 64, 2, -1);
  build_tensor (b, "a.input_scale", F32, zeros, 4, -1);
  build_tensor (b, "b.weight", NVFP4, zeros, 72, 64, 2, -1);
  build_tensor (b, "experts.weight", NVFP4, zeros, 216, 64, 2, 3, -1);
  build_tensor (b, "experts.scale", F32, zeros, 12, 3, -1);
  build_tensor (b, "experts.input_scale", F32, zeros, 12, 3, -1);
  build_tensor (b, "m.weight", MXFP4, zeros, 34, 32, 2, -1);
  build_tensor (b, "norm.scale", F32, zeros, 4, 1, -1);
  m = model_open_build (b, NULL);
  model_claim (m, NULL, FALSE);
  assert_opened (m);
  g_assert_cmpuint (m->layers->len, ==, 5);
  assert_layer (m, "a", "nvfp4", "a.weight", 2, 64);
  assert_bound (m, "a", "input_scale", TRUE);
  assert_layer (m, "b", "nvfp4", "b.weight", 2, 64);
  assert_bound (m, "b", "tensor_scale", TRUE);
  assert_bound (m, "b", "input_scale", FALSE);
  assert_layer (m, "experts", "nvfp4_blocks", "experts.weight", 6, 64);
  assert_bound (m, "experts", "tensor_scale", TRUE);
  assert_layer (m, "m", "mxfp4", "m.weight", 2, 32);
  assert_layer (m, "norm.scale", "plain", "norm.scale", 1, 1);

  forced = model_open_build (b, NULL);
  model_claim (forced, NULL, TRUE);
  assert_opened (forced);
  assert_layer (forced, "a", "nvfp4_blocks", "a.weight", 2, 64);
  assert_bound (forced, "a", "tensor_scale", TRUE);
  assert_bound (forced, "b", "tensor_scale", FALSE);
  assert_layer (forced, "m", "mxfp4_blocks", "m.weight", 2, 32);
}

/* Tests bad scales. @data: TRUE: as many scales as rows; FALSE: blocks in place of a number */
static void
test_bad_side_scale (gconstpointer data)
{
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) m = NULL;

  build_tensor (b, "a.weight", NVFP4, zeros, 72, 64, 2, -1);
  if (GPOINTER_TO_INT (data))
    build_tensor (b, "a.scale", F32, zeros, 8, 2, -1);
  else
    build_tensor (b, "a.input_scale", Q8_0, zeros, 34, 32, -1);
  m = model_open_build (b, NULL);
  model_claim (m, NULL, FALSE);
  assert_refused (m, GPOINTER_TO_INT (data) ? "\"a.scale\": 2 scales" : "\"a.input_scale\": a scale of type Q8_0");
}

int
main (int argc, char **argv)
{
  fixture_init (&argc, &argv);
  g_test_add_func ("/gguf/claims/names", test_names);
  g_test_add_func ("/gguf/claims/orig-shape", test_orig_shape);
  g_test_add_data_func ("/gguf/claims/padded-projection/sdxl", GINT_TO_POINTER (TRUE), test_padded_projection);
  g_test_add_data_func ("/gguf/claims/padded-projection/other", GINT_TO_POINTER (FALSE), test_padded_projection);
  g_test_add_data_func ("/gguf/claims/frames/equal", GINT_TO_POINTER (TRUE), test_frames);
  g_test_add_data_func ("/gguf/claims/frames/other", GINT_TO_POINTER (FALSE), test_frames);
  g_test_add_func ("/gguf/claims/prefix", test_prefix);
  g_test_add_func ("/gguf/claims/side-scales", test_side_scales);
  g_test_add_data_func ("/gguf/claims/bad-side-scale/many", GINT_TO_POINTER (TRUE), test_bad_side_scale);
  g_test_add_data_func ("/gguf/claims/bad-side-scale/type", GINT_TO_POINTER (FALSE), test_bad_side_scale);
  return g_test_run ();
}
