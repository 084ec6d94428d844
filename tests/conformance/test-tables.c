/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the tables of every plugin: names, help texts, options, and that the registry finds each feature. */
#include <stdlib.h>
#include <string.h>

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

/* Checks that a help text is one line without a full stop, because other text may follow it */
static void
check_help (const char *owner, const char *text)
{
  g_assert_nonnull (text);
  g_test_message ("%s: %s", owner, text);
  g_assert_cmpuint (strlen (text), >, 0);
  g_assert_null (strchr (text, '\n'));
  g_assert_false (g_str_has_suffix (text, "."));
}

static void
check_name (const char *name)
{
  g_assert_nonnull (name);
  g_assert_true (g_regex_match_simple ("^[a-z0-9][a-z0-9_-]*$", name, 0, 0));
}

static void
check_option (const char *owner, const QconvOption *o)
{
  check_name (o->name);
  check_help (owner, o->help);
  g_assert_cmpuint (o->type, <=, QCONV_FILE);
  g_assert_true (o->min <= o->max);
  g_assert_true ((o->type == QCONV_CHOICE) == (o->choices != NULL));
  if (o->type != QCONV_STRING && o->type != QCONV_FILE)
    g_assert_nonnull (o->value);
  if (o->type == QCONV_CHOICE)
    g_assert_true (g_strv_contains (o->choices, o->value));
  if ((o->type == QCONV_INT || o->type == QCONV_DOUBLE) && o->min != o->max)
    {
      double value = g_ascii_strtod (o->value, NULL);

      g_assert_true (o->min <= value && value <= o->max);
    }
  if (o->type == QCONV_BOOLEAN)
    g_assert_true (g_str_equal (o->value, "on") || g_str_equal (o->value, "off"));
}

static void
check_options (const char *owner, const QconvOption *table)
{
  for (const QconvOption *o = table; o != NULL && o->name != NULL; o++)
    check_option (owner, o);
}

static void
check_writer (const QconvWriter *w)
{
  check_name (w->id);
  check_help (w->id, w->summary);
  check_options (w->id, w->options);
  g_assert_nonnull (qconv_registry_container (w->container));
  g_assert_nonnull (qconv_registry_container (w->container)->lay_out);
  if (w->reader != NULL)
    g_assert_nonnull (qconv_registry_reader (w->reader));
  for (const QconvTarget *t = w->targets; t->name != NULL; t++)
    {
      check_name (t->name);
      check_help (t->name, t->summary);
    }
}

static void
check_plugin (const QconvPlugin *p)
{
  guint n = 0;

  check_name (p->name);
  check_help (p->name, p->summary);
  g_assert_nonnull (p->license);
  for (guint i = 0; p->containers != NULL && p->containers[i] != NULL; i++, n++)
    {
      check_name (p->containers[i]->id);
      check_help (p->containers[i]->id, p->containers[i]->summary);
      check_options (p->containers[i]->id, p->containers[i]->options);
      g_assert_true (qconv_registry_container (p->containers[i]->id) == p->containers[i]);
    }
  for (guint i = 0; p->readers != NULL && p->readers[i] != NULL; i++, n++)
    {
      check_name (p->readers[i]->id);
      check_help (p->readers[i]->id, p->readers[i]->summary);
      check_options (p->readers[i]->id, p->readers[i]->options);
      g_assert_true (qconv_registry_reader (p->readers[i]->id) == p->readers[i]);
    }
  for (guint i = 0; p->quantizers != NULL && p->quantizers[i] != NULL; i++, n++)
    {
      check_name (p->quantizers[i]->id);
      check_help (p->quantizers[i]->id, p->quantizers[i]->summary);
      check_options (p->quantizers[i]->id, p->quantizers[i]->options);
      g_assert_true (qconv_registry_quantizer (p->quantizers[i]->id) == p->quantizers[i]);
    }
  for (guint i = 0; p->writers != NULL && p->writers[i] != NULL; i++, n++)
    {
      check_writer (p->writers[i]);
      g_assert_true (qconv_registry_writer (p->writers[i]->id) == p->writers[i]);
    }
  g_assert_cmpuint (n, >, 0);
}

static void
test_descriptors (void)
{
  sample_each_plugin (check_plugin);
}

int
main (int argc, char **argv)
{
  int rc;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tables/count", test_count);
  g_test_add_func ("/tables/descriptors", test_descriptors);
  rc = g_test_run ();
  sample_finish ();
  return rc;
}
