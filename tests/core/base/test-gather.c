/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that lines of one kind become one line with their number and the first names. */
#include "base/gather.h"

#include "qconv.h"

static void
assert_lines (const Gather *g, const char *const *want)
{
  const GPtrArray *lines = qconv_gather_lines (g);

  for (guint i = 0; want[i] != NULL; i++)
    {
      g_assert_cmpuint (i, <, lines->len);
      g_assert_cmpstr (g_ptr_array_index (lines, i), ==, want[i]);
    }
  g_assert_cmpuint (lines->len, ==, g_strv_length ((GStrv) want));
}

static void
test_kinds (void)
{
  g_autoptr (Gather) g = qconv_gather_new ();

  assert_lines (g, QCONV_LIST (NULL));
  qconv_gather_add (g, "a", "odd", "is odd");
  qconv_gather_add (g, NULL, NULL, "the file is old");
  qconv_gather_add (g, "a", "even", "is even");
  assert_lines (g, QCONV_LIST ("a: is odd", "the file is old", "a: is even"));
  qconv_gather_add (g, "b", "odd", "is odd, too");
  qconv_gather_add (g, "b", "odd", "is very odd");
  qconv_gather_add (g, NULL, NULL, "the file is old");
  assert_lines (g, QCONV_LIST ("a, b (2 in all): is odd", "the file is old", "a: is even", "the file is old"));
}

static void
test_many (void)
{
  g_autoptr (Gather) g = qconv_gather_new ();

  for (guint i = 0; i < 30; i++)
    {
      g_autofree char *name = g_strdup_printf ("layers.%u", i);

      qconv_gather_add (g, name, "odd", "is odd");
    }
  assert_lines (g, QCONV_LIST ("layers.0, layers.1, layers.2, layers.3, layers.4, … (30 in all): is odd"));
}

/* Tests the name of a set, which folders and the program take for all its files */
static void
test_set (void)
{
  static const char *const names[][2] = {
    { "m-00002-of-00005.gguf", "m-of-00005.gguf" },
    { "a/m-00002-of-00005.safetensors", "a/m-of-00005.safetensors" },
    { "m-2-of-5.gguf", "m-2-of-5.gguf" },
    { "m.safetensors", "m.safetensors" },
    { "m-00001-of-00002.d/x", "m-00001-of-00002.d/x" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *got = qconv_name_of_set (names[i][0]);

      g_assert_cmpstr (got, ==, names[i][1]);
    }
}

static void
test_start (void)
{
  g_autofree char *whole = qconv_text_start ("äöü", 3), *cut = qconv_text_start ("äöü", 2);
  g_autofree char *empty = qconv_text_start ("", 2);

  g_assert_cmpstr (whole, ==, "äöü");
  g_assert_cmpstr (cut, ==, "äö…");
  g_assert_cmpstr (empty, ==, "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gather/kinds", test_kinds);
  g_test_add_func ("/gather/many", test_many);
  g_test_add_func ("/names/set", test_set);
  g_test_add_func ("/names/start", test_start);
  return g_test_run ();
}
