/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests LoRAs of layers that one naming has whole and another in two, side by side: linear2 of FLUX.1 is out_proj and
   mlp_fc2 in nunchaku's files. */
#include <string.h>

#include "lora-fixture.h"
#include "small.h"

#define TINY                                                                                                      \
  "--family flux1 --variant tiny --set depth_double=1 --set depth_single=1 --set hidden=128 --set mlp=256 --set " \
  "mlp1=256 --set ctx=128 --type f32 --naming "
enum { HIDDEN = 128, MLP = 256, ALL = HIDDEN + MLP, RANK = 4 };

/* @tensors: of the layer, side by side */
static const struct {
  const char *naming, *tensors[3];
} namings[] = {
  { "original", { "single_blocks.0.linear2.weight" } },
  { "diffusers", { "single_transformer_blocks.0.proj_out.weight" } },
  { "nunchaku", { "single_transformer_blocks.0.out_proj.weight", "single_transformer_blocks.0.mlp_fc2.weight" } },
};

/* @key means columns [first, first + n) of linear2 */
typedef struct {
  const char *key;
  gsize first, n;
} Columns;

static const Columns keys[] = {
  { "single_blocks.0.linear2", 0, ALL },
  { "lora_unet_single_blocks_0_linear2", 0, ALL },
  { "transformer.single_transformer_blocks.0.proj_out", 0, ALL },
  { "transformer.single_transformer_blocks.0.attn.to_out", 0, ALL },
  { "single_transformer_blocks.0.out_proj", 0, HIDDEN },
  { "single_transformer_blocks.0.mlp_fc2", HIDDEN, MLP },
};

static char *
model_in (const char *naming)
{
  g_autofree char *arguments = g_strconcat (TINY, naming, NULL);

  return lora_model (arguments);
}

/* Returns: (transfer full): columns [first, first + n) of @m */
static Matrix *
columns_of (const Matrix *m, gsize first, gsize n)
{
  Matrix *some = matrix_noise (m->rows, n, 1);

  for (gsize row = 0; row < m->rows; row++)
    memcpy (some->items + row * n, m->items + row * m->cols + first, n * sizeof *m->items);
  return some;
}

static void
put_columns (Matrix *m, gsize first, const Matrix *some)
{
  for (gsize row = 0; row < m->rows; row++)
    memcpy (m->items + row * m->cols + first, some->items + row * some->cols, some->cols * sizeof *m->items);
}

/* Asserts that @got has @want for linear2, and all else of the model in naming @at */
static void
assert_merged (const QconvModel *got, guint at, const Matrix *want, const Columns *c)
{
  g_autofree char *path = model_in (namings[at].naming), *changes = NULL;
  g_autoptr (QconvModel) plain = open_model (path, NULL);
  g_autoptr (GString) changed = g_string_new (NULL);
  gsize first = 0;

  for (guint i = 0; namings[at].tensors[i] != NULL; i++)
    {
      g_autoptr (Matrix) have = lora_tensor (got, namings[at].tensors[i]), part = NULL;

      part = columns_of (want, first, have->cols);
      matrix_assert_equal (have, part);
      if (first < c->first + c->n && c->first < first + have->cols)
        g_string_append_printf (changed, "%s\n", namings[at].tensors[i]);
      first += have->cols;
    }
  g_assert_cmpuint (first, ==, ALL);
  changes = lora_changes (plain, got);
  g_assert_cmpstr (changes, ==, changed->str);
}

/* Merges @file into the model in naming @from, to naming @to */
static void
assert_merges (const char *file, const Matrix *want, const Columns *c, guint from, guint to)
{
  g_autofree char *path = model_in (namings[from].naming);
  g_autoptr (QconvModel) got
      = lora_bake (path, "f32-safetensors", namings[to].naming, (const char *const[]) { file, NULL });

  assert_merged (got, to, want, c);
}

/* Merges @file into the model in each naming, to each naming. In a small test the keys of the whole layer share the
   ways: @key of @n_keys */
static void
assert_all_merged (const char *file, const Matrix *want, const Columns *c, guint key, guint n_keys)
{
  enum { N = G_N_ELEMENTS (namings) };

  for (guint way = 0; way < N * N; way++)
    if (c->n < ALL || !test_skips (key, n_keys, way, N * N))
      assert_merges (file, want, c, way / N, way % N);
}

static Matrix *
original_weight (void)
{
  g_autofree char *path = model_in ("original");
  g_autoptr (QconvModel) m = open_model (path, NULL);

  return lora_tensor (m, namings[0].tensors[0]);
}

static void
test_products (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      const Columns *c = &keys[i];
      g_autoptr (Matrix) up = matrix_noise (HIDDEN, RANK, 3), down = matrix_noise (RANK, c->n, 4);
      g_autoptr (Matrix) want = original_weight (), part = columns_of (want, c->first, c->n);
      g_autoptr (Builder) b = builder_new ();
      g_autofree char *file = NULL;

      lora_add (b, c->key, ".lora_up.weight", up, NULL);
      lora_add (b, c->key, ".lora_down.weight", down, NULL);
      file = builder_write (b, "columns.safetensors");
      matrix_add_product (part, 0, up, down, 1);
      put_columns (want, c->first, part);
      assert_all_merged (file, want, c, i, G_N_ELEMENTS (keys));
    }
}

/* Tests whole matrices, which are loaded row by row, and two keys of one layer */
static void
test_differences (void)
{
  const Columns all = { NULL, 0, ALL };
  g_autoptr (Matrix) left = matrix_noise (HIDDEN, HIDDEN, 5), right = matrix_noise (HIDDEN, MLP, 6);
  g_autoptr (Matrix) want = original_weight ();
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *file = NULL;

  lora_add (b, keys[4].key, ".diff", left, NULL);
  lora_add (b, keys[5].key, ".diff", right, NULL);
  file = builder_write (b, "columns.safetensors");
  for (gsize row = 0; row < HIDDEN; row++)
    for (gsize col = 0; col < ALL; col++)
      want->items[row * ALL + col]
          += col < HIDDEN ? left->items[row * HIDDEN + col] : right->items[row * MLP + col - HIDDEN];
  assert_all_merged (file, want, &all, 0, 1);
}

/* Tests that a LoRA of other columns is told the columns of the whole layer */
static void
test_misfit (void)
{
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, RANK, 3), down = matrix_noise (RANK, HIDDEN, 4);
  g_autoptr (Builder) b = builder_new ();
  g_autofree char *file = NULL, *path = model_in ("nunchaku"), *out = scratch_path ("out.safetensors");

  lora_add (b, keys[0].key, ".lora_up.weight", up, NULL);
  lora_add (b, keys[0].key, ".lora_down.weight", down, NULL);
  file = builder_write (b, "columns.safetensors");
  assert_job_refused (
      path,
      &(QconvJob) { .target = "f32-safetensors", .output = out, .lora.files = (const char *const[]) { file, NULL } },
      QCONV_ERROR_INPUT, "the LoRA has 128 × 128 items, \"single_blocks.0.linear2.weight\" has 128 × 384");
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  g_test_add_func ("/lora/columns/products", test_products);
  g_test_add_func ("/lora/columns/differences", test_differences);
  g_test_add_func ("/lora/columns/misfit", test_misfit);
  result = g_test_run ();
  scratch_end ();
  return result;
}
