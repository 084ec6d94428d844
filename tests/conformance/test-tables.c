/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that every plugin of the build loads. qconv-plugin-check tests their tables. */
#include "sample.h"

static void
test_count (void)
{
  GPtrArray *modules = qconv_registry_modules ();

  for (guint i = 0; i < modules->len; i++)
    {
      const QconvModule *m = g_ptr_array_index (modules, i);

      if (m->plugin == NULL)
        g_test_message ("%s: %s", m->path, m->reason);
      g_assert_nonnull (m->plugin);
    }
  /* The number comes from the build: a run with no plugins must not be green */
  g_assert_cmpuint (modules->len, ==, QCONV_N_BUILT_PLUGINS);
}

int
main (int argc, char **argv)
{
  int rc;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tables/count", test_count);
  rc = g_test_run ();
  sample_finish ();
  return rc;
}
