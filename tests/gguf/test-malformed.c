/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests broken and odd files: golden ones, and one cut at every byte. */
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "golden-file.h"

/* A word in the message for each kind of fault in the list of golden files. */
static const struct {
  const char *kind, *word;
} kinds[] = {
  { "truncated", "truncated" },
  { "magic", "magic" },
  { "version", "version" },
  { "any", "" },
  { "trailing", "trailing" },
  { "overlap", "overlap" },
  { "duplicate key", "duplicate metadata key" },
  { "key", "metadata key" },
  { "value type", "unknown value type" },
  { "nested array", "nested array" },
  { "bool", "bool" },
  { "utf-8", "UTF-8" },
  { "alignment", "alignment" },
  { "name", "tensor name" },
  { "duplicate tensor", "duplicate tensor" },
  { "dimensions", "dimensions" },
  { "shape", "shape" },
  { "type", "tensor type" },
  { "block", "block" },
  { "split", "split" },
  { "orig_shape", "orig_shape" },
  { "endian", "endian" },
};

static const char *
word_of (const char *kind)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (kinds[i].kind, kind) == 0)
      return kinds[i].word;
  g_error ("unknown kind of fault \"%s\"", kind);
}

/* Tests one row of the list. @data: the row: file, case, the results of three programs in three columns, our result,
   kind */
static void
test_row (gconstpointer data)
{
  const char *const *row = data;
  g_autofree char *folder = golden_path ("gguf/bad"), *path = g_build_filename (folder, row[0], NULL);
  g_autoptr (Model) m = model_open (path, NULL);

  model_claim (m, NULL, FALSE);
  if (strcmp (row[5], "ok") == 0)
    assert_opened (m);
  else if (strcmp (row[5], "warn") == 0)
    assert_warned (m, word_of (row[6]));
  else
    {
      g_assert_cmpstr (row[5], ==, "refuse");
      assert_refused (m, word_of (row[6]));
    }
}

/* Returns the rows of the list without later parts of a set. */
static guint
add_rows (void)
{
  g_autofree char *path = golden_path ("gguf/bad/bad.tsv"), *text = NULL;
  g_auto (GStrv) lines = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  lines = g_strsplit (g_strchomp (text), "\n", -1);
  for (guint i = 1; lines[i] != NULL; i++)
    {
      char **row = g_strsplit (lines[i], "\t", -1);
      g_autofree char *name = g_strconcat ("/gguf/malformed/", row[0], NULL);

      g_assert_cmpuint (g_strv_length (row), ==, 7);
      if (strcmp (row[5], "part") == 0)
        g_strfreev (row);
      else
        {
          g_test_add_data_func_full (name, row, test_row, (GDestroyNotify) g_strfreev);
          n++;
        }
    }
  return n;
}

/* Builds a file of 320 bytes: the last tensor ends at 0x124, and padding follows */
static GByteArray *
build_example (void)
{
  static const guint8 a[] = { 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0xc0 };
  g_autoptr (Build) b = build_new (FALSE);
  guint8 w[68];

  for (guint row = 0; row < 2; row++)
    {
      w[34 * row] = 0;
      w[34 * row + 1] = row == 0 ? 0x38 : 0x3c;
      for (guint i = 0; i < 32; i++)
        w[34 * row + 2 + i] = (guint8) (row == 0 ? i - 16 : 2 * i);
    }
  build_text (b, "general.architecture", "flux");
  build_integer (b, "general.file_type", KV_U32, 7);
  build_tensor (b, "a", 0, a, sizeof a, 2, -1);
  build_tensor (b, "w", 8, w, sizeof w, 32, 2, -1);
  return build_file (b);
}

static void
test_every_length (void)
{
  g_autoptr (GByteArray) file = build_example ();
  const guint end = 0x124;

  g_assert_cmpuint (file->len, ==, 320);
  for (guint n = 0; n <= file->len; n++)
    {
      g_autoptr (Model) m = model_open_bytes (file->data, n, NULL);

      if (n < end)
        assert_refused (m, "truncated");
      else
        {
          assert_opened (m);
          g_assert_cmpuint (qconv_directory_n_tensors (m->directory), ==, 2);
        }
    }
}

/* Gives every byte of the header other values in turn. The file may be refused or not, but nothing may crash. */
static void
test_every_byte (void)
{
  static const guint8 flips[] = { 0x01, 0x80, 0xff };
  g_autoptr (GByteArray) file = build_example ();
  guint n_refused = 0;

  for (guint at = 0; at < 0xc0; at++)
    for (guint i = 0; i < G_N_ELEMENTS (flips); i++)
      {
        g_autoptr (Model) m = NULL;

        file->data[at] ^= flips[i];
        m = model_open_bytes (file->data, file->len, NULL);
        model_claim (m, NULL, FALSE);
        n_refused += m->error != NULL;
        file->data[at] ^= flips[i];
      }
  g_assert_cmpuint (n_refused, >, 0xc0);
}

/* Tests that a header above the limit is refused. */
static void
test_header_limit (void)
{
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "qconv-test-XXXXXX", NULL);
  const guint64 length = G_GUINT64_CONSTANT (200) << 20;
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (GByteArray) file = NULL;
  guint64 le = GUINT64_TO_LE (length);
  FILE *f = fdopen (g_mkstemp (path), "wb");
  guint8 array[12] = { KV_U8 };

  memcpy (array + 4, &le, sizeof le);
  build_raw (b, "k", KV_ARRAY, array, sizeof array);
  file = build_file (b);
  g_assert_true (fwrite (file->data, file->len, 1, f) == 1);
  g_assert_true (fseeko (f, (off_t) length + 1000, SEEK_SET) == 0 && fputc (0, f) == 0 && fclose (f) == 0);
  {
    g_autoptr (Model) m = model_open (path, NULL);

    assert_refused (m, "header is larger");
  }
  g_assert_true (remove (path) == 0);
}

int
main (int argc, char **argv)
{
  fixture_init (&argc, &argv);
  g_assert_cmpuint (add_rows (), >=, 139);
  g_test_add_func ("/gguf/every-length", test_every_length);
  g_test_add_func ("/gguf/every-byte", test_every_byte);
  g_test_add_func ("/gguf/header-limit", test_header_limit);
  return g_test_run ();
}
