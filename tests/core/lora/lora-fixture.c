/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes and merges LoRA files for test-lora.c and test-lora-names.c. */
#include "lora-fixture.h"

#include <string.h>

Matrix *
matrix_noise (gsize rows, gsize cols, guint32 seed)
{
  Matrix *m = g_new (Matrix, 1);

  *m = (Matrix) { rows, cols, noise (rows * cols, seed) };
  return m;
}

void
matrix_free (Matrix *m)
{
  g_free (m->items);
  g_free (m);
}

void
lora_add (Builder *b, const char *layer, const char *suffix, const Matrix *m, const char *shape)
{
  g_autofree char *key = g_strconcat (layer, suffix, NULL);
  g_autofree char *axes
      = m->cols == 1 ? g_strdup_printf ("[%zu]", m->rows) : g_strdup_printf ("[%zu,%zu]", m->rows, m->cols);

  builder_add (b, key, "F32", shape != NULL ? shape : axes, m->items, m->rows * m->cols * sizeof *m->items);
}

void
lora_add_alpha (Builder *b, const char *layer, float alpha)
{
  g_autofree char *key = g_strconcat (layer, ".alpha", NULL);

  builder_add (b, key, "F32", "[]", &alpha, sizeof alpha);
}

char *
lora_model (const char *arguments)
{
  g_autofree char *name = g_strdelimit (g_strdup (arguments), " /", '_');
  g_autofree char *suffixed = g_strconcat (name, strstr (arguments, "gguf") != NULL ? ".gguf" : ".safetensors", NULL);
  char *path = scratch_path (suffixed);
  g_autofree char *line = g_strdup_printf ("%s %s %s", g_getenv ("QCONV_MAKE_MODEL"), arguments, path);
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  /* With them left open GLib need not copy the page tables of a large process */
  GSpawnFlags flags = G_SPAWN_SEARCH_PATH | G_SPAWN_LEAVE_DESCRIPTORS_OPEN;
  g_autoptr (GError) error = NULL;
  int status;

  if (g_file_test (path, G_FILE_TEST_EXISTS))
    return path;
  g_spawn_sync (NULL, words, NULL, flags, NULL, NULL, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_spawn_check_wait_status (status, &error);
  g_assert_no_error (error);
  return path;
}

QconvModel *
lora_bake (const char *model, const char *target, const char *naming, const char *const *loras)
{
  g_autofree char *output = scratch_path ("baked.safetensors");
  QconvJob job = { .target = target,
                   .output = output,
                   .names.naming = naming,
                   .lora.files = loras,
                   .run.force = TRUE,
                   .run.n_threads = 2,
                   .effort = "rtn" };
  g_autoptr (QconvModel) m = open_model (model, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) plan = qconv_plan_new (m, &job, &error);
  g_autoptr (QconvReport) report = NULL;

  g_assert_no_error (error);
  qconv_plan_run (plan, NULL, NULL, NULL, &report, &error);
  g_assert_no_error (error);
  return open_model (output, NULL);
}

Matrix *
lora_tensor (const QconvModel *m, const char *name)
{
  const QconvTensor *t = qconv_directory_find (qconv_model_directory (m), name);
  g_autoptr (GBytes) bytes = tensor_bytes (m, name);
  Matrix *x = g_new (Matrix, 1);
  guint64 items = 1;

  g_assert_cmpint (t->dtype, ==, QCONV_F32);
  for (guint i = 0; i < t->shape.rank; i++)
    items *= t->shape.dim[i];
  x->rows = t->shape.rank > 0 ? t->shape.dim[0] : 1;
  x->cols = items / x->rows;
  x->items = g_memdup2 (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  return x;
}

/* Returns whether @a and @b hold the same bytes. Compares words, because valgrind replaces memcmp() by a loop of
   bytes */
static gboolean
same_bytes (GBytes *a, GBytes *b)
{
  gsize n = g_bytes_get_size (a), at = 0;
  const guint8 *x = g_bytes_get_data (a, NULL), *y = g_bytes_get_data (b, NULL);
  guint64 differs = 0;

  if (n != g_bytes_get_size (b))
    return FALSE;
  for (guint64 p, q; at + sizeof p <= n; at += sizeof p)
    {
      memcpy (&p, x + at, sizeof p);
      memcpy (&q, y + at, sizeof q);
      differs |= p ^ q;
    }
  return differs == 0 && memcmp (x + at, y + at, n - at) == 0;
}

char *
lora_changes (const QconvModel *a, const QconvModel *b)
{
  const QconvDirectory *d = qconv_model_directory (a);
  GString *names = g_string_new (NULL);
  guint n = qconv_directory_n_tensors (d);

  g_assert_cmpuint (n, ==, qconv_directory_n_tensors (qconv_model_directory (b)));
  for (guint i = 0; i < n; i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autoptr (GBytes) x = tensor_bytes (a, t->name), y = tensor_bytes (b, t->name);

      if (!same_bytes (x, y))
        g_string_append_printf (names, "%s\n", t->name);
    }
  return g_string_free (names, FALSE);
}

void
matrix_assert_equal (const Matrix *a, const Matrix *b)
{
  g_assert_cmpuint (a->rows, ==, b->rows);
  g_assert_cmpuint (a->cols, ==, b->cols);
  g_assert_cmpmem (a->items, a->rows * a->cols * sizeof *a->items, b->items, b->rows * b->cols * sizeof *b->items);
}

void
matrix_add_product (Matrix *w, gsize first, const Matrix *up, const Matrix *down, float scale)
{
  for (gsize row = 0; row < up->rows; row++)
    for (gsize col = 0; col < w->cols; col++)
      for (gsize k = 0; k < up->cols; k++)
        {
          volatile float factor = scale * up->items[row * up->cols + k];
          volatile float product = factor * down->items[k * down->cols + col];

          w->items[(first + row) * w->cols + col] += product;
        }
}
