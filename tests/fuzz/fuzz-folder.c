/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target for folders: an index, shards, a configuration and what else lies beside a model are opened, verified and
   converted. */
#include "trial.h"

/* Opens the folder as verify does. A broken layer is a problem, not an error */
static void
verify_folder (const char *folder)
{
  static const QconvOpenOptions options = { .for_verify = TRUE, .allow_nonfinite = TRUE };
  const QconvVerifyOptions resources = { .memory = 64 << 20, .n_threads = 2 };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (folder, &options, &error);
  g_autoptr (QconvReport) report = NULL;

  g_assert_true ((model == NULL) == (error != NULL));
  if (model == NULL)
    return;
  g_array_unref (qconv_model_weights (model));
  report = qconv_model_verify (model, &resources, &error);
  g_assert_true ((report == NULL) == (error != NULL));
  g_assert_true (!g_error_matches (error, QCONV_ERROR, QCONV_ERROR_BUG));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const names[] = { "model.safetensors.index.json",
                                       "model-00001-of-00002.safetensors",
                                       "model-00002-of-00002.safetensors",
                                       "config.json",
                                       "quantize_config.json",
                                       "model_index.json",
                                       "model.safetensors",
                                       "part-00001-of-00002.gguf",
                                       "part-00002-of-00002.gguf",
                                       "tokenizer.json",
                                       NULL };
  g_autoptr (Recipe) r = NULL;
  g_autofree char *folder = NULL;
  g_auto (Trial) t = { 0 };

  trial_begin ();
  r = recipe_new (data, size, names, FALSE);
  if (r->files->len == 0)
    return 0;
  trial_write_files (r);
  folder = trial_path ("");
  verify_folder (folder);
  t.input = folder;
  t.job = r->job;
  trial_run (&t);
  return 0;
}
