/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests plain layers that a load function reads, with data of the reader: whatever becomes of them, their numbers are
   those of the same layer stored row by row. */
#include <string.h>

#include "toy.h"

enum { ROWS = 37, COLS = 24, KEY = 0x5a };

/* Returns: (transfer full): the path of a model whose layer is stored as @turned says */
static char *
write_model (const char *name, gboolean turned, QconvDType dtype)
{
  char *path = toy_path (name);
  const ToyTensor plain[] = { { .name = "a.weight", .dtype = dtype, .shape = { 2, { ROWS, COLS } } }, { NULL } };
  g_autofree char *straight = toy_path ("straight.box"), *marker = NULL;
  gsize width = qconv_dtype_bits (dtype) / 8;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (QconvModel) m = NULL;
  g_autofree guint8 *all = NULL;
  const QconvTensor *t;
  const guint8 *from;
  gsize n;

  toy_write (straight, plain, NULL);
  if (!turned)
    {
      toy_write (path, plain, NULL);
      return path;
    }
  bytes = toy_tensor (straight, "a.weight");
  from = g_bytes_get_data (bytes, NULL);
  marker = g_strdup_printf ("plain|%x|%d|%d|F32", KEY, ROWS, COLS);
  toy_write (path,
             (const ToyTensor[]) {
                 plain[0],
                 { .name = "a.scheme", .dtype = QCONV_U8, .shape = QCONV_SHAPE1 (strlen (marker)), .text = marker },
                 { NULL } },
             NULL);
  m = toy_open (path);
  t = qconv_directory_find (qconv_model_directory (m), "a.weight");
  all = g_bytes_unref_to_data (toy_file (path), &n);
  for (gsize i = 0; i < ROWS * COLS * width; i++)
    {
      gsize row = i / width / COLS, col = i / width % COLS;

      all[t->offset + (col * ROWS + row) * width + i % width] = from[i] ^ KEY;
    }
  g_assert_true (g_file_set_contents (path, (const char *) all, (gssize) n, NULL));
  return path;
}

static void
test_target (gconstpointer target)
{
  static const QconvDType dtypes[] = { QCONV_F32, QCONV_BF16 };

  for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++)
    {
      g_autofree char *straight = write_model ("in.box", FALSE, dtypes[i]),
                      *turned = write_model ("turned.box", TRUE, dtypes[i]);
      g_autofree char *a = toy_path ("a.box"), *b = toy_path ("b.box");
      g_autoptr (GBytes) x = NULL, y = NULL;

      toy_reset ();
      toy_convert (straight, a, &(QconvJob) { .target = target });
      toy_convert (turned, b, &(QconvJob) { .target = target, .run.memory = 1100 << 10, .run.n_threads = 3 });
      x = toy_file (a);
      y = toy_file (b);
      g_assert_true (g_bytes_equal (x, y));
      g_assert_cmpint (toy.calls[TOY_LOAD], >, 0);
    }
}

int
main (int argc, char **argv)
{
  static const char *const targets[]
      = { "half-toy", "whole-toy", "once-toy", "twin-toy", "f32-toy", "f16-toy", "plain-toy" };

  toy_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autofree char *path = g_strconcat ("/core/turned/", targets[i], NULL);

      g_test_add_data_func (path, targets[i], test_target);
    }
  return g_test_run ();
}
