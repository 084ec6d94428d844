/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests sets of files, whole and broken. */
#include <glib/gstdio.h>
#include <string.h>

#include "fixture.h"

#define PARTS 3

/* The fault of a set; -1: no fault. @part: the part with the fault */
typedef struct {
  const char *name;
  gint part;
  gboolean missing, no_number, wrong_kind;
  gint no, count, total; /* -1: the right one */
  const char *tensor;    /* NULL: the right one */
  const char *word;      /* of the message */
} Fault;

static const Fault faults[] = {
  { "none", -1, .no = -1, .count = -1, .total = -1 },
  { "missing-second", 1, .missing = TRUE, .no = -1, .count = -1, .total = -1,
    .word = "m-00002-of-00003.gguf\" is missing" },
  { "missing-last", 2, .missing = TRUE, .no = -1, .count = -1, .total = -1,
    .word = "m-00003-of-00003.gguf\" is missing" },
  { "repeated", 2, .no = 1, .count = -1, .total = -1, .word = "m-00003-of-00003.gguf\": split.no is 1, not 2" },
  { "swapped", 1, .no = 2, .count = -1, .total = -1, .word = "m-00002-of-00003.gguf\": split.no is 2, not 1" },
  { "count", 1, .no = -1, .count = 4, .total = -1, .word = "split.count is 4, not 3" },
  { "not-split", 2, .no = -1, .count = 0, .total = -1, .word = "split.count is 0, not 3" },
  { "too-few", 0, .no = -1, .count = -1, .total = 4, .word = "3 tensors, split.tensors.count is 4" },
  { "too-many", 0, .no = -1, .count = -1, .total = 2, .word = "3 tensors, split.tensors.count is 2" },
  { "duplicate", 2, .no = -1, .count = -1, .total = -1, .tensor = "t0", .word = "duplicate tensor \"t0\"" },
  { "no-number", 1, .no_number = TRUE, .no = -1, .count = -1, .total = -1, .word = "split.no is missing" },
  { "kind", 1, .wrong_kind = TRUE, .no = -1, .count = -1, .total = -1, .word = "split.no is not a number" },
};

static void
write_part (const char *folder, guint i, const Fault *f)
{
  gboolean meant = f->part == (gint) i;
  g_autoptr (Build) b = build_new (i == 1); /* each part has a byte order of its own */
  g_autofree char *file = g_strdup_printf ("m-%05u-of-%05u.gguf", i + 1, PARTS);
  g_autofree char *path = g_build_filename (folder, file, NULL), *tensor = g_strdup_printf ("t%u", i);
  g_autoptr (GByteArray) bytes = NULL;
  guint8 data[4] = { (guint8) i };

  if (meant && f->missing)
    return;
  if (i == 0)
    build_text (b, "general.architecture", "flux");
  else
    build_text (b, "general.name", "of a later part");
  if (meant && f->wrong_kind)
    build_text (b, "split.no", "one");
  else if (!meant || !f->no_number)
    build_integer (b, "split.no", KV_U16, meant && f->no >= 0 ? f->no : (gint) i);
  build_integer (b, "split.count", KV_U16, meant && f->count >= 0 ? f->count : PARTS);
  build_integer (b, "split.tensors.count", KV_I32, meant && f->total >= 0 ? f->total : PARTS);
  build_tensor (b, meant && f->tensor != NULL ? f->tensor : tensor, 24, data, 4, 4, -1);
  bytes = build_file (b);
  g_assert_true (g_file_set_contents (path, (const char *) bytes->data, bytes->len, NULL));
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      g_assert_cmpint (g_remove (path), ==, 0);
    }
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static void
assert_whole (const Model *m)
{
  assert_opened (m);
  g_assert_cmpuint (qconv_directory_n_tensors (m->directory), ==, PARTS);
  for (guint i = 0; i < PARTS; i++)
    {
      const QconvTensor *t = qconv_directory_tensor (m->directory, i);
      g_autofree char *name = g_strdup_printf ("t%u", i);
      guint8 first = 77;

      g_assert_cmpstr (t->name, ==, name);
      g_assert_true (qconv_tensor_read (t, 0, 1, &first, NULL));
      g_assert_cmpuint (first, ==, i);
    }
  g_assert_cmpstr (g_variant_get_string (qconv_directory_metadata (m->directory, "general.architecture"), NULL), ==,
                   "flux");
}

static void
test_fault (gconstpointer data)
{
  const Fault *f = data;
  g_autofree char *folder = g_dir_make_tmp ("qconv-test-XXXXXX", NULL);

  for (guint i = 0; i < PARTS; i++)
    write_part (folder, i, f);
  /* Tests that opening any part opens the set. */
  for (guint i = 0; i < PARTS; i++)
    {
      g_autofree char *file = g_strdup_printf ("m-%05u-of-%05u.gguf", i + 1, PARTS);
      g_autofree char *path = g_build_filename (folder, file, NULL);
      g_autoptr (Model) m = NULL;

      if (f->part == (gint) i && (f->missing || f->count >= 0))
        continue;
      m = model_open (path, NULL);
      if (f->word != NULL)
        assert_refused (m, f->word);
      else
        assert_whole (m);
    }
  remove_folder (folder);
}

/* Tests that the name of a part must be one from which the names of the others follow. */
static void
test_names (void)
{
  static const char *const names[] = { "m.gguf",
                                       "m-00001-of-00002.gguf",
                                       "m-00004-of-00003.gguf",
                                       "m-00000-of-00003.gguf",
                                       "m-0001-of-0003.gguf",
                                       "m-00001-of-00003.bin",
                                       "m_00001-of-00003.gguf",
                                       "m-0000x-of-00003.gguf" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *folder = g_dir_make_tmp ("qconv-test-XXXXXX", NULL);
      g_autofree char *from = g_build_filename (folder, "m-00001-of-00003.gguf", NULL);
      g_autofree char *to = g_build_filename (folder, names[i], NULL);

      write_part (folder, 0, &faults[0]);
      g_assert_cmpint (g_rename (from, to), ==, 0);
      {
        g_autoptr (Model) m = model_open (to, NULL);

        assert_refused (m, "split.count is 3, but the file's name");
      }
      remove_folder (folder);
    }
}

/* Tests that a part in memory is refused, because no file lies beside it */
static void
test_memory (void)
{
  g_autoptr (Build) b = build_new (FALSE);
  g_autoptr (Model) m = NULL;

  build_integer (b, "split.no", KV_U16, 0);
  build_integer (b, "split.count", KV_U16, 2);
  m = model_open_build (b, NULL);
  assert_refused (m, "split");
}

/* Asserts that @d has @key as a number of the type that llama.cpp reads. */
static void
assert_number (const QconvDirectory *d, const char *key, const GVariantType *type, gint64 value)
{
  GVariant *v = qconv_directory_metadata (d, key);

  g_assert_nonnull (v);
  g_assert_true (g_variant_is_of_type (v, type));
  g_assert_cmpint (g_variant_is_of_type (v, G_VARIANT_TYPE_UINT16) ? g_variant_get_uint16 (v) : g_variant_get_int32 (v),
                   ==, value);
}

/* Tests the metadata and the names of the parts that are written. */
static void
test_write (void)
{
  const QconvContainer *c = qconv_plugin_gguf ()->containers[0];
  g_autoptr (QconvDirectory) whole = qconv_directory_new (NULL, NULL), first = qconv_directory_new (NULL, NULL);
  g_autoptr (QconvDirectory) last = qconv_directory_new (NULL, NULL), none = qconv_directory_new (NULL, NULL);
  g_autofree char *one = c->split->part_name ("a.b.gguf", 0, 3), *three = c->split->part_name ("a.bin", 2, 3);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < PARTS; i++)
    {
      g_autofree char *name = g_strdup_printf ("t%u", i);

      qconv_directory_add (whole, &(QconvTensor) { .name = name, .dtype = QCONV_F32, .n_bytes = 4, .file = i }, NULL);
    }
  qconv_directory_set_metadata (whole, "general.architecture", g_variant_new_string ("flux"), NULL);
  qconv_directory_set_metadata (whole, "split.count", g_variant_new_uint16 (9), NULL); /* of the set it came from */
  g_assert_true (c->split->part_metadata (whole, 0, PARTS, first, &error));
  g_assert_true (c->split->part_metadata (whole, 2, PARTS, last, &error));
  for (guint i = 0; i < 2; i++)
    {
      const QconvDirectory *d = i == 0 ? first : last;

      assert_number (d, "split.no", G_VARIANT_TYPE_UINT16, i == 0 ? 0 : 2);
      assert_number (d, "split.count", G_VARIANT_TYPE_UINT16, PARTS);
      assert_number (d, "split.tensors.count", G_VARIANT_TYPE_INT32, PARTS);
      g_assert_cmpint (qconv_directory_metadata (d, "general.architecture") != NULL, ==, i == 0);
    }
  g_assert_cmpstr (one, ==, "a.b-00001-of-00003.gguf");
  g_assert_cmpstr (three, ==, "a.bin-00003-of-00003.gguf");
  g_assert_false (c->split->part_metadata (whole, 0, G_MAXUINT16 + 1, none, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED);
}

int
main (int argc, char **argv)
{
  fixture_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *name = g_strconcat ("/gguf/split/", faults[i].name, NULL);

      g_test_add_data_func (name, &faults[i], test_fault);
    }
  g_test_add_func ("/gguf/split/names", test_names);
  g_test_add_func ("/gguf/split/memory", test_memory);
  g_test_add_func ("/gguf/split/write", test_write);
  return g_test_run ();
}
