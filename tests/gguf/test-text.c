/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests text encoders that are written in llama.cpp's names and read back: all numbers are those of the model, and the
   metadata have what loaders need. */
#include <glib/gstdio.h>
#include <string.h>

#include "build.h"
#include "comfy/fixture.h"

/* Returns: (transfer full): a model of @arguments, as make-model takes them. */
static char *
make_model (const char *arguments)
{
  char *path = scratch_path ("model.safetensors");
  g_autofree char *line = g_strdup_printf ("%s %s %s", g_getenv ("QCONV_MAKE_MODEL"), arguments, path);
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_command_line_sync (line, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_spawn_check_wait_status (status, &error);
  g_assert_no_error (error);
  return path;
}

static void
add_warning (const char *message, gpointer data)
{
  g_string_append_printf (data, "%s\n", message);
}

/* Runs @job and asserts that it works. Returns: (transfer full): its warnings. */
static char *
write_job (const char *input, const char *output, QconvJob job)
{
  GString *warnings = g_string_new (NULL);
  g_autoptr (QconvModel) m = open_model (input, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = NULL;

  job.output = output;
  job.run.force = TRUE;
  job.run.n_threads = 2;
  job.warn = add_warning;
  job.warn_data = warnings;
  plan = qconv_plan_new (m, &job, &error);
  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  return g_string_free (warnings, FALSE);
}

static guint32
number (const QconvModel *m, const char *key)
{
  GVariant *v = qconv_directory_metadata (qconv_model_directory (m), key);

  return v != NULL && g_variant_is_of_type (v, G_VARIANT_TYPE_UINT32) ? g_variant_get_uint32 (v) : 0;
}

static const char *
text (const QconvModel *m, const char *key)
{
  GVariant *v = qconv_directory_metadata (qconv_model_directory (m), key);

  return v != NULL && g_variant_is_of_type (v, G_VARIANT_TYPE_STRING) ? g_variant_get_string (v, NULL) : NULL;
}

/* Asserts that both have the same tensors, apart from those of @want whose names start with @left_out (nullable). */
static void
assert_same_tensors (const QconvModel *want, const QconvModel *got, const char *left_out)
{
  const QconvDirectory *d = qconv_model_directory (want);
  guint n = 0;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const char *name = qconv_directory_tensor (d, i)->name;
      g_autoptr (GBytes) a = NULL, b = NULL;

      if (left_out != NULL && g_str_has_prefix (name, left_out))
        continue;
      a = tensor_bytes (want, name);
      b = tensor_bytes (got, name);
      if (!g_bytes_equal (a, b))
        g_error ("%s has other numbers", name);
      n++;
    }
  g_assert_cmpuint (n, ==, qconv_directory_n_tensors (qconv_model_directory (got)));
}

/* @model: of make-model; @left_out: (nullable): start of names that the file lacks; @tensor: one that it has, by its
   name; @warning: (nullable): part of one */
typedef struct {
  const char *id, *model, *architecture, *tensor, *left_out, *warning;
  guint heads, kv_heads;
} Case;

static const Case cases[] = {
  { "t5", "--family t5 --variant tiny", "t5", "enc.blk.0.attn_rel_b.weight", NULL, NULL, 0, 0 },
  { "umt5", "--family t5 --variant tiny-umt5", "t5", "enc.blk.1.attn_rel_b.weight", NULL, NULL, 0, 0 },
  { "qwen3", "--family llm_dense --variant tiny-qwen3", "qwen3", "blk.0.attn_q_norm.weight", NULL, NULL, 2, 1 },
  { "qwen2", "--family llm_dense --variant tiny-qwen2", "qwen2", "blk.0.attn_q.bias", NULL, NULL, 2, 1 },
  { "llama", "--family llm_dense --variant llama3-8b --set layers=2 --set ffn=256 --set vocab=300", "llama",
    "blk.0.attn_q.weight", NULL, NULL, 32, 8 },
  { "llama-24", "--family llm_dense --variant ministral3-3b --set layers=1 --set ffn=256 --set vocab=300 --set q=3072",
    "llama", "blk.0.attn_q.weight", NULL, "32 and 8 heads; this one has 24 and 8", 24, 8 },
  { "gemma", "--family gemma --variant tiny", "gemma3", "blk.0.post_ffw_norm.weight", NULL, "-o tokenizer=FILE.gguf", 2,
    1 },
  { "qwen2vl", "--family qwen2_5_vl --variant tiny", "qwen2vl", "blk.0.attn_output.weight", "visual.",
    "part that sees pictures", 2, 1 },
};

/* Tests that a model becomes itself again, and the metadata of the file between. */
static void
test_round (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *input = make_model (c->model), *gguf = scratch_path ("text.gguf");
  g_autofree char *want_path = scratch_path ("want.safetensors"), *back_path = scratch_path ("back.safetensors");
  g_autofree char *warnings = write_job (input, gguf, (QconvJob) { .target = "f32-gguf" });
  g_autofree char *one
      = write_job (input, want_path, (QconvJob) { .target = "f32-safetensors", .names.naming = "keep" });
  g_autofree char *two
      = write_job (gguf, back_path, (QconvJob) { .target = "f32-safetensors", .names.naming = "original" });
  g_autoptr (QconvModel) file = open_model (gguf, NULL), want = open_model (want_path, NULL);
  g_autoptr (QconvModel) back = open_model (back_path, NULL);
  g_autofree char *heads = g_strconcat (c->architecture, ".attention.head_count", NULL);
  g_autofree char *kv_heads = g_strconcat (heads, "_kv", NULL);

  g_assert_true (one != NULL && two != NULL);
  g_assert_cmpstr (text (file, "general.architecture"), ==, c->architecture);
  g_assert_nonnull (qconv_directory_find (qconv_model_directory (file), c->tensor));
  g_assert_cmpuint (number (file, heads), ==, c->heads);
  g_assert_cmpuint (number (file, kv_heads), ==, c->kv_heads);
  if (c->warning == NULL ? strstr (warnings, "ComfyUI-GGUF") != NULL : strstr (warnings, c->warning) == NULL)
    g_error ("%s warns: %s", c->id, warnings);
  assert_same_tensors (want, back, c->left_out);
}

/* ---- Rows of heads ---- */

/* Tests the rows of a llama: row 2j + s of a head is row s·d/2 + j of the model, in every type. */
static void
test_permuted (void)
{
  enum { HIDDEN = 4096, HEAD = 128, BYTES = HIDDEN * 2 };
  g_autofree char *input
      = make_model ("--family llm_dense --variant llama3-8b --set layers=1 --set ffn=256 --set vocab=300");
  g_autofree char *gguf = scratch_path ("rows.gguf");
  g_autofree char *warnings = write_job (input, gguf, (QconvJob) { .target = "bf16-gguf" });
  g_autoptr (QconvModel) model = open_model (input, NULL), file = open_model (gguf, NULL);
  g_autoptr (GBytes) from = tensor_bytes (model, "model.layers.0.self_attn.k_proj.weight");
  g_autoptr (GBytes) to = tensor_bytes (file, "blk.0.attn_k.weight");
  const guint8 *x = g_bytes_get_data (from, NULL), *y = g_bytes_get_data (to, NULL);

  g_assert_nonnull (warnings);
  g_assert_cmpuint (g_bytes_get_size (to), ==, 8 * HEAD * BYTES);
  for (guint row = 0; row < 8 * HEAD; row++)
    {
      guint s = row % 2, j = row % HEAD / 2;

      g_assert_cmpmem (y + row * BYTES, BYTES, x + (row / HEAD * HEAD + s * HEAD / 2 + j) * BYTES, BYTES);
    }
}

/* Tests that the heads of a llama that nobody knows come from its config.json, and that it is refused without. */
static void
test_config (void)
{
  static const char *const configs[]
      = { "{\"num_attention_heads\": 4}", "{\"text_config\": {\"head_dim\": 64, \"num_attention_heads\": 9}}" };
  g_autofree char *input = make_model ("--family llm_dense --variant tiny"), *config = scratch_path ("config.json");
  g_autofree char *gguf = scratch_path ("config.gguf");

  assert_job_refused (input, &(QconvJob) { .target = "q8_0-gguf", .output = gguf }, QCONV_ERROR_UNSUPPORTED,
                      "config.json");
  for (guint i = 0; i < G_N_ELEMENTS (configs); i++)
    {
      g_autofree char *warnings = NULL;
      g_autoptr (QconvModel) m = NULL;

      g_assert_true (g_file_set_contents (config, configs[i], -1, NULL));
      warnings = write_job (input, gguf, (QconvJob) { .target = "q8_0-gguf" });
      m = open_model (gguf, NULL);
      g_assert_cmpuint (number (m, "llama.attention.head_count"), ==, 4);
      g_assert_cmpuint (number (m, "llama.attention.key_length"), ==, 64);
    }
  g_unlink (config);
}

/* ---- Tokenizers ---- */

/* Returns: (transfer full): the path of a file whose metadata have a tokenizer, or none. */
static char *
write_donor (gboolean tokenizer)
{
  static const float row[] = { 0, 0, 0, 0 };
  static const gint64 types[] = { 2, 1, 1 };
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (GByteArray) file = NULL;
  char *path = scratch_path ("donor.gguf");

  build_text (b, "general.architecture", "gemma3");
  build_text (b, "general.name", "the donor");
  if (tokenizer)
    {
      build_text (b, "tokenizer.ggml.model", "llama");
      build_integers (b, "tokenizer.ggml.token_type", KV_I32, types, 3);
    }
  build_tensor (b, "row", 0, row, sizeof row, 4, -1);
  file = build_file (b);
  g_assert_true (g_file_set_contents (path, (const char *) file->data, (gssize) file->len, NULL));
  return path;
}

/* Tests that the tokenizer of another file is copied, and nothing else of it, and stays in later conversions. */
static void
test_donor (void)
{
  g_autofree char *input = make_model ("--family gemma --variant tiny"), *donor = write_donor (TRUE);
  g_autofree char *gguf = scratch_path ("donated.gguf"), *again = scratch_path ("again.gguf");
  g_autofree char *option = g_strconcat ("gguf.tokenizer=", donor, NULL);
  g_autofree char *warnings
      = write_job (input, gguf, (QconvJob) { .target = "q8_0-gguf", .options = QCONV_LIST (option) });
  g_autofree char *more = write_job (gguf, again, (QconvJob) { .target = "q4_k_m-gguf" });
  const char *const paths[] = { gguf, again };

  g_assert_null (strstr (warnings, "tokenizer"));
  g_assert_null (strstr (more, "tokenizer"));
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (QconvModel) m = open_model (paths[i], NULL);
      GVariant *types = qconv_directory_metadata (qconv_model_directory (m), "tokenizer.ggml.token_type");

      g_assert_cmpstr (text (m, "tokenizer.ggml.model"), ==, "llama");
      g_assert_true (g_variant_is_of_type (types, G_VARIANT_TYPE ("ai")));
      g_assert_null (text (m, "general.name"));
    }
}

static void
test_bad_donor (void)
{
  g_autofree char *input = make_model ("--family gemma --variant tiny"), *donor = write_donor (FALSE);
  g_autofree char *output = scratch_path ("no-donor.gguf"), *option = g_strconcat ("gguf.tokenizer=", donor, NULL);
  g_autofree char *other = g_strconcat ("gguf.tokenizer=", input, NULL);

  assert_job_refused (input, &(QconvJob) { .target = "q8_0-gguf", .output = output, .options = QCONV_LIST (option) },
                      QCONV_ERROR_INPUT, "holds no tokenizer");
  assert_job_refused (input, &(QconvJob) { .target = "q8_0-gguf", .output = output, .options = QCONV_LIST (other) },
                      QCONV_ERROR_INPUT, "model.safetensors");
}

/* Tests that tensors of tokenizers are left out, and that nobody asks for them. */
static void
test_blobs (void)
{
  g_autofree char *input = make_model ("--family t5 --variant tiny-umt5"), *with = scratch_path ("blob.safetensors");
  g_autofree char *gguf = scratch_path ("blob.gguf"), *beside = scratch_path ("spiece.model"), *warnings = NULL;
  g_autofree char *first = NULL;
  g_autoptr (QconvModel) m = NULL, made = NULL;

  g_assert_true (g_file_set_contents (beside, "a tokenizer", -1, NULL));
  first = write_job (input, with, (QconvJob) { .target = "fp8-comfy" });
  g_unlink (beside);
  m = open_model (with, NULL);
  g_assert_nonnull (qconv_directory_find (qconv_model_directory (m), "spiece_model"));
  warnings = write_job (with, gguf, (QconvJob) { .target = "q8_0-gguf" });
  g_assert_null (strstr (warnings, "spiece"));
  made = open_model (gguf, NULL);
  g_assert_null (qconv_directory_find (qconv_model_directory (made), "spiece_model"));
}

/* ---- Refused ---- */

/* Tests encoders that no loader reads from GGUF, and whose names llama.cpp does not have. */
static void
test_refused (void)
{
  static const char *const models[]
      = { "--family clip_text --variant tiny", "--family llm_moe --variant tiny-mixtral" };
  g_autofree char *output = scratch_path ("refused.gguf");

  for (guint i = 0; i < G_N_ELEMENTS (models); i++)
    {
      g_autofree char *input = make_model (models[i]);

      assert_job_refused (input, &(QconvJob) { .target = "q8_0-gguf", .output = output }, QCONV_ERROR_UNSUPPORTED,
                          "-o architecture=WORD");
    }
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/gguf/text/round/", cases[i].id, NULL);

      g_test_add_data_func (path, &cases[i], test_round);
    }
  g_test_add_func ("/gguf/text/permuted", test_permuted);
  g_test_add_func ("/gguf/text/config", test_config);
  g_test_add_func ("/gguf/text/donor", test_donor);
  g_test_add_func ("/gguf/text/bad-donor", test_bad_donor);
  g_test_add_func ("/gguf/text/blobs", test_blobs);
  g_test_add_func ("/gguf/text/refused", test_refused);
  status = g_test_run ();
  scratch_end ();
  return status;
}
