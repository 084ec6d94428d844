/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests every container on files of all others. qconv-plugin-check tests containers alone. */
#include "sample.h"

enum { HEAD = 64 << 10 };

/* All containers of all plugins */
static GPtrArray *containers;

static void
collect (const QconvPlugin *p)
{
  for (guint i = 0; p->containers != NULL && p->containers[i] != NULL; i++)
    g_ptr_array_add (containers, (gpointer) p->containers[i]);
}

static guint
score (const QconvContainer *c, const char *name, GBytes *bytes)
{
  gsize n;
  const guint8 *data = g_bytes_get_data (bytes, &n);

  return c->score (c, name, data, MIN (n, HEAD), n);
}

static void
test_scores (gconstpointer data)
{
  const QconvContainer *c = data;

  for (guint i = 0; i < containers->len; i++)
    {
      const QconvContainer *other = g_ptr_array_index (containers, i);
      g_autofree char *path = sample_make (other->id);
      g_autoptr (GBytes) bytes = NULL;

      /* sample_make() must know every container of the tree */
      g_assert_nonnull (path);
      bytes = sample_read (path);
      g_test_message ("%s on a file of %s", c->id, other->id);
      if (other == c)
        g_assert_cmpuint (score (c, "model", bytes), >, 0);
      else
        g_assert_cmpuint (score (c, "model", bytes), ==, 0);
      g_assert_cmpuint (score (c, "model", bytes), <=, 100);
    }
}

/* Returns whether @path opens. Asserts a model or an error, never both, and the exit status of a bad file */
static gboolean
opens (const char *path, const char *from)
{
  QconvOpenOptions options = { .from = from };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) model = qconv_model_open (path, &options, &error);

  g_assert_true ((model == NULL) == (error != NULL));
  if (error != NULL)
    g_assert_cmpint (qconv_error_exit_status (error), ==, 3);
  return model != NULL;
}

static void
test_others_files (gconstpointer data)
{
  const QconvContainer *c = data;

  for (guint i = 0; i < containers->len; i++)
    {
      const QconvContainer *other = g_ptr_array_index (containers, i);
      g_autofree char *path = sample_make (other->id);

      if (other != c)
        g_assert_false (opens (path, c->id));
    }
}

static void
add_test (const QconvContainer *c, const char *what, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/containers/%s/%s", c->id, what);

  g_test_add_data_func (path, c, func);
}

int
main (int argc, char **argv)
{
  int rc;

  g_test_init (&argc, &argv, NULL);
  containers = g_ptr_array_new ();
  sample_each_plugin (collect);
  g_assert_cmpuint (containers->len, >, 0);
  for (guint i = 0; i < containers->len; i++)
    {
      const QconvContainer *c = g_ptr_array_index (containers, i);

      add_test (c, "score", test_scores);
      add_test (c, "files of others", test_others_files);
    }
  rc = g_test_run ();
  g_ptr_array_unref (containers);
  sample_finish ();
  return rc;
}
