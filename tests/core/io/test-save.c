/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests saving: a file appears whole under its name or not at all. */
#include "io/save.h"

#include <glib/gstdio.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "qconv.h"

typedef struct {
  char *folder, *path;
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  f->folder = g_dir_make_tmp ("qconv-save-XXXXXX", NULL);
  f->path = g_build_filename (f->folder, "out.bin", NULL);
}

static guint
count_files (const Fixture *f)
{
  g_autoptr (GDir) dir = g_dir_open (f->folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static void
teardown (Fixture *f, gconstpointer data)
{
  g_unlink (f->path);
  g_assert_cmpint (g_rmdir (f->folder), ==, 0); /* fails if a temporary file was left */
  g_free (f->folder);
  g_free (f->path);
}

static void
test_commit (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Save) s = qconv_save_new (f->path, 10, &error);
  g_autofree char *text = NULL;
  gsize n = 0;

  g_assert_no_error (error);
  g_assert_false (g_file_test (f->path, G_FILE_TEST_EXISTS));
  g_assert_true (qconv_save_write (s, 3, "abc", 3, &error));
  g_assert_true (qconv_save_sync (s, &error));
  g_assert_true (qconv_save_commit (&s, 1, FALSE, &error));
  g_assert_true (g_file_get_contents (f->path, &text, &n, NULL));
  g_assert_cmpmem (text, n, "\0\0\0abc\0\0\0\0", 10);
  g_assert_cmpuint (count_files (f), ==, 1);
}

static void
test_dropped (Fixture *f, gconstpointer data)
{
  Save *s = qconv_save_new (f->path, 10, NULL);

  g_assert_cmpuint (count_files (f), ==, 1);
  qconv_save_free (s);
  g_assert_cmpuint (count_files (f), ==, 0);
}

static void
test_past_end (Fixture *f, gconstpointer data)
{
  g_autoptr (Save) s = qconv_save_new (f->path, 10, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (qconv_save_write (s, 8, "abc", 3, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
}

/* Tests that a file that appeared meanwhile is overwritten only with force */
static void
test_existing (Fixture *f, gconstpointer data)
{
  Save *s = qconv_save_new (f->path, 1, NULL);
  g_autofree char *text = NULL;

  g_assert_true (g_file_set_contents (f->path, "old", 3, NULL));
  g_assert_false (qconv_save_commit (&s, 1, FALSE, NULL));
  qconv_save_free (s);
  g_assert_true (g_file_get_contents (f->path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "old");
  s = qconv_save_new (f->path, 1, NULL);
  g_assert_true (qconv_save_commit (&s, 1, TRUE, NULL));
  qconv_save_free (s);
}

/* Tests that the file of a killed run is removed, and the file of a running one is not */
static void
test_leftovers (Fixture *f, gconstpointer data)
{
  g_autofree char *left = g_build_filename (f->folder, ".out.bin.1-00000000.qconv-part", NULL);
  Save *running = qconv_save_new (f->path, 1, NULL), *next;

  g_assert_true (g_file_set_contents (left, "x", 1, NULL));
  next = qconv_save_new (f->path, 1, NULL);
  g_assert_false (g_file_test (left, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_test (qconv_save_temporary (running), G_FILE_TEST_EXISTS));
  qconv_save_free (running);
  qconv_save_free (next);
}

static void
test_too_large (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (qconv_save_new (f->path, G_MAXINT64, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
}

/* Ends @message before the bytes that the disk has left: other programs change them between two messages */
static const char *
without_room (char *message)
{
  char *room = strstr (message, "the disk has");

  if (room)
    *room = '\0';
  return message;
}

/* Tests that the check before a run fails as the run does, and writes nothing */
static void
test_check (Fixture *f, gconstpointer data)
{
  g_autofree char *missing = g_build_filename (f->folder, "no", "out.bin", NULL), *below = NULL;
  const struct {
    const char *path;
    guint64 size;
    GQuark domain;
    gint code;
  } cases[] = {
    { f->path, G_MAXINT64, QCONV_ERROR, QCONV_ERROR_LIMIT },
    { missing, 10, G_IO_ERROR, G_IO_ERROR_NOT_FOUND },
    { (below = g_build_filename (f->path, "out.bin", NULL)), 10, G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY },
  };

  g_assert_true (qconv_save_check (f->path, 10, NULL));
  g_assert_cmpuint (count_files (f), ==, 0);
  g_assert_true (g_file_set_contents (f->path, "abc", 3, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) before = NULL, error = NULL;

      g_assert_false (qconv_save_check (cases[i].path, cases[i].size, &before));
      g_assert_error (before, cases[i].domain, cases[i].code);
      g_assert_null (qconv_save_new (cases[i].path, cases[i].size, &error));
      g_assert_cmpstr (without_room (error->message), ==, without_room (before->message));
    }
  g_assert_cmpuint (count_files (f), ==, 1);
}

static void
test_copy (Fixture *f, gconstpointer data)
{
  g_autofree char *input = g_build_filename (f->folder, "in.bin", NULL), *text = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new_static ("0123456789", 10);
  g_autoptr (QconvSource) memory = qconv_source_new_for_bytes (bytes, "memory");
  g_autoptr (QconvSource) source = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (Save) s = NULL;
  gboolean done = FALSE;
  gsize n = 0;

  g_assert_true (g_file_set_contents (input, "0123456789", 10, NULL));
  source = qconv_source_open (input, &error);
  s = qconv_save_new (f->path, 8, &error);
  g_assert_no_error (error);
  g_assert_true (qconv_save_copy (s, 2, &(SourceRange) { source, 4, 6 }, &done, &error));
  g_assert_no_error (error);
  if (!done)
    g_test_skip ("this file system does not copy by itself");
  /* a system that cannot copy reports that, without an error */
  g_assert_true (qconv_save_copy (s, 0, &(SourceRange) { memory, 0, 2 }, &done, &error));
  g_assert_false (done);
  g_assert_true (qconv_save_copy (s, 0, &(SourceRange) { source, 9, 2 }, &done, &error)); /* the input ends */
  g_assert_false (done);
  g_assert_false (qconv_save_copy (s, 7, &(SourceRange) { source, 0, 2 }, &done, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_BUG);
  g_clear_error (&error);
  g_assert_true (qconv_save_commit (&s, 1, FALSE, &error));
  g_assert_true (g_file_get_contents (f->path, &text, &n, NULL));
  g_assert_cmpuint (n, ==, 8);
  if (!g_test_failed () && text[2] != 0)
    g_assert_cmpmem (text + 2, n - 2, "456789", 6);
  g_unlink (input);
}

/* Tests that a program that ends leaves no temporary file, and that no output appears afterwards. Must be the last
   test: nothing can be saved after it */
static void
test_abandoned (Fixture *f, gconstpointer data)
{
  g_autoptr (Save) s = qconv_save_new (f->path, 10, NULL), late = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (count_files (f), ==, 1);
  qconv_abandon_outputs ();
  g_assert_cmpuint (count_files (f), ==, 0);
  g_assert_true (qconv_save_write (s, 3, "abc", 3, NULL));
  g_assert_false (qconv_save_commit (&s, 1, TRUE, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  late = qconv_save_new (f->path, 10, &error);
  g_assert_null (late);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (count_files (f), ==, 0);
}

/* Tests the longest name that file systems allow; the temporary one is not longer, and ends no character early */
static void
test_long_name (Fixture *f, gconstpointer data)
{
  g_autoptr (GString) name = g_string_new ("ab");
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (Save) s = NULL;
  g_autoptr (GDir) dir = NULL;

  while (name->len + 3 <= 255)
    g_string_append (name, "\xe6\xa8\xa1"); /* a character of three bytes */
  path = g_build_filename (f->folder, name->str, NULL);
  s = qconv_save_new (path, 4, &error);
  g_assert_no_error (error);
  dir = g_dir_open (f->folder, 0, NULL);
  g_assert_true (g_utf8_validate (g_dir_read_name (dir), -1, NULL));
  g_assert_true (qconv_save_write (s, 0, "abcd", 4, &error));
  g_assert_true (qconv_save_commit (&s, 1, FALSE, &error));
  g_assert_no_error (error);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  g_unlink (path);
}

/* Tests that a file in memory gets no blocks before something is written: filling it first would keep all threads but
   one waiting */
static void
test_in_memory (void)
{
  static const char *const folder = "/dev/shm";
  g_autofree char *path = NULL, *temporary = NULL, *mine = g_strdup_printf ("%s/qconv-save-XXXXXX", folder);
  g_autoptr (GError) error = NULL;
  g_autoptr (Save) s = NULL;
  g_autoptr (GDir) dir = NULL;
  struct statfs fs;
  struct stat st;

  if (statfs (folder, &fs) != 0 || fs.f_type != TMPFS_MAGIC || g_mkdtemp (mine) == NULL)
    {
      g_test_skip ("there is no file system in memory");
      return;
    }
  path = g_build_filename (mine, "out.bin", NULL);
  s = qconv_save_new (path, 1 << 20, &error);
  g_assert_no_error (error);
  dir = g_dir_open (mine, 0, NULL);
  temporary = g_build_filename (mine, g_dir_read_name (dir), NULL);
  g_assert_cmpint (stat (temporary, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 1 << 20);
  g_assert_cmpint (st.st_blocks, ==, 0);
  g_assert_true (qconv_save_write (s, 4096, "abcd", 4, &error));
  g_assert_true (qconv_save_commit (&s, 1, FALSE, &error));
  g_assert_no_error (error);
  g_unlink (path);
  g_assert_cmpint (g_rmdir (mine), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/save/commit", Fixture, NULL, setup, test_commit, teardown);
  g_test_add ("/save/dropped", Fixture, NULL, setup, test_dropped, teardown);
  g_test_add ("/save/past-end", Fixture, NULL, setup, test_past_end, teardown);
  g_test_add ("/save/existing", Fixture, NULL, setup, test_existing, teardown);
  g_test_add ("/save/leftovers", Fixture, NULL, setup, test_leftovers, teardown);
  g_test_add ("/save/check", Fixture, NULL, setup, test_check, teardown);
  g_test_add ("/save/copy", Fixture, NULL, setup, test_copy, teardown);
  g_test_add ("/save/long-name", Fixture, NULL, setup, test_long_name, teardown);
  g_test_add_func ("/save/in-memory", test_in_memory);
  g_test_add ("/save/too-large", Fixture, NULL, setup, test_too_large, teardown);
  g_test_add ("/save/abandoned", Fixture, NULL, setup, test_abandoned, teardown);
  return g_test_run ();
}
