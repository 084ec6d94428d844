/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the tables of operations: every level against the first, and the first against data/operations.md. */
#include <string.h>

#include "kernel-fixture.h"

/* Returns: (transfer full): name -> "version/letters" of every row of the tables in data/operations.md */
static GHashTable *
documented_operations (void)
{
  g_autoptr (GHashTable) found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "operations.md", NULL), *text = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) lines = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    {
      g_auto (GStrv) cells = g_strsplit (*line, "|", -1);
      g_autoptr (GString) signature = NULL;
      g_auto (GStrv) args = NULL;

      if (!g_str_has_prefix (*line, "| `"))
        continue;
      g_assert_cmpuint (g_strv_length (cells), ==, 6);
      signature = g_string_new (g_strstrip (cells[2]));
      g_string_append_c (signature, '/');
      args = g_strsplit (g_strstrip (cells[3]), ", ", -1);
      for (char **arg = args; *arg != NULL; arg++)
        if ((*arg)[1] == ' ' && strchr ("bif", **arg) != NULL)
          g_string_append_c (signature, **arg);
      g_strdelimit (g_strstrip (cells[1]), "`", ' ');
      g_assert_true (g_hash_table_insert (found, g_strdup (g_strstrip (cells[1])), g_strdup (signature->str)));
    }
  g_assert_cmpuint (g_hash_table_size (found), >, 0);
  return g_steal_pointer (&found);
}

static void
test_documented (void)
{
  g_autoptr (GHashTable) documented = documented_operations ();
  guint n = 0;

  for (const QconvOp *op = qconv_kernel_levels ()->ops; op->name != NULL; op++, n++)
    {
      g_autofree char *signature = g_strdup_printf ("%u/%s", op->version, op->args);
      const char *said = g_hash_table_lookup (documented, op->name);

      if (said == NULL)
        g_test_message ("data/operations.md lacks %s", op->name);
      g_assert_cmpstr (said, ==, signature);
    }
  g_assert_cmpuint (n, ==, g_hash_table_size (documented));
}

static void
test_same_table (const QconvKernelLevel *level)
{
  const QconvOp *first = qconv_kernel_levels ()->ops, *op = level->ops;

  for (; first->name != NULL; first++, op++)
    {
      g_assert_cmpstr (op->name, ==, first->name);
      g_assert_cmpuint (op->version, ==, first->version);
      g_assert_cmpstr (op->args, ==, first->args);
      g_assert_nonnull (op->run);
    }
  g_assert_null (op->name);
}

static void
choose_in_child (void)
{
  const char *wanted = g_getenv ("QCONV_CPU");

  if (wanted != NULL && strcmp (wanted, "scalar") == 0)
    g_assert_cmpstr (qconv_kernel_level_chosen ()->name, ==, "scalar");
  else
    g_test_expect_message ("qconv", G_LOG_LEVEL_WARNING, "QCONV_CPU=z80: this processor has no such level*");
  g_assert_true (qconv_backend_cpu ()->ops == qconv_kernel_level_chosen ()->ops);
  g_test_assert_expected_messages ();
}

static void
test_choice (gconstpointer wanted)
{
  g_autofree char *before = g_strdup (g_getenv ("QCONV_CPU"));

  if (g_test_subprocess ())
    {
      choose_in_child ();
      return;
    }
  g_setenv ("QCONV_CPU", wanted, TRUE);
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
  if (before != NULL)
    g_setenv ("QCONV_CPU", before, TRUE);
  else
    g_unsetenv ("QCONV_CPU");
  g_test_trap_assert_passed ();
}

static void
test_backend (void)
{
  const QconvBackend *cpu = qconv_backend_cpu ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  gpointer device, memory;
  guint8 bytes[3] = { 1, 2, 3 }, back[3] = { 0 };

  g_assert_cmpstr (cpu->id, ==, "cpu");
  g_assert_cmpuint (cpu->n_devices (&error), ==, 1);
  device = cpu->open (0, 0, &error);
  g_assert_no_error (error);
  g_assert_nonnull (device);
  text = cpu->describe (device);
  g_assert_nonnull (strstr (text, qconv_kernel_level_chosen ()->name));
  memory = cpu->alloc (device, 3, &error);
  g_assert_cmpuint ((gsize) memory % 64, ==, 0);
  g_assert_true (cpu->copy_in (device, NULL, memory, bytes, 3, &error));
  g_assert_true (cpu->copy_out (device, NULL, back, memory, 3, &error));
  g_assert_cmpmem (back, 3, bytes, 3);
  cpu->free (device, memory);
  g_assert_null (cpu->alloc (device, G_MAXSIZE, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_LIMIT);
  g_clear_error (&error);
  g_assert_null (cpu->open (1, 0, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
  cpu->close (device);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/operations/documented", test_documented);
  kernel_add_tests ("/operations/same-table", test_same_table);
  g_test_add_data_func ("/operations/choice/scalar", "scalar", test_choice);
  g_test_add_data_func ("/operations/choice/unknown", "z80", test_choice);
  g_test_add_func ("/operations/backend", test_backend);
  return g_test_run ();
}
