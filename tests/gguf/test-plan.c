/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the plans of published diffusion models: the type of every tensor is the one that ComfyUI-GGUF's converter
   gives it (tools/convert.py, tools/lcpp.patch: img_tensor_get_type), except for the rows of deviations[]. The names
   that the converter looks for stand here a second time. The models are files of holes. */
#include <glib/gstdio.h>
#include <string.h>

#include "conformance/family-cases.h"
#include "plan/plan.h"
#include "small.h"

/* What the converter keeps in high precision: parts of names, or a whole name behind "=" */
static const struct {
  const char *architecture, *kept;
} kept[] = {
  { "flux", "txt_in. img_in. time_in. vector_in. guidance_in. final_layer." },
  { "hyvid", "txt_in. img_in. time_in. vector_in. guidance_in. final_layer." },
  { "sd1", "class_embedding. time_embedding. add_embedding. time_embed. label_emb. conv_in. conv_out. "
           "=input_blocks.0.0.weight =out.2.weight" },
  { "sdxl", "class_embedding. time_embedding. add_embedding. time_embed. label_emb. conv_in. conv_out. "
            "=input_blocks.0.0.weight =out.2.weight" },
  { "sd3", "final_layer. time_text_embed. context_embedder. t_embedder. y_embedder. x_embedder. =proj_out.weight "
           "=pos_embed" },
  { "aura", "t_embedder. init_x_linear. =modF.1.weight =cond_seq_linear.weight =final_linear.weight "
            "=positional_encoding =register_tokens" },
  { "ltxv", "adaln_single. caption_projection. patchify_proj. proj_out. scale_shift_table" },
  { "wan", "modulation. patch_embedding. text_embedding. time_projection. time_embedding. img_emb. head." },
  { "hidream", "p_embedder. t_embedder. x_embedder. final_layer. .ff_i.gate.weight caption_projection." },
  { "cosmos", "p_embedder. t_embedder. t_embedding_norm. x_embedder. pos_embedder. final_layer." },
  { "lumina2", "t_embedder. x_embedder. final_layer. cap_embedder. context_refiner. noise_refiner." },
};

static const char values[]
    = "attn_v.weight .to_v.weight .v.weight .attn.w1v.weight .attn.w2v.weight _attn.v_proj.weight";
static const char fused[] = "attn.qkv.weight attn_qkv.weight attention.qkv.weight";
static const char down[] = ".ffn.2.weight .ff.net.2.weight .mlp.layer2.weight .adaln_modulation_mlp.2.weight "
                           ".feed_forward.w2.weight";

/* Weights that no class of ComfyUI-GGUF's ops.py owns: ComfyUI reads them as bare parameters (hidream: MoEGate; wan:
   EqualLinear, EqualConv2d) or in a module of torch (hunyuan_video: cond_type_embedding) */
static const char bare[] = ".ff_i.gate.weight motion_encoder. cond_type_embedding.";

/* The types of a mixture: of most weights, and of the three roles */
typedef struct {
  const char *target, *base, *value, *fused, *down;
} Mixture;

static const Mixture mixtures[] = {
  { "q8_0-gguf", "Q8_0", "Q8_0", "Q8_0", "Q8_0" },
  { "q4_k_m-gguf", "Q4_K", "Q6_K", "Q5_K", "Q6_K" },
  { "q5_k_s-gguf", "Q5_K", "Q5_K", "Q5_K", "Q5_K" },
};

/* Where we differ. @families: separated by spaces; @pattern: GRegex of names; @role: 'd'own, 'v'alue, 'q'kv, 'b'ase,
   'k'eep or 'p'robed: kept below 8 bits */
static const struct {
  const char *families, *pattern;
  char role;
  const char *reason;
} deviations[] = {
  { "flux1 flux2 chroma chroma_radiance", "_mlp\\.(2|down_proj)\\.weight$", 'd', "a down projection of another name" },
  { "sd3", "\\.mlp\\.fc2\\.weight$", 'd', "a down projection of another name" },
  { "sd3", "\\.attn2\\.qkv\\.weight$", 'q', "a fused projection of another name" },
  { "hunyuan_video", "_mlp\\.fc2\\.weight$", 'd', "a down projection of another name" },
  { "auraflow", "mlp[CX]?\\.c_proj\\.weight$", 'd', "a down projection of another name" },
  { "hidream", "\\.ff_t\\.w2\\.weight$", 'd', "a down projection of another name" },
  { "hidream", "\\.attn1\\.to_v_t\\.weight$", 'v', "the values of the text" },
  { "qwen_image", "_mlp\\.net\\.2\\.weight$", 'd', "a down projection of another name" },
  { "qwen_image", "\\.add_v_proj\\.weight$", 'v', "the values of the text" },
  { "ltx2", "\\.audio_ff\\.net\\.2\\.weight$", 'd', "a down projection of another name" },
  { "wan", "\\.v_img\\.weight$", 'v', "the values of the image" },
  { "wan", "^audio_injector\\.injector\\.\\d+\\.v\\.", 'b', "part of an adapter beside the blocks" },
  { "wan", "^trainable_cond_mask\\.", 'k', "an embedding of three rows" },
  { "anima cosmos_predict2", "\\.adaln_modulation_mlp\\.2\\.weight$", 'b', "modulation, not a down projection" },
  { "anima", "^llm_adapter\\.embed\\.", 'k', "an embedding" },
  { "qwen_image", "^time_text_embed\\.addition_t_embedding\\.", 'k', "an embedding of two rows" },
  { "ideogram4", "^embed_image_indicator\\.", 'k', "an embedding of two rows" },
  { "qwen_image lens", "^(img_in|txt_in|time_text_embed\\.\\w+\\.\\w+|norm_out\\.linear|proj_out)\\.weight$", 'k',
    "inputs and outputs, as in all families that the converter knows" },
  { "krea2", "^(first|last|tmlp|tproj|txtmlp|txtfusion)\\.", 'k', "inputs, outputs and refiners, as in all families" },
  { "ideogram4", "^(input_proj|llm_cond_proj|t_embedding|adaln_proj|final_layer)\\.", 'k', "inputs and outputs" },
  { "boogu omnigen2", "^(x_embedder|ref_image_patch_embedder|time_caption_embed|norm_out|\\w+_refiner)\\.", 'k',
    "inputs, outputs and refiners, as those of lumina2" },
  { "cosmos1", "^(x_embedder|t_embedder|final_layer)\\.", 'k', "inputs and outputs, as those of cosmos" },
  { "ltx2", "^(audio|video)_embeddings_connector\\.", 'k', "refiners of the text, as those of lumina2" },
  { "sd15", "^input_blocks\\.1\\.1\\.transformer_blocks\\.0\\.attn2\\.to_k\\.", 'p',
    "loaders of other formats look at its shape" },
  { "sdxl", "^input_blocks\\.4\\.1\\.transformer_blocks\\.0\\.attn2\\.to_k\\.", 'p',
    "loaders of other formats look at its shape" },
  { "ltxv ltx2", "^transformer_blocks\\.0\\.attn2\\.to_k\\.", 'p', "loaders of other formats look at its shape" },
  { "boogu omnigen2", "feed_forward\\.linear_2\\.weight$", 'd', "a down projection of another name" },
  { "boogu", "\\.(img|instruct)_to_v\\.weight$", 'v', "values of another name" },
  { "cosmos1", "\\.to_v\\.0\\.weight$", 'v', "values of another name" },
  { "cosmos1", "\\.block\\.layer2\\.weight$", 'd', "a down projection of another name" },
  { "krea2", "\\.attn\\.wv\\.weight$", 'v', "values of another name" },
  { "krea2", "\\.mlp\\.down\\.weight$", 'd', "a down projection of another name" },
  { "lens", "\\.attn\\.(img|txt)_qkv\\.weight$", 'q', "a fused projection of another name" },
  { "lens", "_mlp\\.w2\\.weight$", 'd', "a down projection of another name" },
};

/**
 * Check: what one variant is compared with.
 *
 * @patterns: those of the deviations of its family; NULL: of others
 * @used: which deviations made a difference so far
 * @differences: lines for the user
 */
typedef struct {
  const FamilyCase *variant;
  GRegex *patterns[G_N_ELEMENTS (deviations)];
  gboolean *used;
  GHashTable *differences;
} Check;

/* ---- What is expected ---- */

/* Returns whether @name has one of the @parts, which spaces separate. */
static gboolean
has_any (const char *parts, const char *name)
{
  g_auto (GStrv) list = g_strsplit (parts, " ", -1);

  for (guint i = 0; list[i] != NULL; i++)
    if (list[i][0] == '=' ? strcmp (list[i] + 1, name) == 0 : strstr (name, list[i]) != NULL)
      return TRUE;
  return FALSE;
}

static const char *
kept_names (const char *architecture)
{
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    if (strcmp (kept[i].architecture, architecture) == 0)
      return kept[i].kept;
  return "=";
}

/* Returns the role that the converter sees in the name of a matrix. */
static char
literal_role (const char *architecture, const char *name)
{
  if (has_any (kept_names (architecture), name))
    return 'k';
  if (has_any (values, name))
    return 'v';
  if (has_any (fused, name))
    return 'q';
  return has_any (down, name) || (strstr (name, "experts.") != NULL && strstr (name, ".w2.weight") != NULL) ? 'd' : 'b';
}

/* Returns our role, and marks the deviation that gives it as used. */
static char
our_role (Check *check, const char *name, char literal)
{
  for (guint i = 0; i < G_N_ELEMENTS (deviations); i++)
    if (check->patterns[i] != NULL && g_regex_match (check->patterns[i], name, 0, NULL))
      {
        check->used[i] |= deviations[i].role != literal;
        return deviations[i].role;
      }
  return literal;
}

/* Returns the type for rows of @cols (llama.cpp: src/llama-quant.cpp tensor_type_fallback), or NULL for none. */
static const char *
fitting (const char *type, guint64 cols)
{
  static const char *const smaller[][2] = { { "Q4_K", "Q5_0" }, { "Q5_K", "Q5_1" }, { "Q6_K", "Q8_0" } };

  if (cols % 256 == 0)
    return type;
  for (guint i = 0; i < G_N_ELEMENTS (smaller); i++)
    if (strcmp (type, smaller[i][0]) == 0)
      type = smaller[i][1];
  return cols % 32 == 0 ? type : NULL;
}

/* Returns the type of @t, which is BF16 in the model. */
static const char *
expected_type (const Mixture *m, const QconvTensor *t, char role)
{
  const QconvShape *s = &t->shape;
  const char *types[] = { m->base, m->value, m->fused, m->down }, *type = NULL;
  guint64 items;

  g_assert_true (qconv_shape_items (s, &items));
  if (role == 'p')
    role = strcmp (m->base, "Q8_0") == 0 ? 'b' : 'k';
  if ((s->rank != 2 && s->rank != 4) || !g_str_has_suffix (t->name, ".weight") || has_any (bare, t->name))
    return "F32";
  if (s->rank == 2 && role != 'k')
    type = fitting (types[strchr ("bvqd", role) - "bvqd"], s->dim[1]);
  return type != NULL ? type : items <= 1024 ? "F32" : "BF16";
}

/* ---- Plans ---- */

static char *
make_model (const FamilyCase *c)
{
  g_autofree char *folder = g_dir_make_tmp ("qconv-plan-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "model.safetensors", NULL);
  g_autofree char *line = g_strdup_printf ("%s --family %s --variant %s --sparse %s", g_getenv ("QCONV_MAKE_MODEL"),
                                           c->id, c->name, path);
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_command_line_sync (line, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_spawn_check_wait_status (status, &error);
  g_assert_no_error (error);
  return g_steal_pointer (&path);
}

/* Returns: (transfer full): @name with N for its numbers, so that one line stands for all blocks. */
static char *
without_numbers (const char *name)
{
  g_autoptr (GRegex) numbers = g_regex_new ("\\b\\d+\\b(?=.*\\.\\w+\\.)", 0, 0, NULL);

  return g_regex_replace_literal (numbers, name, -1, 0, "N", 0, NULL);
}

/* Compares a tensor of the plan with what is expected. */
static void
check_tensor (Check *check, const Mixture *m, const char *architecture, const QconvTensor *t,
              const QconvTensor *planned)
{
  char role = our_role (check, t->name, literal_role (architecture, t->name));
  const char *want = expected_type (m, t, role), *got = NULL;
  g_autofree char *name = NULL;

  if (planned != NULL)
    got = planned->dtype == QCONV_OPAQUE ? planned->type : qconv_dtype_name (planned->dtype);
  if (planned != NULL && qconv_shape_equal (&planned->shape, &t->shape) && strcmp (got, want) == 0)
    return;
  name = without_numbers (t->name);
  g_hash_table_add (check->differences, g_strdup_printf ("%s %s %s: %s, not %s", check->variant->id, m->target, name,
                                                         got != NULL ? got : "missing", want));
}

static void
check_plan (Check *check, const Mixture *m, QconvModel *model)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan
      = qconv_plan_new (model, &(QconvJob) { .target = m->target, .output = "/nowhere.gguf" }, &error);
  const QconvDirectory *from = qconv_model_directory (model), *to;
  const char *architecture;
  guint n = qconv_directory_n_tensors (from);

  g_assert_no_error (error);
  to = plan->output.directory;
  architecture = g_variant_get_string (qconv_directory_metadata (to, "general.architecture"), NULL);
  g_assert_cmpuint (qconv_directory_n_tensors (to), ==, n);
  for (guint i = 0; i < n; i++)
    {
      const QconvTensor *t = qconv_directory_tensor (from, i);

      check_tensor (check, m, architecture, t, qconv_directory_find (to, t->name));
    }
}

/* Tests the mixtures of one variant. */
static void
check_variant (Check *check)
{
  const FamilyCase *c = check->variant;
  g_autofree char *path = make_model (c), *folder = g_path_get_dirname (path);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (path, &(QconvOpenOptions) { 0 }, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (deviations); i++)
    {
      g_auto (GStrv) families = g_strsplit (deviations[i].families, " ", -1);

      if (g_strv_contains ((const char *const *) families, c->id))
        check->patterns[i] = g_regex_new (deviations[i].pattern, 0, 0, NULL);
    }
  for (guint i = 0; i < G_N_ELEMENTS (mixtures); i++)
    if (!test_skips (c->index, c->n, i, G_N_ELEMENTS (mixtures)))
      check_plan (check, &mixtures[i], model);
  for (guint i = 0; i < G_N_ELEMENTS (deviations); i++)
    g_clear_pointer (&check->patterns[i], g_regex_unref);
  g_unlink (path);
  g_rmdir (folder);
}

static void
test_diffusion (void)
{
  g_autoptr (GHashTable) differences = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GArray *cases = family_cases_load ();
  gboolean used[G_N_ELEMENTS (deviations)] = { FALSE };
  guint n = 0;
  GHashTableIter iter;
  gpointer line;

  for (guint i = 0; i < cases->len; i++)
    {
      Check check = { .variant = &g_array_index (cases, FamilyCase, i), .used = used, .differences = differences };

      if (strcmp (json_object_get_string_member (check.variant->family, "kind"), "diffusion") != 0)
        continue;
      check_variant (&check);
      n++;
    }
  g_assert_cmpuint (n, >, 50);
  g_hash_table_iter_init (&iter, differences);
  while (g_hash_table_iter_next (&iter, &line, NULL))
    g_printerr ("%s\n", (const char *) line);
  g_assert_cmpuint (g_hash_table_size (differences), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (deviations); i++)
    if (!used[i] && !test_is_small ())
      g_error ("the deviation %s %s is none", deviations[i].families, deviations[i].pattern);
  family_cases_free (cases);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gguf/plan/diffusion", test_diffusion);
  return g_test_run ();
}
