/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target for the files that users write or name beside a model: rules of layers, input scales, files to be like,
   families, and the configuration in the model's folder. An error must name the file that it is about. */
#include <string.h>

#include "trial.h"

#define MODEL "model.safetensors"

/* Names of the family toyland, and one of no family */
static const char model[] = "model.door.weight F32 16x16\n"
                            "model.door.bias F32 16\n"
                            "model.mat.weight BF16 16x16\n"
                            "model.stairs.weight BF16 16x16\n"
                            "model.tables.0.up.weight BF16 4x8\n"
                            "model.tables.0.mod.weight BF16 16x16\n"
                            "model.tables.1.up.weight BF16 4x8\n"
                            "model.tables.1.mod.weight BF16 16x16\n"
                            "model.other.weight F16 32x64\n";

static const char *const names[] = { "layers.json", "like.safetensors", "scales.json", "scales.safetensors",
                                     "family.json", "config.json",      MODEL,         NULL };

/* Returns: (transfer full) (nullable): the path of the file @name if @r has it */
static char *
find (const Recipe *r, const char *name)
{
  return recipe_find (r, name) != NULL ? trial_path (name) : NULL;
}

/* Checks that an error names one of the files. What a loader makes of the output depends on all of them and on the
   target. If a family is not what the model needs, the model is named */
static void
check_named (const Recipe *r, const GError *error)
{
  gboolean named = g_str_has_prefix (error->message, "a loader would ");

  for (guint i = 0; i < r->files->len; i++)
    {
      const char *name = g_array_index (r->files, RecipeFile, i).name;

      named |= (strcmp (name, MODEL) != 0 || recipe_find (r, "family.json") != NULL)
               && strstr (error->message, name) != NULL;
    }
  if (!named)
    g_error ("no file is named: %s", error->message);
}

/* Runs @r, whose files are written */
static void
run (const Recipe *r, gboolean own_model)
{
  g_autofree char *path = trial_path (MODEL), *layers = find (r, "layers.json"), *like = find (r, "like.safetensors");
  g_autofree char *json = find (r, "scales.json"), *scales = find (r, "scales.safetensors");
  g_autofree char *family = find (r, "family.json");
  g_auto (Trial) t = { .input = path, .open.family_file = family };

  t.job.target = r->job.target;
  t.job.effort = r->job.effort;
  t.job.names.allow_incomplete = TRUE;
  t.job.rules.layer_config = QCONV_LIST (layers);
  t.job.rules.like = QCONV_LIST (like);
  t.job.input_scale = json != NULL ? json : scales;
  trial_run (&t);
  if (t.error != NULL && !own_model)
    check_named (r, t.error);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const RecipeFile base = { MODEL, (const guint8 *) model, sizeof model - 1 };
  g_autoptr (Recipe) r = NULL;
  gboolean own_model;

  trial_begin ();
  r = recipe_new (data, size, names, FALSE);
  if (r->files->len == 0)
    return 0;
  own_model = recipe_find (r, MODEL) != NULL;
  if (!own_model)
    g_array_append_val (r->files, base);
  trial_write_files (r);
  run (r, own_model);
  return 0;
}
