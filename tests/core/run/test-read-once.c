/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that a run reads the codes of a layer once. */
#include "toy.h"

/* Tests that codes are loaded once if they fit half of the memory: a pass does not read them again, nor do tiles of a
   layer whose reader wants all rows, in the run and in the check. The same bytes come out if they do not fit */
static void
test_read_once (void)
{
  static const struct {
    const char *target;
    guint64 min_rows;
    gboolean no_verify;
    gint loads;
  } ways[] = { { "whole-toy", 1, TRUE, 1 }, { "f32-toy", 5000, TRUE, 1 }, { "f32-toy", 5000, FALSE, 2 } };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      g_autofree char *in = toy_path ("in.box"), *out = toy_path ("out.box"), *small = toy_path ("small.box");
      g_autofree char *marker = g_strdup_printf ("half|group=4|5000|64|F32|min_rows=%d", (int) ways[i].min_rows);
      const ToyTensor tensors[] = { { "a.weight", QCONV_I8, { 2, { 5000, 64 } }, NULL, NULL },
                                    { "a.scale", QCONV_F32, { 1, { 1250 } }, NULL, NULL },
                                    { "a.scheme", QCONV_U8, { 1, { 60 } }, NULL, marker },
                                    { NULL } };
      QconvJob job = { .target = ways[i].target, .run.n_threads = 2, .run.no_verify = ways[i].no_verify };
      g_autoptr (GBytes) want = NULL, got = NULL;

      toy_reset ();
      toy_write (in, tensors, NULL);
      toy_convert (in, out, &job);
      g_assert_cmpint (toy.calls[TOY_LOAD], ==, ways[i].loads);
      toy_reset ();
      job.run.memory = 512 << 10;
      toy_convert (in, small, &job);
      g_assert_cmpint (toy.calls[TOY_LOAD], >, 2 * ways[i].loads);
      want = toy_file (small);
      got = toy_file (out);
      g_assert_true (g_bytes_equal (got, want));
    }
}

int
main (int argc, char **argv)
{
  toy_init (&argc, &argv);
  g_test_add_func ("/core/read-once", test_read_once);
  return g_test_run ();
}
