/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests sources: reading, siblings, paths that are not regular files, and the checks of directories. */
#include "io/source.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "io/directory.h"

static char *
make_file (const char *folder, const char *name, const char *text)
{
  char *path = g_build_filename (folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return path;
}

static void
test_read (void)
{
  g_autofree char *folder = g_dir_make_tmp ("qconv-source-XXXXXX", NULL);
  g_autofree char *path = make_file (folder, "a", "0123456789"), *beside = make_file (folder, "b", "xyz");
  g_autoptr (QconvSource) s = qconv_source_open (path, NULL);
  g_autoptr (GError) error = NULL;
  char got[10];

  g_assert_true (qconv_source_read (s, 2, 3, got, NULL));
  g_assert_cmpmem (got, 3, "234", 3);
  g_assert_false (qconv_source_read (s, 8, 3, got, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_clear_error (&error);
  g_assert_false (qconv_source_read (s, G_MAXUINT64, 2, got, NULL));
  g_assert_nonnull (qconv_source_sibling (s, "b", NULL));
  g_assert_true (qconv_source_is_file (s, beside));
  /* another process cuts the file short: an error, not a signal */
  g_assert_cmpint (truncate (path, 4), ==, 0);
  g_assert_false (qconv_source_read (s, 2, 3, got, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT);
  g_unlink (path);
  g_unlink (beside);
  g_rmdir (folder);
}

static void
test_siblings_stay (void)
{
  static const char *const bad[] = { "", ".", "..", "/etc/passwd", "../a", "x/y", "x\\y" };
  g_autofree char *folder = g_dir_make_tmp ("qconv-source-XXXXXX", NULL);
  g_autofree char *path = make_file (folder, "a", "1");
  g_autoptr (QconvSource) s = qconv_source_open (path, NULL);
  g_autoptr (GError) missing = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (qconv_source_sibling (s, bad[i], &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
    }
  g_assert_null (qconv_source_sibling (s, "none", &missing));
  g_assert_error (missing, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_unlink (path);
  g_rmdir (folder);
}

static void
test_not_a_file (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (qconv_source_open ("/dev/null", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE);
}

static void
test_directory_checks (void)
{
  g_autoptr (GBytes) bytes = g_bytes_new ("0123456789abcdef", 16);
  g_autoptr (QconvSource) s = qconv_source_new_for_bytes (bytes, "memory");
  g_autoptr (QconvDirectory) d = qconv_directory_new ("test", s);
  QconvTensor t = { .name = "a", .dtype = QCONV_F32, .shape = QCONV_SHAPE2 (2, 2), .n_bytes = 16, .source = s };
  g_autoptr (GError) error = NULL;

  g_assert_true (qconv_directory_add (d, &t, &error));
  g_assert_false (qconv_directory_add (d, &t, NULL)); /* twice */
  t.name = "b";
  t.n_bytes = 12;
  g_assert_false (qconv_directory_add (d, &t, NULL)); /* shape */
  t.n_bytes = 16;
  t.offset = 1;
  g_assert_false (qconv_directory_add (d, &t, NULL)); /* past the end */
  t.offset = G_MAXUINT64;
  g_assert_false (qconv_directory_add (d, &t, NULL));
  t.offset = 0;
  t.shape = QCONV_SHAPE2 (G_MAXUINT64 / 2, 4);
  g_assert_false (qconv_directory_add (d, &t, NULL)); /* overflow */
  g_assert_cmpuint (qconv_directory_n_tensors (d), ==, 1);
  g_assert_true (qconv_directory_set_metadata (d, "k", g_variant_new_string ("v"), NULL));
  g_assert_false (qconv_directory_set_metadata (d, "k", g_variant_new_string ("w"), NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/source/read", test_read);
  g_test_add_func ("/source/siblings-stay", test_siblings_stay);
  g_test_add_func ("/source/not-a-file", test_not_a_file);
  g_test_add_func ("/source/directory-checks", test_directory_checks);
  return g_test_run ();
}
