/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target for conversions: a structured model becomes any target with any rules, options and names. */
#include "trial.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const names[] = { "model.safetensors", "model.gguf", NULL };
  g_autoptr (Recipe) r = NULL;
  g_autofree char *path = NULL;
  g_auto (Trial) t = { 0 };

  trial_begin ();
  r = recipe_new (data, size, names, FALSE);
  if (r->files->len == 0)
    return 0;
  trial_write_files (r);
  path = trial_path (g_array_index (r->files, RecipeFile, 0).name);
  t.input = path;
  t.job = r->job;
  trial_run (&t);
  return 0;
}
