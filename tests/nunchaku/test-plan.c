/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the plans of true models: names, types and shapes of all tensors are those that nunchaku's own model classes
   have (golden/nunchaku). The models are files of holes. */
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden-file.h"
#include "plan/plan.h"

typedef struct {
  const char *golden, *family, *variant, *target, *naming;
} Case;

static const Case cases[] = {
  { "flux1-dev-fp4-r32.tsv", "flux1", "dev", "svdq-fp4-nunchaku" },
  { "flux1-dev-int4-r32.tsv", "flux1", "dev", "svdq-int4-nunchaku" },
  { "flux1-schnell-fp4-r32.tsv", "flux1", "schnell", "svdq-fp4-nunchaku" },
  { "qwen-image-fp4-r32.tsv", "qwen_image", "image", "svdq-fp4-nunchaku" },
  { "qwen-image-int4-r32.tsv", "qwen_image", "image", "svdq-int4-nunchaku" },
  { "z-image-fp4-r32.tsv", "z_image", "turbo", "svdq-fp4-nunchaku" },
  { "z-image-int4-r32.tsv", "z_image", "turbo", "svdq-int4-nunchaku" },
  { "z-image-int4-r32-skip-refiners.tsv", "z_image", "turbo", "svdq-int4-nunchaku", "nunchaku_refiners" },
};

/* Returns: (transfer full): a file of holes with the tensors of the model */
static char *
make_model (const Case *c)
{
  g_autofree char *folder = g_dir_make_tmp ("qconv-plan-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "model.safetensors", NULL);
  g_autofree char *line = g_strdup_printf ("%s --family %s --variant %s --sparse %s", g_getenv ("QCONV_MAKE_MODEL"),
                                           c->family, c->variant, path);
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_command_line_sync (line, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_spawn_check_wait_status (status, &error);
  g_assert_no_error (error);
  return g_steal_pointer (&path);
}

/* Compares one tensor, which @need calls "required" or "optional". Returns whether the plan has it */
static gboolean
check_tensor (const QconvDirectory *d, const char *name, char *const *columns)
{
  const QconvTensor *t = qconv_directory_find (d, name);
  g_auto (GStrv) axes = g_strsplit (columns[2], ",", -1);

  if (t == NULL)
    {
      g_assert_cmpstr (columns[3], ==, "optional");
      return FALSE;
    }
  g_assert_cmpstr (qconv_dtype_name (t->dtype), ==, columns[1]);
  g_assert_cmpuint (t->shape.rank, ==, g_strv_length (axes));
  for (guint i = 0; i < t->shape.rank; i++)
    g_assert_cmpuint (t->shape.dim[i], ==, g_ascii_strtoull (axes[i], NULL, 10));
  return TRUE;
}

/* Checks a line, "NAME TYPE SHAPE NEED" between tabs; {a-b} in the name stands for the numbers of blocks. Returns how
   many tensors of it the plan has */
static guint
check_line (const QconvDirectory *d, const char *line)
{
  g_auto (GStrv) columns = g_strsplit (line, "\t", -1);
  const char *open = strchr (columns[0], '{'), *close = open != NULL ? strchr (open, '}') : NULL;
  guint64 first = 0, last = 0;
  guint found = 0;

  g_assert_cmpuint (g_strv_length (columns), ==, 4);
  if (open != NULL)
    {
      first = g_ascii_strtoull (open + 1, NULL, 10);
      last = g_ascii_strtoull (strchr (open, '-') + 1, NULL, 10);
    }
  for (guint64 i = first; i <= last; i++)
    {
      g_autofree char *name = open != NULL ? g_strdup_printf ("%.*s%" G_GUINT64_FORMAT "%s", (int) (open - columns[0]),
                                                              columns[0], i, close + 1)
                                           : g_strdup (columns[0]);

      found += check_tensor (d, name, columns);
    }
  return found;
}

static gboolean
has (const QconvPlan *p, const char *layer, const char *member)
{
  g_autofree char *name = g_strconcat (layer, ".", member, NULL);

  return qconv_directory_find (p->output.directory, name) != NULL;
}

/* Tests SDXL, for which there is no list: its 70 blocks have six layers each instead of 12 tensors of the model, and
   each layer has the tensors that the strict class wants, and no others */
static void
test_sdxl (void)
{
  static const char *const names[]
      = { "attn1.to_qkv", "attn1.to_out.0", "attn2.to_q", "attn2.to_out.0", "ff.net.0.proj", "ff.net.2" };
  static const char *const members[] = { "qweight", "wscales", "smooth", "smooth_orig", "lora_down", "lora_up" };

  for (guint fp4 = 0; fp4 < 2; fp4++)
    {
      const Case c = { NULL, "sdxl", "base-1.0", fp4 ? "svdq-fp4-nunchaku" : "svdq-int4-nunchaku", NULL };
      g_autofree char *path = make_model (&c), *folder = g_path_get_dirname (path);
      g_autoptr (GError) error = NULL;
      g_autoptr (QconvModel) model = qconv_model_open (path, &(QconvOpenOptions) { 0 }, &error);
      g_autoptr (QconvPlan) plan = NULL;

      g_assert_no_error (error);
      plan = qconv_plan_new (model, &(QconvJob) { .target = c.target, .output = "/nowhere.safetensors" }, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (qconv_directory_n_tensors (plan->output.directory), ==,
                        1680 - 70 * 12 + 70 * (6 * G_N_ELEMENTS (members) + 4 + 6 * fp4));
      for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        {
          g_autofree char *layer = g_strdup_printf ("up_blocks.0.attentions.2.transformer_blocks.9.%s", names[i]);

          for (guint k = 0; k < G_N_ELEMENTS (members); k++)
            g_assert_true (has (plan, layer, members[k]));
          g_assert_true (has (plan, layer, "bias") == (i != 0 && i != 2));
          g_assert_true (has (plan, layer, "wcscales") == (fp4 != 0));
          g_assert_false (has (plan, layer, "wtscale"));
        }
      g_unlink (path);
      g_rmdir (folder);
    }
}

static void
test_plan (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *path = make_model (c), *folder = g_path_get_dirname (path),
                  *relative = g_build_filename ("nunchaku", c->golden, NULL);
  g_autofree char *golden = golden_path (relative), *text = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (path, &(QconvOpenOptions) { 0 }, &error);
  g_autoptr (QconvPlan) plan = NULL;
  g_auto (GStrv) lines = NULL;
  guint found = 0;

  g_assert_no_error (error);
  plan = qconv_plan_new (
      model, &(QconvJob) { .target = c->target, .output = "/nowhere.safetensors", .names.naming = c->naming }, &error);
  g_assert_no_error (error);
  g_file_get_contents (golden, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (g_strstrip (text), "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), >, 20);
  for (guint i = 1; lines[i] != NULL; i++)
    found += check_line (plan->output.directory, lines[i]);
  g_assert_cmpuint (found, ==, qconv_directory_n_tensors (plan->output.directory)); /* no others */
  g_unlink (path);
  g_rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/nunchaku/plan/", cases[i].golden, NULL);

      g_test_add_data_func (path, &cases[i], test_plan);
    }
  g_test_add_func ("/nunchaku/plan/sdxl", test_sdxl);
  return g_test_run ();
}
