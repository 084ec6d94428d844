/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests runs that write the files that a writer names, in a folder of their own. */
#include <glib/gstdio.h>

#include "toy.h"

typedef struct {
  char *in, *folder, *out;
} Place;

static void
setup (Place *p, gconstpointer data)
{
  p->in = toy_path ("in.box");
  p->folder = toy_path ("outputs");
  p->out = g_build_filename (p->folder, "out.box", NULL);
  g_assert_cmpint (g_mkdir (p->folder, 0777), ==, 0);
  toy_reset ();
  toy_write (p->in, toy_mixed, (const char *const[]) { "author=me", NULL });
}

/* Returns the number of files in the folder, and removes them if @clear */
static guint
count_files (const char *folder, gboolean clear)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  guint n = 0;

  for (; dir != NULL && (name = g_dir_read_name (dir)) != NULL; n++)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      if (clear)
        g_remove (path);
    }
  return n;
}

static void
teardown (Place *p, gconstpointer data)
{
  toy_reset ();
  count_files (p->folder, TRUE);
  g_assert_cmpint (g_rmdir (p->folder), ==, 0);
  g_free (p->in);
  g_free (p->folder);
  g_free (p->out);
}

static gboolean
run (const Place *p, const QconvJob *job, QconvReport **report, GError **error)
{
  g_autoptr (QconvModel) m = toy_open (p->in);
  QconvJob all = *job;

  if (all.target == NULL)
    all.target = "half-toy";
  if (all.output == NULL)
    all.output = p->out;
  return toy_run (m, &all, report, error);
}

static const QconvJob apart = { .options = (const char *const[]) { "toy.apart", NULL } };

static void
test_folder (Place *p, gconstpointer data)
{
  g_autofree char *folder = g_build_filename (p->folder, "model", NULL);
  g_autofree char *first = g_build_filename (folder, "layers.box", NULL);
  g_autofree char *rest = g_build_filename (folder, "rest.box", NULL);
  g_autofree char *note = g_build_filename (folder, "note.txt", NULL), *text = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) set = NULL, alone = NULL;
  QconvJob job = apart;

  job.output = folder;
  run (p, &job, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_file_get_contents (note, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "a note\n");
  set = toy_open (first);
  g_assert_nonnull (qconv_directory_find (qconv_model_directory (set), "a.scale"));
  g_assert_nonnull (qconv_directory_find (qconv_model_directory (set), "a.bias"));
  g_assert_nonnull (qconv_directory_metadata (qconv_model_directory (set), "author"));
  alone = toy_open (rest);
  g_assert_null (qconv_directory_find (qconv_model_directory (alone), "a.scale"));
  g_assert_null (qconv_directory_metadata (qconv_model_directory (alone), "author"));
  g_assert_false (run (p, &job, NULL, &error));
  toy_assert_error (error, QCONV_ERROR_OPTION, "*model/layers.box: exists*");
  g_assert_cmpuint (count_files (folder, TRUE), ==, 3);
  g_clear_error (&error);
  run (p, &job, NULL, &error); /* into the folder that is there now */
  g_assert_no_error (error);
  g_assert_cmpuint (count_files (folder, TRUE), ==, 3);
}

/* Tests that a folder goes with the files if it was made for them, and that folders and sets do not mix */
static void
test_refused (Place *p, gconstpointer data)
{
  g_autofree char *folder = g_build_filename (p->folder, "model", NULL);
  g_autoptr (GError) error = NULL, none = NULL;
  QconvJob job = apart;

  job.output = folder;
  toy.fail = TOY_COMPLETE;
  toy.code = QCONV_ERROR_LIMIT;
  toy.spare = 1;
  g_assert_false (run (p, &job, NULL, NULL));
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 0);
  toy_reset ();
  job.run.split = 1 << 20;
  g_assert_false (run (p, &job, NULL, &error));
  toy_assert_error (error, QCONV_ERROR_OPTION, "*--split*set of files already");
  job = apart;
  job.output = "/nowhere/at/all";
  g_assert_false (run (p, &job, NULL, &none));
  g_assert_error (none, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* Tests tensors in files that are not there, or hold bytes of their own */
static void
test_stray (Place *p, gconstpointer data)
{
  g_autoptr (GError) one = NULL, bytes = NULL;
  QconvJob job = apart;

  toy.stray = 1;
  g_assert_false (run (p, &(QconvJob) { 0 }, NULL, &one));
  toy_assert_error (one, QCONV_ERROR_BUG, "*end() of writer \"toy\" puts tensor \"a.bias\" into file 1, which*");
  job.output = p->out;
  g_assert_false (run (p, &job, NULL, &bytes));
  toy_assert_error (bytes, QCONV_ERROR_BUG, "*into file 2, which holds no tensors");
  g_assert_cmpuint (count_files (p->folder, FALSE), ==, 0);
}

static void
add (const char *name, void (*test) (Place *, gconstpointer))
{
  g_autofree char *path = g_strconcat ("/core/named-files/", name, NULL);

  g_test_add (path, Place, NULL, setup, test, teardown);
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  add ("folder", test_folder);
  add ("refused", test_refused);
  add ("stray", test_stray);
  return g_test_run ();
}
