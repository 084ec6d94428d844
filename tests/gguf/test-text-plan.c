/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the plans of published text encoders: the type of every tensor is the one that llama.cpp gives it
   (src/llama-quant.cpp), but for three differences. The blocks of a T5 count in their order, where llama.cpp sorts the
   numbers as text. An embedding that is not the output, too, has Q6_K, as all others. Targets of one type have one
   type, also for the vocabulary. */
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/family-cases.h"
#include "plan/plan.h"
#include "small.h"

static const char *const targets[] = { "q8_0-gguf", "q4_k_m-gguf", "q5_k_s-gguf" };

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

/* Returns the number behind "blk." in @name, or -1. */
static int
block_of (const char *name)
{
  const char *blk = strstr (name, "blk.");

  return blk != NULL ? atoi (blk + strlen ("blk.")) : -1;
}

/* Returns the type of the matrix @name in a Q4_K_M of @n blocks. */
static const char *
q4_k_m_type (const char *name, int n)
{
  int i = block_of (name);
  gboolean more = i >= 0 && (i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2);

  if (strcmp (name, "token_embd.weight") == 0 || strcmp (name, "output.weight") == 0)
    return "Q6_K";
  return more && (strstr (name, ".attn_v.") != NULL || strstr (name, ".ffn_down.") != NULL) ? "Q6_K" : "Q4_K";
}

/* Returns the type of @t. @target: as in targets[] */
static const char *
expected_type (const QconvTensor *t, guint target, int n)
{
  static const char *const smaller[][2] = { { "Q4_K", "Q5_0" }, { "Q5_K", "Q5_1" }, { "Q6_K", "Q8_0" } };
  const char *type = target == 0 ? "Q8_0" : target == 1 ? q4_k_m_type (t->name, n) : "Q5_K";

  if (t->shape.rank != 2 || strstr (t->name, "attn_rel_b") != NULL)
    return "F32";
  for (guint i = 0; t->shape.dim[1] % 256 != 0 && i < G_N_ELEMENTS (smaller); i++)
    if (strcmp (type, smaller[i][0]) == 0)
      return smaller[i][1];
  return type;
}

/* Returns whether @name, of the model's makers, is of the part that sees pictures. */
static gboolean
sees_pictures (const char *name)
{
  return g_str_has_prefix (name, "visual.") || g_str_has_prefix (name, "vision_model.")
         || g_str_has_prefix (name, "multi_modal_projector.");
}

static void
check_plan (const FamilyCase *c, QconvModel *model, guint target)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan
      = qconv_plan_new (model, &(QconvJob) { .target = targets[target], .output = "/nowhere.gguf" }, &error);
  const QconvDirectory *from = qconv_model_directory (model), *to;
  guint want = 0, n = 0;
  int blocks = 0;

  g_assert_no_error (error);
  to = plan->output.directory;
  for (guint i = 0; i < qconv_directory_n_tensors (from); i++)
    want += !sees_pictures (qconv_directory_tensor (from, i)->name);
  for (guint i = 0; i < qconv_directory_n_tensors (to); i++)
    blocks = MAX (blocks, block_of (qconv_directory_tensor (to, i)->name) + 1);
  for (; n < qconv_directory_n_tensors (to); n++)
    {
      const QconvTensor *t = qconv_directory_tensor (to, n);
      const char *got = t->dtype == QCONV_OPAQUE ? t->type : qconv_dtype_name (t->dtype);

      if (strcmp (got, expected_type (t, target, blocks)) != 0)
        g_error ("%s %s %s: %s is %s, not %s", c->id, c->name, targets[target], t->name, got,
                 expected_type (t, target, blocks));
    }
  g_assert_cmpuint (n, ==, want);
}

static void
test_encoders (void)
{
  static const char *const families[] = { "t5", "llm_dense", "qwen2_5_vl", "gemma", NULL };
  GArray *cases = family_cases_load ();
  guint n = 0;

  for (guint i = 0; i < cases->len; i++)
    {
      const FamilyCase *c = &g_array_index (cases, FamilyCase, i);
      g_autofree char *path = NULL, *folder = NULL;
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvModel) model = NULL;

      if (!g_strv_contains (families, c->id))
        continue;
      path = make_model (c);
      folder = g_path_get_dirname (path);
      model = qconv_model_open (path, NULL, &error);
      g_assert_no_error (error);
      for (guint k = 0; k < G_N_ELEMENTS (targets); k++)
        if (!test_skips (c->index, c->n, k, G_N_ELEMENTS (targets)))
          check_plan (c, model, k);
      g_unlink (path);
      g_rmdir (folder);
      n++;
    }
  g_assert_cmpuint (n, >, 20);
  family_cases_free (cases);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gguf/text-plan/encoders", test_encoders);
  return g_test_run ();
}
