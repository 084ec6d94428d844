/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests rows of attention heads, which llama.cpp's converter reorders, and files of which nobody knows the order. */
#include <glib/gstdio.h>
#include <string.h>

#include "build.h"
#include "qconv-json.h"
#include "qconv.h"

enum { HIDDEN = 64, KV = 32, FFN = 96, VOCAB = 40 };

/* Adds rows that hold their own numbers */
static void
add_rows (Build *b, const char *name, guint rows, guint cols)
{
  g_autofree float *x = g_new (float, rows *cols);

  for (guint i = 0; i < rows * cols; i++)
    x[i] = (float) (i / cols);
  build_tensor (b, name, 0, x, rows * cols * sizeof *x, (int) cols, (int) rows, -1);
}

static void
add_vector (Build *b, const char *name, guint n)
{
  g_autofree float *x = g_new0 (float, n);

  build_tensor (b, name, 0, x, n * sizeof *x, (int) n, -1);
}

/* Writes a decoder of one block. @architecture: (nullable): NULL: not stated; @heads: 0: not stated; @d: rows of a
   head; 0: not stated */
static char *
write_decoder (const char *architecture, guint heads, guint d)
{
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (GByteArray) file = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *count = g_strconcat (architecture != NULL ? architecture : "", ".attention.head_count", NULL);
  g_autofree char *length = g_strconcat (architecture != NULL ? architecture : "", ".attention.key_length", NULL);
  char *path = g_strdup_printf ("%s/qconv-heads-%u.gguf", g_get_tmp_dir (), g_random_int ());

  if (architecture != NULL)
    build_text (b, "general.architecture", architecture);
  if (heads > 0)
    build_integer (b, count, KV_U32, heads);
  if (d > 0)
    build_integer (b, length, KV_U32, d);
  add_rows (b, "token_embd.weight", VOCAB, HIDDEN);
  add_vector (b, "output_norm.weight", HIDDEN);
  add_vector (b, "blk.0.attn_norm.weight", HIDDEN);
  add_rows (b, "blk.0.attn_q.weight", HIDDEN, HIDDEN);
  add_rows (b, "blk.0.attn_k.weight", KV, HIDDEN);
  add_rows (b, "blk.0.attn_v.weight", KV, HIDDEN);
  add_rows (b, "blk.0.attn_output.weight", HIDDEN, HIDDEN);
  add_vector (b, "blk.0.ffn_norm.weight", HIDDEN);
  add_rows (b, "blk.0.ffn_gate.weight", FFN, HIDDEN);
  add_rows (b, "blk.0.ffn_up.weight", FFN, HIDDEN);
  add_rows (b, "blk.0.ffn_down.weight", HIDDEN, FFN);
  file = build_file (b);
  g_file_set_contents (path, (const char *) file->data, file->len, &error);
  g_assert_no_error (error);
  return path;
}

/* Plans a conversion to plain numbers with @names, or for a loader if @names is NULL. @order: (nullable): of rows, as
   the user states it */
static QconvPlan *
plan_new (const char *input, const char *output, const char *order, const char *names, QconvModel **m, GError **error)
{
  QconvJob job = { .target = names != NULL ? "f32-safetensors" : "fp8-comfy",
                   .output = output,
                   .names.naming = names,
                   .run.force = TRUE };
  const char *const options[] = { order, NULL };

  *m = qconv_model_open (input, &(QconvOpenOptions) { .options = options }, error);
  g_assert_nonnull (*m);
  return qconv_plan_new (*m, &job, error);
}

static QconvModel *
convert (const char *input, const char *output, const char *order)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) plan = plan_new (input, output, order, "original", &m, &error);
  QconvModel *written;

  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  written = qconv_model_open (output, NULL, &error);
  g_assert_no_error (error);
  return written;
}

/* Asserts that rows have the order of heads with @d rows; 0: their own order */
static void
assert_rows (const QconvModel *m, const char *name, guint rows, guint d)
{
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
  g_autofree float *x = g_new (float, rows *HIDDEN);

  g_assert_nonnull (t);
  g_assert_cmpuint (t->n_bytes, ==, rows * HIDDEN * sizeof *x);
  g_assert_true (qconv_tensor_read (t, 0, t->n_bytes, x, NULL));
  for (guint row = 0; row < rows; row++)
    {
      guint h = d > 0 ? row / d : 0, s = d > 0 ? row % d / (d / 2) : 0, j = d > 0 ? row % (d / 2) : 0;

      g_assert_cmpfloat (x[row * HIDDEN], ==, (float) (d > 0 ? h * d + 2 * j + s : row));
    }
}

/* Converts a file of @architecture and asserts that query and key have heads with @d rows in the other order; 0: in
   their own */
static void
assert_order (const char *input, const char *order, guint d)
{
  g_autofree char *output = g_strconcat (input, ".safetensors", NULL);
  g_autoptr (QconvModel) m = convert (input, output, order);

  g_assert_cmpstr (qconv_model_family (m), ==, "llm_dense");
  assert_rows (m, "model.layers.0.self_attn.q_proj.weight", HIDDEN, d);
  assert_rows (m, "model.layers.0.self_attn.k_proj.weight", KV, d);
  assert_rows (m, "model.layers.0.self_attn.v_proj.weight", KV, 0);
  assert_rows (m, "model.layers.0.self_attn.o_proj.weight", HIDDEN, 0);
  g_unlink (input);
  g_unlink (output);
}

/* Tests that the number of heads, which only the metadata hold, decides. */
static void
test_heads (void)
{
  static const guint heads[] = { 2, 4, 8 };

  for (guint i = 0; i < G_N_ELEMENTS (heads); i++)
    {
      g_autofree char *input = write_decoder ("llama", heads[i], 0);

      assert_order (input, NULL, HIDDEN / heads[i]);
    }
}

/* Tests that the rows of a head, if the file states them, count before the number of heads. */
static void
test_key_length (void)
{
  g_autofree char *both = write_decoder ("llama", 8, 16), *alone = write_decoder ("mistral3", 0, 16);

  assert_order (both, NULL, 16);
  assert_order (alone, NULL, 16);
}

/* Returns: (transfer full): @member of the row orders in the family file: architecture -> source */
static GVariant *
read_architectures (const char *member)
{
  g_autofree char *path = g_build_filename (g_getenv ("QCONV_DATA_PATH"), "families", "llm_dense.json", NULL);
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) root = NULL, keymaps = NULL, keymap = NULL, permute = NULL;
  gsize n;

  g_file_get_contents (path, &text, &n, &error);
  g_assert_no_error (error);
  root = qconv_json_parse (text, n, &error);
  g_assert_no_error (error);
  keymaps = g_variant_lookup_value (root, "keymaps", NULL);
  g_variant_get_child (keymaps, 0, "v", &keymap);
  permute = g_variant_lookup_value (keymap, "permute", NULL);
  return g_variant_lookup_value (permute, member, NULL);
}

/* Converts a file of each architecture that the family lists as @member */
static void
walk (const char *member, guint d)
{
  g_autoptr (GVariant) list = read_architectures (member);
  GVariantIter iter;
  const char *architecture;
  GVariant *source;
  guint n = 0;

  g_variant_iter_init (&iter, list);
  for (; g_variant_iter_loop (&iter, "{&sv}", &architecture, &source); n++)
    {
      g_autofree char *input = write_decoder (architecture, HIDDEN / 16, 0);

      g_assert_cmpstr (g_variant_get_string (source, NULL), !=, "");
      assert_order (input, NULL, d);
    }
  g_assert_cmpuint (n, >=, 10);
}

static void
test_listed (void)
{
  walk ("permuted", 16);
  walk ("plain", 0);
}

/* Asserts that planning fails with @code, and that the message says @what and @instead */
static void
assert_refused (const char *input, const char *names, QconvError code, const char *what, const char *instead)
{
  g_autofree char *output = g_strconcat (input, ".safetensors", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) plan = plan_new (input, output, NULL, names, &m, &error);

  g_assert_null (plan);
  g_assert_error (error, QCONV_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, what));
  g_assert_nonnull (strstr (error->message, instead));
}

/* Tests that an architecture that nobody listed is refused, unless the user states the order or keeps the names. */
static void
test_unlisted (void)
{
  g_autofree char *input = write_decoder ("newcomer", 4, 0), *other = write_decoder ("newcomer", 4, 0);
  g_autofree char *output = g_strconcat (input, ".safetensors", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) plan = NULL;

  assert_refused (input, "original", QCONV_ERROR_UNSUPPORTED, "newcomer", "-o rows=");
  plan = plan_new (input, output, NULL, "keep", &m, &error);
  g_assert_no_error (error);
  assert_order (input, "rows=plain", 0);
  assert_order (other, "gguf.rows=permuted", 16);
}

/* Tests that rows in the other order need the number of heads. */
static void
test_no_heads (void)
{
  g_autofree char *input = write_decoder ("granite", 0, 0), *plain = write_decoder ("qwen3", 0, 0);

  assert_refused (input, "original", QCONV_ERROR_UNSUPPORTED, "number of heads", "--names keep");
  assert_order (plain, NULL, 0);
  g_unlink (input);
}

/* Tests that the order of rows is not guessed from the shapes of a file that states no architecture. */
static void
test_no_architecture (void)
{
  g_autofree char *input = write_decoder (NULL, 0, 0), *other = write_decoder (NULL, 0, 0);
  g_autofree char *output = g_strconcat (other, ".safetensors", NULL);
  const char *const options[] = { "rows=permuted", "head-rows=16", NULL };
  const QconvJob job = { .target = "f32-safetensors", .output = output, .names.naming = "original" };
  g_autoptr (QconvModel) m = NULL, written = NULL;
  g_autoptr (QconvPlan) plan = NULL;
  g_autoptr (GError) error = NULL;

  assert_refused (input, NULL, QCONV_ERROR_UNSUPPORTED, "does not state its architecture", "-o rows=plain");
  assert_order (input, "rows=plain", 0);
  m = qconv_model_open (other, &(QconvOpenOptions) { .options = options }, &error);
  g_assert_no_error (error);
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  written = qconv_model_open (output, NULL, &error);
  assert_rows (written, "model.layers.0.self_attn.q_proj.weight", HIDDEN, 16);
  g_unlink (other);
  g_unlink (output);
}

/* Tests that rows=permuted does not guess the rows of a head, and architectures of which more than the rows differs. */
static void
test_known_better (void)
{
  static const char *const refused[] = { "chameleon", "gemma", "nemotron" };
  g_autofree char *input = write_decoder (NULL, 0, 0), *output = g_strconcat (input, ".safetensors", NULL);

  for (guint i = 0; i <= G_N_ELEMENTS (refused); i++)
    {
      gboolean listed = i < G_N_ELEMENTS (refused);
      g_autofree char *path = listed ? write_decoder (refused[i], 4, 0) : g_strdup (input);
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvModel) m = NULL;
      g_autoptr (QconvPlan) plan
          = plan_new (path, output, listed ? "rows=plain" : "rows=permuted", "original", &m, &error);

      g_assert_null (plan);
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
      g_assert_nonnull (strstr (error->message, listed ? refused[i] : "-o head-rows="));
      g_unlink (path);
    }
}

static void
add_norm (Build *b, const char *name, guint n, float of)
{
  g_autofree float *x = g_new (float, n);

  for (guint i = 0; i < n; i++)
    x[i] = of;
  build_tensor (b, name, 0, x, n * sizeof *x, (int) n, -1);
}

/* Writes one block of Gemma, whose norms llama.cpp's converter makes one too large: they are 1.25 for 0.25 */
static char *
write_gemma (const char *architecture)
{
  static const char *const norms[]
      = { "output_norm", "blk.0.attn_norm", "blk.0.post_attention_norm", "blk.0.ffn_norm", "blk.0.post_ffw_norm" };
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (GByteArray) file = NULL;
  g_autoptr (GError) error = NULL;
  char *path = g_strdup_printf ("%s/qconv-gemma-%u.gguf", g_get_tmp_dir (), g_random_int ());

  build_text (b, "general.architecture", architecture);
  add_rows (b, "token_embd.weight", VOCAB, HIDDEN);
  for (guint i = 0; i < G_N_ELEMENTS (norms); i++)
    {
      g_autofree char *name = g_strconcat (norms[i], ".weight", NULL);

      add_norm (b, name, HIDDEN, 1.25f);
    }
  add_norm (b, "blk.0.attn_q_norm.weight", 16, 1.25f);
  add_norm (b, "blk.0.attn_k_norm.weight", 16, 1.25f);
  add_rows (b, "blk.0.attn_q.weight", HIDDEN, HIDDEN);
  add_rows (b, "blk.0.attn_k.weight", KV, HIDDEN);
  add_rows (b, "blk.0.attn_v.weight", KV, HIDDEN);
  add_rows (b, "blk.0.attn_output.weight", HIDDEN, HIDDEN);
  add_rows (b, "blk.0.ffn_gate.weight", FFN, HIDDEN);
  add_rows (b, "blk.0.ffn_up.weight", FFN, HIDDEN);
  add_rows (b, "blk.0.ffn_down.weight", HIDDEN, FFN);
  file = build_file (b);
  g_file_set_contents (path, (const char *) file->data, file->len, &error);
  g_assert_no_error (error);
  return path;
}

/* Tests the norms of Gemma: those of the makers under their names, those of the file under its own. */
static void
test_gemma (void)
{
  static const char *const norms[] = { "model.norm",
                                       "model.layers.0.input_layernorm",
                                       "model.layers.0.post_attention_layernorm",
                                       "model.layers.0.pre_feedforward_layernorm",
                                       "model.layers.0.post_feedforward_layernorm",
                                       "model.layers.0.self_attn.q_norm",
                                       "model.layers.0.self_attn.k_norm" };
  static const char *const architectures[] = { "gemma2", "gemma3" };

  for (guint a = 0; a < G_N_ELEMENTS (architectures); a++)
    {
      g_autofree char *input = write_gemma (architectures[a]), *output = g_strconcat (input, ".safetensors", NULL);
      g_autoptr (QconvModel) m = convert (input, output, NULL);

      g_assert_cmpstr (qconv_model_family (m), ==, "gemma");
      for (guint i = 0; i < G_N_ELEMENTS (norms); i++)
        {
          g_autofree char *name = g_strconcat (norms[i], ".weight", NULL);
          const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
          float x[HIDDEN];

          g_assert_nonnull (t);
          g_assert_cmpuint (t->n_bytes, ==, i < 5 ? sizeof x : 16 * sizeof *x);
          g_assert_true (qconv_tensor_read (t, 0, t->n_bytes, x, NULL));
          for (guint k = 0; k < t->n_bytes / sizeof *x; k++)
            g_assert_cmpfloat (x[k], ==, 0.25f);
        }
      assert_rows (m, "model.layers.0.self_attn.q_proj.weight", HIDDEN, 0);
      g_unlink (input);
      g_unlink (output);
    }
}

/* Tests that norms of another architecture, of which nobody knows whether they are larger, are refused. */
static void
test_gemma_unlisted (void)
{
  g_autofree char *input = write_gemma ("gemma9"), *output = g_strconcat (input, ".safetensors", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) plan = NULL;

  assert_refused (input, NULL, QCONV_ERROR_UNSUPPORTED, "gemma9", "--names keep");
  plan = plan_new (input, output, NULL, "keep", &m, &error);
  g_assert_no_error (error);
  g_unlink (input);
}

/* Writes a file with names of llama.cpp that no family maps. @qkv: a decoder whose query, key and value are one */
static char *
write_unmapped (gboolean qkv)
{
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (GByteArray) file = NULL;
  g_autoptr (GError) error = NULL;
  char *path = g_strdup_printf ("%s/qconv-unmapped-%u.gguf", g_get_tmp_dir (), g_random_int ());

  build_text (b, "general.architecture", "qwen2");
  add_rows (b, "token_embd.weight", VOCAB, HIDDEN);
  add_vector (b, "blk.0.attn_norm.weight", HIDDEN);
  if (qkv)
    add_vector (b, "blk.0.ffn_norm.weight", HIDDEN);
  add_rows (b, qkv ? "blk.0.attn_qkv.weight" : "blk.0.attn_q.weight", HIDDEN, HIDDEN);
  file = build_file (b);
  g_file_set_contents (path, (const char *) file->data, file->len, &error);
  g_assert_no_error (error);
  return path;
}

/* Tests that names of llama.cpp that no family maps are refused for loaders, and that renaming that was asked for is an
   error, also of a single tensor. */
static void
test_unmapped (void)
{
  g_autofree char *input = write_unmapped (FALSE), *fused = write_unmapped (TRUE);
  g_autofree char *output = g_strconcat (input, ".safetensors", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (QconvPlan) plan = NULL;

  assert_refused (input, NULL, QCONV_ERROR_UNSUPPORTED, "qwen2", "--names keep");
  assert_refused (input, "original", QCONV_ERROR_OPTION, "nothing is known", "original");
  assert_refused (fused, "original", QCONV_ERROR_UNSUPPORTED, "blk.0.attn_qkv.weight", "--drop");
  plan = plan_new (input, output, NULL, "keep", &m, &error);
  g_assert_no_error (error);
  g_unlink (input);
  g_unlink (fused);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gguf/heads", test_heads);
  g_test_add_func ("/gguf/heads/key-length", test_key_length);
  g_test_add_func ("/gguf/heads/listed", test_listed);
  g_test_add_func ("/gguf/heads/unlisted", test_unlisted);
  g_test_add_func ("/gguf/heads/no-heads", test_no_heads);
  g_test_add_func ("/gguf/heads/no-architecture", test_no_architecture);
  g_test_add_func ("/gguf/heads/known-better", test_known_better);
  g_test_add_func ("/gguf/heads/gemma", test_gemma);
  g_test_add_func ("/gguf/heads/gemma-unlisted", test_gemma_unlisted);
  g_test_add_func ("/gguf/heads/unmapped", test_unmapped);
  return g_test_run ();
}
