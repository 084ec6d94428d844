/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fuzz target for edits: markers, input scales and metadata of a quantized model change, its weights do not. */
#include <string.h>

#include "trial.h"

/* What an edit may change */
static const char *const edited[] = { "comfy_quant", "input_scale", "scale_input", "scaled_fp8" };

/* Returns whether readers may drop tensor @name with a warning: scales and markers beside no weight, or beside one of
   plain floats */
static gboolean
may_go (const QconvDirectory *d, const char *name)
{
  const char *dot = strrchr (name, '.');
  g_autofree char *weight_name = dot != NULL ? g_strdup_printf ("%.*s.weight", (int) (dot - name), name) : NULL;
  const QconvTensor *weight = weight_name != NULL ? qconv_directory_find (d, weight_name) : NULL;

  return weight_name != NULL && (weight == NULL || qconv_dtype_is_float (weight->dtype));
}

static gboolean
may_change (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (edited); i++)
    if (g_str_has_suffix (name, edited[i]))
      return TRUE;
  return FALSE;
}

static QconvModel *
open_again (const char *path)
{
  g_autoptr (GError) error = NULL;
  QconvModel *m = qconv_model_open (path, NULL, &error);

  g_assert_no_error (error);
  return m;
}

static void
check_same (const QconvTensor *a, const QconvTensor *b)
{
  g_autofree guint8 *x = g_malloc (a->n_bytes + 1), *y = g_malloc (a->n_bytes + 1);

  g_assert_true (a->dtype == b->dtype && a->n_bytes == b->n_bytes && qconv_shape_equal (&a->shape, &b->shape));
  g_assert_true (qconv_tensor_read (a, 0, a->n_bytes, x, NULL) && qconv_tensor_read (b, 0, a->n_bytes, y, NULL));
  g_assert_true (memcmp (x, y, a->n_bytes) == 0);
}

/* Checks that @output holds the weights of @input */
static void
check_weights (const char *input, const char *output)
{
  g_autoptr (QconvModel) before = open_again (input), after = open_again (output);
  const QconvDirectory *from = qconv_model_directory (before), *to = qconv_model_directory (after);

  for (guint i = 0; i < qconv_directory_n_tensors (from); i++)
    {
      const QconvTensor *a = qconv_directory_tensor (from, i), *b = qconv_directory_find (to, a->name);

      if (may_change (a->name))
        continue;
      if (b == NULL && !may_go (from, a->name))
        g_error ("tensor %s is lost", a->name);
      if (b != NULL)
        check_same (a, b);
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
