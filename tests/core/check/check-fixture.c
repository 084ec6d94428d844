/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens files of the toy world for the tests of the check. */
#include "check/check-fixture.h"

#include <string.h>

const ToyTensor check_model[] = {
  FLOATS ("a.weight", 12, 16),
  FLOATS ("b.weight", 40, 16),
  FLOATS ("first.weight", 12, 20),
  { NULL },
};

QconvReport *
check_verify (const char *path, const char *original, guint64 memory, guint n_threads)
{
  g_autoptr (QconvModel) m = qconv_model_open (path, &(QconvOpenOptions) { .for_verify = TRUE }, NULL);
  g_autoptr (QconvModel) o = original != NULL ? toy_open (original) : NULL;
  g_autoptr (GError) error = NULL;
  QconvReport *r = qconv_model_verify (
      m, &(QconvVerifyOptions) { .original = o, .memory = memory, .n_threads = n_threads }, &error);

  g_assert_no_error (error);
  return r;
}

const QconvLayerError *
check_find_layer (const QconvReport *r, const char *name)
{
  for (guint i = 0; i < r->layers->len; i++)
    if (strcmp (((const QconvLayerError *) g_ptr_array_index (r->layers, i))->name, name) == 0)
      return g_ptr_array_index (r->layers, i);
  return NULL;
}
