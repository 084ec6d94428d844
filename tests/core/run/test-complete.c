/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests containers that write bytes between and behind tensors when all tensors are written. */
#include <glib/gstdio.h>
#include <string.h>

#include "toy.h"

static const ToyTensor model[] = { { .name = "a.weight", .dtype = QCONV_F32, .shape = { 2, { 40, 64 } } },
                                   { .name = "a.bias", .dtype = QCONV_F32, .shape = { 1, { 40 } } },
                                   { .name = "b.weight", .dtype = QCONV_BF16, .shape = { 2, { 3, 8 } } },
                                   { NULL } };

/* Returns: (transfer full): the path of a file whose edits make the container write tags and a sum */
static char *
write_source (void)
{
  char *path = toy_path ("source.box");

  toy_write (path, model, NULL);
  return path;
}

static gboolean
run (const char *from, const char *to, const char *target, GError **error)
{
  g_autoptr (QconvModel) m = toy_open (from);
  const char *const sum[] = { "sum=yes", NULL };
  QconvJob job = { .output = to, .target = target };

  if (target == NULL)
    job.edit.metadata = sum;
  return toy_run (m, &job, NULL, error);
}

static void
test_summed (void)
{
  g_autofree char *plain = write_source (), *half = toy_path ("half.box"), *summed = toy_path ("summed.box");
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autoptr (GBytes) bytes = NULL;

  toy_reset ();
  g_assert_true (run (plain, half, "half-toy", &error));
  g_assert_true (run (half, summed, NULL, &error));
  g_assert_no_error (error);
  bytes = toy_file (summed);
  m = toy_open (summed); /* reads the sum */
  for (guint i = 0; i < qconv_directory_n_tensors (qconv_model_directory (m)); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (qconv_model_directory (m), i);
      g_autoptr (GBytes) was = toy_tensor (half, t->name), is = toy_tensor (summed, t->name);

      g_assert_true (g_bytes_equal (was, is));
      g_assert_cmpmem ((const guint8 *) g_bytes_get_data (bytes, NULL) + t->offset - 4, 4, "tag:", 4);
    }
  toy_flip (summed, "a.weight", 17, 1);
  g_clear_pointer (&m, qconv_model_free);
  m = qconv_model_open (summed, NULL, &error);
  g_assert_null (m);
  toy_assert_error (error, QCONV_ERROR_INPUT, "*the sum of the file is wrong");
}

/* Tests that a container can neither write over tensors nor past the end, and that no file is left */
static void
test_refused (void)
{
  static const struct {
    guint shift;
    const char *text;
  } cases[]
      = { { 1, "*would overwrite tensor*" }, { 3, "*would overwrite tensor*" }, { 1 << 20, "*past the planned end*" } };
  g_autofree char *plain = write_source (), *half = toy_path ("half.box"), *summed = toy_path ("summed.box");
  guint n;

  toy_reset ();
  run (plain, half, "half-toy", NULL);
  n = toy_n_files (summed);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      toy.shift = cases[i].shift;
      g_assert_false (run (half, summed, NULL, &error));
      toy_assert_error (error, QCONV_ERROR_BUG, cases[i].text);
      g_assert_cmpuint (toy_n_files (summed), ==, n);
    }
  toy_reset ();
}

/* Returns the bytes of the header of the box @path, whose first tensor follows it */
static guint64
header_size (const char *path)
{
  g_autoptr (QconvModel) m = toy_open (path);

  return qconv_directory_tensor (qconv_model_directory (m), 0)->offset;
}

/* Tests that the error tells if the header is only too large because of the checksums */
static void
test_header_too_large (void)
{
  g_autofree char *plain = write_source (), *half = toy_path ("half.box"), *other = toy_path ("other.box");
  g_autoptr (QconvModel) m = toy_open (plain);
  const QconvJob bare = { .output = other, .target = "half-toy", .run.no_checksums = TRUE };
  g_autoptr (GError) error = NULL, shorter = NULL;

  toy_reset ();
  g_assert_true (run (plain, half, "half-toy", NULL));
  toy.longest = header_size (half) - 1;
  g_assert_false (run (plain, other, "half-toy", &error));
  toy_assert_error (error, QCONV_ERROR_UNSUPPORTED, "*header too large; --no-checksums makes it fit");
  g_assert_true (toy_run (m, &bare, NULL, NULL));
  toy.longest = header_size (other) - 1;
  g_assert_cmpint (g_remove (other), ==, 0);
  g_assert_false (run (plain, other, "half-toy", &shorter));
  g_assert_true (g_str_has_suffix (shorter->message, "header too large"));
  toy_reset ();
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  g_test_add_func ("/core/complete/summed", test_summed);
  g_test_add_func ("/core/complete/refused", test_refused);
  g_test_add_func ("/core/complete/header-too-large", test_header_too_large);
  return g_test_run ();
}
