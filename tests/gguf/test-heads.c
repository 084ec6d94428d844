/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests rows of attention heads, which llama.cpp's converter reorders. */
#include <glib/gstdio.h>
#include <string.h>

#include "build.h"
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

/* Writes a decoder of one block */
static char *
write_llama (guint heads)
{
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (GByteArray) file = NULL;
  g_autoptr (GError) error = NULL;
  char *path = g_strdup_printf ("%s/qconv-heads-%u.gguf", g_get_tmp_dir (), g_random_int ());

  build_text (b, "general.architecture", "llama");
  build_integer (b, "llama.attention.head_count", KV_U32, heads);
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

static QconvModel *
convert (const char *input, const char *output)
{
  QconvJob job = { .target = "f32-safetensors", .output = output, .names.naming = "original", .run.force = TRUE };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = qconv_model_open (input, NULL, &error);
  g_autoptr (QconvPlan) plan = m != NULL ? qconv_plan_new (m, &job, &error) : NULL;
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

/* Tests that the number of heads, which only the metadata hold, decides. */
static void
test_heads (void)
{
  static const guint heads[] = { 2, 4, 8 };

  for (guint i = 0; i < G_N_ELEMENTS (heads); i++)
    {
      g_autofree char *input = write_llama (heads[i]), *output = g_strconcat (input, ".safetensors", NULL);
      g_autoptr (QconvModel) m = convert (input, output);

      g_assert_cmpstr (qconv_model_family (m), ==, "llm_dense");
      assert_rows (m, "model.layers.0.self_attn.q_proj.weight", HIDDEN, HIDDEN / heads[i]);
      assert_rows (m, "model.layers.0.self_attn.k_proj.weight", KV, HIDDEN / heads[i]);
      assert_rows (m, "model.layers.0.self_attn.v_proj.weight", KV, 0);
      assert_rows (m, "model.layers.0.self_attn.o_proj.weight", HIDDEN, 0);
      g_unlink (input);
      g_unlink (output);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gguf/heads", test_heads);
  return g_test_run ();
}
