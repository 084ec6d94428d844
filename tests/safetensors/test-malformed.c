/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that every malformed file of the golden table has its outcome, for the reason that the table names. */
#include <string.h>

#include "fixture.h"
#include "golden-file.h"

#define MIN_ROWS 115

/* A word in the message for each kind of fault. */
static const struct {
  const char *kind, *word;
} kinds[] = {
  { "truncated", "truncated" }, { "header", "header: " },   { "header too large", "header too large" },
  { "size", "size" },           { "hole", "hole" },         { "overlap", "overlap" },
  { "offset", "offset" },       { "overflow", "overflow" }, { "duplicate", "duplicate" },
  { "dtype", "unknown dtype" }, { "sub-byte", "sub-byte" }, { "name", "tensor name" },
  { "utf-8", "UTF-8" },
};

static const char *
word_for_kind (const char *kind)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (kinds[i].kind, kind) == 0)
      return kinds[i].word;
  g_error ("unknown kind \"%s\"", kind);
}

/* Columns: file, case, two outcomes of other programs, ours, kind */
static void
test_row (gconstpointer data)
{
  const char *const *row = data;
  g_autofree char *relative = g_build_filename ("safetensors", "bad", row[0], NULL), *path = golden_path (relative);
  g_autoptr (Model) m = model_open_file (path);

  g_test_message ("%s: %s", row[1], row[4]);
  if (strcmp (row[4], "refuse") == 0)
    {
      assert_refused (m, word_for_kind (row[5]));
      g_assert_true (m->error->domain == QCONV_ERROR);
      g_assert_true (m->error->code == QCONV_ERROR_INPUT || m->error->code == QCONV_ERROR_UNSUPPORTED);
    }
  else if (strcmp (row[4], "warn") == 0)
    g_assert_nonnull (only_warning (m));
  else
    {
      g_assert_cmpstr (row[4], ==, "ok");
      assert_opened (m);
    }
}

int
main (int argc, char **argv)
{
  g_autofree char *path = NULL, *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
  path = golden_path ("safetensors/bad/bad.tsv");
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 1; lines[i] != NULL && *lines[i] != '\0'; i++)
    {
      char **row = g_strsplit (lines[i], "\t", -1);
      g_autofree char *name = g_strconcat ("/safetensors/malformed/", row[0], NULL);

      g_assert_cmpuint (g_strv_length (row), ==, 6);
      g_ptr_array_add (rows, row);
      g_test_add_data_func (name, row, test_row);
    }
  g_assert_cmpuint (rows->len, >=, MIN_ROWS);
  return g_test_run ();
}
