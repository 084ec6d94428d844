/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests files that state numbers of rows and columns behind which there are no bytes, and a pipe in the place of a
   configuration: a merge ends at once, within its memory. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lora-fixture.h"

enum { HIDDEN = 32, MOST_MEMORY = 1 << 30 };

/* Plans and runs a merge with 64 MiB, all memory of the process being limited. Returns: (transfer full): the error, or
   "" */
static char *
merge (const char *model, const char *lora)
{
  g_autofree char *output = scratch_path ("hostile-out.safetensors");
  const char *loras[] = { lora, NULL };
  QconvJob job = { .target = "f32-safetensors",
                   .output = output,
                   .lora.files = loras,
                   .lora.partial = TRUE,
                   .run = { .memory = 64 << 20, .force = TRUE, .n_threads = 1 } };
  g_autoptr (QconvModel) m = open_model (model, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);

  if (plan != NULL)
    qconv_plan_run (plan, NULL, NULL, NULL, NULL, &error);
  return g_strdup (error != NULL ? error->message : "");
}

/* Makes a model with tensors that hold nothing beside one that does */
static char *
make_model (void)
{
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (Matrix) w = matrix_noise (HIDDEN, HIDDEN, 1);

  lora_add (b, "layers.0", ".weight", w, NULL);
  builder_add (b, "rows.weight", "F32", "[4294967296,0]", NULL, 0);
  builder_add (b, "fewer.weight", "F32", "[268435456,0]", NULL, 0);
  builder_add (b, "columns.weight", "F32", "[0,1152921504606846976]", NULL, 0);
  builder_add (b, "a.b.weight", "F32", "[1152921504606846976,0]", NULL, 0);
  builder_add (b, "a_b.weight", "F32", "[1152921504606846976,0]", NULL, 0);
  builder_add (b, "single_blocks.0.linear1.weight", "F32", "[0,9223372036854775807]", NULL, 0);
  return builder_write (b, "hostile.safetensors");
}

/* One tensor or two of a LoRA, none of which holds anything. @says: (nullable): a part of the error; NULL: the merge
   works */
static const struct {
  const char *title, *layer, *suffixes[2], *shapes[2], *says;
} hostile[] = {
  { "rows", "rows", { ".diff" }, { "[4294967296,0]" }, NULL },
  { "fewer", "fewer", { ".diff" }, { "[268435456,0]" }, NULL },
  { "product", "rows", { ".lora_up.weight", ".lora_down.weight" }, { "[4294967296,0]", "[0,0]" }, NULL },
  { "rank",
    "columns",
    { ".lora_up.weight", ".lora_down.weight" },
    { "[0,1152921504606846976]", "[1152921504606846976,0]" },
    "cannot be multiplied" },
  { "kronecker", "rows", { ".lokr_w1", ".lokr_w2" }, { "[65536,0]", "[65536,0]" }, NULL },
  { "flat", "lora_unet_a_b", { ".diff" }, { "[1152921504606846976,0]" }, "lora_unet_a_b is ambiguous" },
  { "dotted", "a.b", { ".set_weight" }, { "[1152921504606846976,0]" }, NULL },
  { "first-rows", "single_blocks.0.linear1_qkv", { ".diff" }, { "[0,9223372036854775807]" }, "none of its 1 keys" },
  { "real", "layers.0", { ".lora_up.weight", ".lora_down.weight" }, { "[32,0]", "[0,32]" }, "fits no layer" },
  { "real-rank",
    "layers.0",
    { ".lora_up.weight", ".lora_down.weight" },
    { "[0,4611686018427387904]", "[4611686018427387904,0]" },
    "cannot be multiplied" },
};

static void
test_hostile (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *model = make_model (), *lora = NULL, *error = NULL;
  g_autoptr (Builder) b = builder_new ();
  struct rusage before, after;

  for (guint j = 0; j < 2 && hostile[i].suffixes[j] != NULL; j++)
    {
      g_autofree char *key = g_strconcat (hostile[i].layer, hostile[i].suffixes[j], NULL);

      builder_add (b, key, "F32", hostile[i].shapes[j], NULL, 0);
    }
  lora = builder_write (b, "hostile-lora.safetensors");
  getrusage (RUSAGE_SELF, &before);
  error = merge (model, lora);
  getrusage (RUSAGE_SELF, &after);
  if (hostile[i].says == NULL)
    g_assert_cmpstr (error, ==, "");
  else if (*error == '\0' || strstr (error, hostile[i].says) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error, hostile[i].says);
  g_assert_cmpint (after.ru_maxrss - before.ru_maxrss, <, MOST_MEMORY / 1024);
}

/* Tests that a pipe beside a LoRA is refused instead of waited for */
static void
test_pipe (void)
{
  g_autofree char *model = make_model (), *folder = scratch_path ("pipe"), *lora = NULL, *error = NULL;
  g_autofree char *pipe = g_build_filename (folder, "adapter_config.json", NULL);
  g_autoptr (Builder) b = builder_new ();
  g_autoptr (Matrix) up = matrix_noise (HIDDEN, 2, 1), down = matrix_noise (2, HIDDEN, 2);

  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
  lora_add (b, "base_model.model.layers.0", ".lora_B.weight", up, NULL);
  lora_add (b, "base_model.model.layers.0", ".lora_A.weight", down, NULL);
  lora = builder_write (b, "pipe/adapter_model.safetensors");
  error = merge (model, folder);
  if (strstr (error, "not a regular file") == NULL)
    g_error ("%s", error);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (hostile); i++)
    {
      g_autofree char *path = g_strconcat ("/lora-hostile/", hostile[i].title, NULL);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_hostile);
    }
  g_test_add_func ("/lora-hostile/pipe", test_pipe);
  result = g_test_run ();
  scratch_end ();
  return result;
}
