/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target for edits: markers, input scales and metadata of a quantized model change, its weights do not. */
#include <string.h>

#include "trial.h"

static QconvModel *
open_again (const char *path)
{
  g_autoptr (GError) error = NULL;
  QconvModel *m = qconv_model_open (path, NULL, &error);

  g_assert_no_error (error);
  return m;
}

/* Checks that @output holds the weights and biases of @input. Scales may get the form that their writer gives them, and
   those beside no weight may go */
static void
check_weights (const char *input, const char *output)
{
  g_autoptr (QconvModel) before = open_again (input), after = open_again (output);
  const QconvDirectory *from = qconv_model_directory (before), *to = qconv_model_directory (after);

  for (guint i = 0; i < qconv_directory_n_tensors (from); i++)
    {
      const QconvTensor *a = qconv_directory_tensor (from, i), *b = qconv_directory_find (to, a->name);
      g_autofree guint8 *x = g_malloc (a->n_bytes + 1), *y = g_malloc (a->n_bytes + 1);

      if (!g_str_has_suffix (a->name, ".weight") && !g_str_has_suffix (a->name, ".bias"))
        continue;
      if (b == NULL || a->dtype != b->dtype || !qconv_shape_equal (&a->shape, &b->shape))
        g_error ("%s: the tensor is lost or has another form", a->name);
      g_assert_true (qconv_tensor_read (a, 0, a->n_bytes, x, NULL) && qconv_tensor_read (b, 0, a->n_bytes, y, NULL));
      g_assert_true (memcmp (x, y, a->n_bytes) == 0);
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const names[] = { "model.safetensors", NULL };
  g_autoptr (Recipe) r = NULL;
  g_autofree char *path = NULL;
  g_auto (Trial) t = { 0 };

  trial_begin ();
  path = trial_path (names[0]);
  r = recipe_new (data, size, names, TRUE);
  if (r->files->len == 0)
    return 0;
  trial_write_files (r);
  t.input = path;
  t.job = r->job;
  trial_run (&t);
  if (t.output != NULL)
    check_weights (path, t.output);
  return 0;
}
