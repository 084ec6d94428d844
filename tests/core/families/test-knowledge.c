/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the knowledge of families: a process reads it once, at the first call of any thread; and short names of
   layers. */
#include <gio/gio.h>

#include "families/knowledge.h"
#include "families/layer-name.h"

static gpointer
ask (gpointer data)
{
  return (gpointer) qconv_families_known (NULL);
}

/* Tests the first call, so it must run first */
static void
test_threads (void)
{
  GThread *threads[8];
  const Families *first = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("ask", ask, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      const Families *known = g_thread_join (threads[i]);

      g_assert_nonnull (known);
      g_assert_true (first == NULL || known == first);
      first = known;
    }
}

static void
test_family_file (void)
{
  Knowledge *plain = qconv_knowledge_new (NULL), *broken = qconv_knowledge_new ("/no/such/file.json");
  g_autoptr (GError) error = NULL;

  g_assert_true (qconv_knowledge_families (plain, NULL) == qconv_families_known (NULL));
  g_assert_null (qconv_knowledge_families (broken, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  qconv_knowledge_free (plain);
  qconv_knowledge_free (broken);
}

static const struct {
  const char *name, *stripped, *short_name;
} names[] = {
  { "model.diffusion_model.blocks.0.q.weight", "blocks.0.q.weight", "blocks.0.q" },
  { "blocks.0.q.weight", "blocks.0.q.weight", "blocks.0.q" },
  { "blocks.0.q.bias", "blocks.0.q.bias", "blocks.0.q.bias" },
  { "blocks.0.q", "blocks.0.q", "blocks.0.q" },
  { ".weight", ".weight", "" },
  { "weight", "weight", "weight" },
  { "", "", "" },
};

static void
test_names (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *short_name = qconv_short_name (names[i].name);

      g_assert_cmpstr (qconv_strip_prefix (names[i].name), ==, names[i].stripped);
      g_assert_cmpstr (short_name, ==, names[i].short_name);
      g_assert_cmpint (qconv_is_weight_name (names[i].name), ==, g_str_has_suffix (names[i].name, ".weight"));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/graph/knowledge/threads", test_threads);
  g_test_add_func ("/graph/knowledge/family-file", test_family_file);
  g_test_add_func ("/graph/knowledge/names", test_names);
  return g_test_run ();
}
