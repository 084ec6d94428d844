/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests merged weights bit for bit against the definition of each kind of LoRA. */
#include <string.h>

#include "lora-fixture.h"

/* One block of each kind */
#define BLOCKS "--family flux1 --variant tiny --set depth_double=1 --set depth_single=1"
#define TINY BLOCKS " --set mlp=256 --set mlp1=256 --type f32"
#define QKV "double_blocks.0.img_attn.qkv"
/* Shapes in JSON have the channels as a number */
#define SD15 "--family sd15 --variant tiny --type f32 --set ch=32 --set ctx=64"
enum { HIDDEN = 256, CHANNELS = 32 };

/* Writes a LoRA file with @up, @down and alpha for @layer. Returns: (transfer full): its path */
static char *
write_lora (const char *name, const char *layer, const Matrix *up, const Matrix *down, float alpha)
{
  g_autoptr (Builder) b = builder_new ();

  lora_add (b, layer, ".lora_up.weight", up, NULL);
  lora_add (b, layer, ".lora_down.weight", down, NULL);
  lora_add_alpha (b, layer, alpha);
  return builder_write (b, name);
}

static void
assert_tensor (const QconvModel *m, const char *name, const Matrix *want)
{
  g_autoptr (Matrix) got = lora_tensor (m, name);

  matrix_assert_equal (got, want);
}

/* Tests that strength and alpha scale the product, for every form of the source */
static void
test_product (gconstpointer arguments)
{
  g_autofree char *model = lora_model (arguments);
  const char *prefix = strstr (arguments, "--prefix") != NULL ? "model.diffusion_model." : "";
  g_autofree char *name = g_strconcat (prefix, QKV ".weight", NULL), *line = g_strconcat (name, "\n", NULL);
  g_autoptr (Matrix) up = matrix_noise (3 * HIDDEN, 3, 1), down = matrix_noise (3, HIDDEN, 2);
  g_autofree char *lora = write_lora ("one.safetensors", "diffusion_model." QKV, up, down, 1.5f);
  g_autofree char *with_strength = g_strconcat (lora, ":0.75", NULL), *less = g_strconcat (lora, ":-2", NULL);
  const char *strengths[] = { lora, with_strength, less };
  const float scales[] = { 1.5f / 3, 0.75f * 1.5f / 3, -2 * 1.5f / 3 };
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", "original", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (strengths); i++)
    {
      const char *loras[] = { strengths[i], NULL };
      g_autoptr (Matrix) want = lora_tensor (plain, name);
      g_autoptr (QconvModel) baked = lora_bake (model, "f32-safetensors", "original", loras);
      g_autofree char *changes = lora_changes (plain, baked);

      g_assert_cmpstr (changes, ==, line);
      matrix_add_product (want, 0, up, down, scales[i]);
      assert_tensor (baked, name, want);
    }
}

/* Tests that several LoRAs are added in the order of the command line */
static void
test_two (void)
{
  g_autofree char *model = lora_model (TINY);
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, 16, 3), down = matrix_noise (16, HIDDEN, 4);
  g_autoptr (Matrix) up2 = matrix_noise (HIDDEN, 70, 5), down2 = matrix_noise (70, HIDDEN, 6);
  g_autofree char *a = write_lora ("a.safetensors", "lora_unet_double_blocks_0_img_attn_proj", up, down, 8);
  g_autofree char *b = write_lora ("b.safetensors", "double_blocks.0.img_attn.proj", up2, down2, 70);
  const char *loras[] = { a, b, NULL }, *turned[] = { b, a, NULL };
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL);
  g_autoptr (QconvModel) baked = lora_bake (model, "f32-safetensors", NULL, loras);
  g_autoptr (QconvModel) other = lora_bake (model, "f32-safetensors", NULL, turned);
  g_autoptr (Matrix) want = lora_tensor (plain, "double_blocks.0.img_attn.proj.weight"),
                     want_other = lora_tensor (plain, "double_blocks.0.img_attn.proj.weight");

  matrix_add_product (want, 0, up, down, 0.5f);
  matrix_add_product (want, 0, up2, down2, 1);
  matrix_add_product (want_other, 0, up2, down2, 1);
  matrix_add_product (want_other, 0, up, down, 0.5f);
  assert_tensor (baked, "double_blocks.0.img_attn.proj.weight", want);
  assert_tensor (other, "double_blocks.0.img_attn.proj.weight", want_other);
}

/* Tests that a LoRA of strength 0 changes nothing */
static void
test_zero (void)
{
  g_autofree char *model = lora_model (TINY);
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, 2, 3), down = matrix_noise (2, HIDDEN, 4);
  g_autofree char *a = write_lora ("a.safetensors", "double_blocks.0.img_attn.proj", up, down, 8);
  g_autofree char *none = g_strconcat (a, ":0", NULL);
  const char *loras[] = { none, NULL };
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL);
  g_autoptr (QconvModel) baked = lora_bake (model, "f32-safetensors", NULL, loras);
  g_autofree char *changes = lora_changes (plain, baked);

  g_assert_cmpstr (changes, ==, "");
}

static void
test_diff (void)
{
  static const char *const names[]
      = { "final_layer.linear.weight", "final_layer.linear.bias", "double_blocks.0.img_attn.norm.key_norm.scale" };
  static const char *const layers[] = { "diffusion_model.final_layer.linear", "diffusion_model.final_layer.linear",
                                        "diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale" };
  static const char *const suffixes[] = { ".diff", ".diff_b", ".diff" };
  g_autofree char *model = lora_model (TINY);
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL);
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *lora = NULL, *text = NULL, *changes = NULL;
  const char *loras[2] = { NULL };
  g_autoptr (QconvModel) baked = NULL;

  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (Matrix) w = lora_tensor (plain, names[i]), d = matrix_noise (w->rows, w->cols, i + 9);

      lora_add (b, layers[i], suffixes[i], d, NULL);
    }
  lora = builder_write (b, "diff.safetensors");
  loras[0] = text = g_strconcat (lora, ":0.5", NULL);
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  changes = lora_changes (plain, baked);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (Matrix) w = lora_tensor (plain, names[i]), d = matrix_noise (w->rows, w->cols, i + 9);

      g_assert_nonnull (strstr (changes, names[i]));
      for (gsize j = 0; j < w->rows * w->cols; j++)
        w->items[j] += 0.5f * d->items[j];
      assert_tensor (baked, names[i], w);
    }
}

/* Multiplies @a and @b. Returns: (transfer full) */
static Matrix *
multiply (const Matrix *a, const Matrix *b)
{
  Matrix *m = g_new (Matrix, 1);

  *m = (Matrix) { a->rows, b->cols, g_new0 (float, a->rows * b->cols) };
  matrix_add_product (m, 0, a, b, 1);
  return m;
}

static void
test_hadamard (void)
{
  g_autofree char *model = lora_model (TINY);
  g_autoptr (Matrix) a = matrix_noise (HIDDEN, 4, 11), b = matrix_noise (4, HIDDEN, 12);
  g_autoptr (Matrix) c = matrix_noise (HIDDEN, 4, 13), d = matrix_noise (4, HIDDEN, 14);
  g_autoptr (Matrix) x = multiply (a, b), y = multiply (c, d), want = NULL;
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL), baked = NULL;
  g_autoptr (Builder) lora = builder_new ();
  const char *loras[2] = { NULL }, *layer = "lycoris_double_blocks_0_img_attn_proj";
  g_autofree char *path = NULL;

  lora_add (lora, layer, ".hada_w1_a", a, NULL);
  lora_add (lora, layer, ".hada_w1_b", b, NULL);
  lora_add (lora, layer, ".hada_w2_a", c, NULL);
  lora_add (lora, layer, ".hada_w2_b", d, NULL);
  lora_add_alpha (lora, layer, 2);
  loras[0] = path = builder_write (lora, "loha.safetensors");
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  want = lora_tensor (plain, "double_blocks.0.img_attn.proj.weight");
  for (gsize i = 0; i < HIDDEN * HIDDEN; i++)
    {
      volatile float product = x->items[i] * y->items[i];

      want->items[i] += 0.5f * product;
    }
  assert_tensor (baked, "double_blocks.0.img_attn.proj.weight", want);
}

/* Tests factors of 8 × 16 and 32 × 16 items. Alpha counts if the second is a product */
static void
test_kronecker (void)
{
  g_autofree char *model = lora_model (TINY);
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL);
  g_autoptr (Matrix) outer = matrix_noise (8, 16, 15), a = matrix_noise (32, 2, 16), b = matrix_noise (2, 16, 17);
  g_autoptr (Matrix) inner = multiply (a, b);
  const char *layer = "double_blocks.0.img_attn.proj";

  for (guint low_rank = 0; low_rank < 2; low_rank++)
    {
      g_autoptr (Builder) lora = builder_new ();
      g_autoptr (Matrix) want = lora_tensor (plain, "double_blocks.0.img_attn.proj.weight");
      g_autofree char *path = NULL;
      const char *loras[2] = { NULL };
      g_autoptr (QconvModel) baked = NULL;

      lora_add (lora, layer, ".lokr_w1", outer, NULL);
      if (low_rank)
        {
          lora_add (lora, layer, ".lokr_w2_a", a, NULL);
          lora_add (lora, layer, ".lokr_w2_b", b, NULL);
        }
      else
        lora_add (lora, layer, ".lokr_w2", inner, NULL);
      lora_add_alpha (lora, layer, 0.5f);
      loras[0] = path = builder_write (lora, "lokr.safetensors");
      baked = lora_bake (model, "f32-safetensors", NULL, loras);
      for (gsize i = 0; i < HIDDEN * HIDDEN; i++)
        {
          gsize row = i / HIDDEN, col = i % HIDDEN;
          volatile float product = outer->items[row / 32 * 16 + col / 16] * inner->items[row % 32 * 16 + col % 16];
          volatile float scaled = (low_rank ? 0.25f : 1.0f) * product;

          want->items[i] += scaled;
        }
      assert_tensor (baked, "double_blocks.0.img_attn.proj.weight", want);
    }
}

/* Tests that the kernel of a convolution belongs to the columns; the 1 × 1 kernel of a factor adds none */
static void
test_convolution (void)
{
  g_autofree char *model = lora_model (SD15);
  const char *name = "input_blocks.1.0.in_layers.2.weight";
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL), baked = NULL;
  g_autoptr (Matrix) want = lora_tensor (plain, name);
  g_autoptr (Matrix) up = matrix_noise (CHANNELS, 2, 18), down = matrix_noise (2, CHANNELS * 9, 19);
  g_autoptr (Builder) lora = builder_new ();
  const char *loras[2] = { NULL }, *layer = "lora_unet_down_blocks_0_resnets_0_conv1";
  g_autofree char *path = NULL, *changes = NULL, *line = g_strconcat (name, "\n", NULL);

  lora_add (lora, layer, ".lora_up.weight", up, "[32,2,1,1]");
  lora_add (lora, layer, ".lora_down.weight", down, "[2,32,3,3]");
  loras[0] = path = builder_write (lora, "conv.safetensors");
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  changes = lora_changes (plain, baked);
  g_assert_cmpstr (changes, ==, line);
  matrix_add_product (want, 0, up, down, 1);
  assert_tensor (baked, name, want);
}

/* Tests a convolution whose kernel is in the factor between the two others */
static void
test_tucker (void)
{
  enum { RANK = 2, INPUTS = CHANNELS, KERNEL = 9 };
  g_autofree char *model = lora_model (SD15);
  const char *name = "input_blocks.1.0.in_layers.2.weight";
  g_autoptr (QconvModel) plain = lora_bake (model, "f32-safetensors", NULL, NULL), baked = NULL;
  g_autoptr (Matrix) want = lora_tensor (plain, name), inner = matrix_noise (RANK, INPUTS * KERNEL, 0);
  g_autoptr (Matrix) up = matrix_noise (CHANNELS, RANK, 23), down = matrix_noise (RANK, INPUTS, 24);
  g_autoptr (Matrix) mid = matrix_noise (RANK, RANK * KERNEL, 25);
  g_autoptr (Builder) lora = builder_new ();
  const char *loras[2] = { NULL }, *layer = "lora_unet_down_blocks_0_resnets_0_conv1";
  g_autofree char *path = NULL;

  lora_add (lora, layer, ".lora_up.weight", up, "[32,2,1,1]");
  lora_add (lora, layer, ".lora_down.weight", down, "[2,32,1,1]");
  lora_add (lora, layer, ".lora_mid.weight", mid, "[2,2,3,3]");
  lora_add_alpha (lora, layer, 1);
  loras[0] = path = builder_write (lora, "tucker.safetensors");
  baked = lora_bake (model, "f32-safetensors", NULL, loras);
  for (gsize row = 0; row < RANK; row++)
    for (gsize col = 0; col < INPUTS * KERNEL; col++)
      {
        volatile float sum = 0;

        for (gsize t = 0; t < RANK; t++)
          {
            volatile float product
                = down->items[t * INPUTS + col / KERNEL] * mid->items[row * mid->cols + t * KERNEL + col % KERNEL];

            sum += product;
          }
        inner->items[row * inner->cols + col] = sum;
      }
  matrix_add_product (want, 0, up, inner, 1.0f / RANK);
  assert_tensor (baked, name, want);
}

/* Tests that merging and encoding in one run gives the same bytes as in two */
static void
test_encoded (gconstpointer target)
{
  g_autofree char *model = lora_model (TINY);
  g_autoptr (Matrix) up = matrix_noise (3 * HIDDEN, 3, 1), down = matrix_noise (3, HIDDEN, 2);
  g_autofree char *lora = write_lora ("one.safetensors", "diffusion_model." QKV, up, down, 1.5f);
  const char *loras[] = { lora, NULL };
  g_autofree char *merged = scratch_path ("merged.safetensors");
  QconvJob job = { .target = "f32-safetensors", .output = merged, .lora.files = loras, .run.force = TRUE };
  g_autoptr (QconvModel) m = open_model (model, NULL), direct = NULL, after = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);
  g_autofree char *changes = NULL;

  g_assert_true (qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error));
  g_assert_no_error (error);
  direct = lora_bake (model, target, NULL, loras);
  after = lora_bake (merged, target, NULL, NULL);
  changes = lora_changes (direct, after);
  g_assert_cmpstr (changes, ==, "");
}

/* Tests that the number of threads and the memory budget change no byte */
static void
test_memory (void)
{
  g_autofree char *model = lora_model (BLOCKS);
  g_autoptr (Matrix) up = matrix_noise (4 * HIDDEN, 90, 21), down = matrix_noise (90, HIDDEN, 22);
  g_autofree char *lora = write_lora ("large.safetensors", "double_blocks.0.txt_mlp.0", up, down, 90);
  g_autofree char *output = scratch_path ("out.safetensors"), *first = NULL;
  const char *loras[] = { lora, NULL };
  gsize n_first = 0;

  for (guint i = 0; i < 4; i++)
    {
      QconvJob job = { .target = "nvfp4-comfy",
                       .output = output,
                       .lora.files = loras,
                       .run.force = TRUE,
                       .rules.only = QCONV_LIST ("mlp"),
                       .run.n_threads = i % 2 * 3 + 1,
                       .run.memory = i < 2 ? 0 : 4 << 20 };
      g_autoptr (QconvModel) m = open_model (model, NULL);
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);
      g_autofree char *bytes = NULL;
      gsize n;

      g_assert_no_error (error);
      g_assert_true (qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error));
      g_assert_true (g_file_get_contents (output, &bytes, &n, &error));
      if (first != NULL)
        g_assert_cmpmem (bytes, n, first, n_first);
      else
        {
          first = g_steal_pointer (&bytes);
          n_first = n;
        }
    }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_data_func ("/lora/product/f32", TINY, test_product);
  g_test_add_data_func ("/lora/product/bf16", BLOCKS, test_product);
  g_test_add_data_func ("/lora/product/diffusers", TINY " --naming diffusers", test_product);
  g_test_add_data_func ("/lora/product/prefix", TINY " --prefix model.diffusion_model.", test_product);
  g_test_add_data_func ("/lora/product/gguf", BLOCKS " --format gguf --type q8_0", test_product);
  g_test_add_func ("/lora/two", test_two);
  g_test_add_func ("/lora/zero", test_zero);
  g_test_add_func ("/lora/diff", test_diff);
  g_test_add_func ("/lora/hadamard", test_hadamard);
  g_test_add_func ("/lora/kronecker", test_kronecker);
  g_test_add_func ("/lora/convolution", test_convolution);
  g_test_add_func ("/lora/tucker", test_tucker);
  g_test_add_data_func ("/lora/encoded/nvfp4", "nvfp4-comfy", test_encoded);
  g_test_add_data_func ("/lora/encoded/fp8", "fp8-comfy", test_encoded);
  g_test_add_func ("/lora/memory", test_memory);
  result = g_test_run ();
  scratch_end ();
  return result;
}
