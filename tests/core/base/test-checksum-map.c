/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the metadata that keep checksums: their text, damage of it, and headers that differ from what they state. */
#include "base/checksum-map.h"

#include <string.h>

#include "io/directory.h"
#include "qconv.h"

/* Adds tensors of no bytes: a directory without a source takes any */
static QconvDirectory *
directory (const char *stated)
{
  static const char *const names[] = { "a.weight", "a \"quoted\" name", "empty" };
  QconvDirectory *d = qconv_directory_new ("test", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_true (qconv_directory_add (
        d, &(QconvTensor) { .name = (char *) names[i], .dtype = QCONV_U8, .shape = { 1, { 0 } } }, NULL));
  if (stated != NULL)
    qconv_directory_replace_metadata (d, QCONV_CHECKSUMS, g_variant_new_string (stated));
  return d;
}

/* The checksums in texts are those of Python's zlib.crc32() */
static const char header[] = "\"__metadata__\":{\"keys\":{\"size\":\"crc32:6abf4a82\",\"title\":\"crc32:946e9015\"},"
                             "\"tensors\":\"crc32:15887844\"}";

/* Returns: (transfer full): a directory with metadata and their checksums */
static QconvDirectory *
with_header (void)
{
  const Checksum sums[] = { { 0x00c0ffee, 1 }, { 0xffffffff, 2 }, { 0, 0 } };
  QconvDirectory *d = directory (NULL);
  g_autofree char *text = NULL;

  qconv_directory_replace_metadata (d, "title", g_variant_new_string ("Größe"));
  qconv_directory_replace_metadata (d, "size", g_variant_new_uint32 (7));
  qconv_directory_replace_metadata (d, "list", g_variant_new_strv (QCONV_LIST ("no text holds it"), 1));
  text = qconv_checksum_map_text (d, sums);
  qconv_directory_replace_metadata (d, QCONV_CHECKSUMS, g_variant_new_string (text));
  return d;
}

static void
test_text (void)
{
  g_autoptr (QconvDirectory) d = with_header ();
  const char *text = g_variant_get_string (qconv_directory_metadata (d, QCONV_CHECKSUMS), NULL);
  g_autofree char *zeros = qconv_checksum_map_text (d, NULL), *wanted = NULL;
  g_autoptr (ChecksumMap) read = NULL;
  g_autoptr (GError) error = NULL;

  wanted = g_strconcat ("{", header,
                        ",\"a \\\"quoted\\\" name\":\"crc32:ffffffff\",\"a.weight\":\"crc32:00c0ffee\","
                        "\"empty\":\"crc32:00000000\"}",
                        NULL);
  g_assert_cmpstr (text, ==, wanted);
  g_assert_cmpuint (strlen (text), ==, strlen (zeros));
  read = qconv_checksum_map_new (d, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_hash_table_size (read->tensors), ==, 3);
  g_assert_cmphex (GPOINTER_TO_UINT (g_hash_table_lookup (read->tensors, "a.weight")), ==, 0x00c0ffee);
  g_assert_cmphex (GPOINTER_TO_UINT (g_hash_table_lookup (read->tensors, "a \"quoted\" name")), ==, 0xffffffff);
}

static void
test_damaged (void)
{
  static const char *const damaged[] = {
    "",
    "[]",
    "{",
    "{\"a.weight\":1}",
    "{\"a.weight\":null}",
    "{\"a.weight\":\"crc32\"}",
    "{\"a.weight\":\"crc32:\"}",
    "{\"a.weight\":\"crc32:0000000\"}",
    "{\"a.weight\":\"crc32:000000000\"}",
    "{\"a.weight\":\"crc32:0000000g\"}",
    "{\"a.weight\":\"crc32:-0000001\"}",
    "{\"a.weight\":\"crc32:0000000A\"}",
    "{\"a.weight\":\"00000000\"}",
    /* One bit makes a checksum one of an unknown kind */
    "{\"a.weight\":\"crc32:00000000\",\"empty\":\"brc32:00000000\"}",
    "{\"__metadata__\":\"crc32:00000000\",\"a.weight\":\"crc32:00000000\"}",
    "{\"__metadata__\":{\"keys\":{}},\"a.weight\":\"crc32:00000000\"}",
    "{\"__metadata__\":{\"keys\":{\"title\":1},\"tensors\":\"crc32:00000000\"},\"a.weight\":\"crc32:00000000\"}",
    "{\"__metadata__\":{\"keys\":{},\"tensors\":\"brc32:00000000\"},\"a.weight\":\"crc32:00000000\"}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (damaged); i++)
    {
      g_autoptr (QconvDirectory) d = directory (damaged[i]);
      g_autoptr (GError) error = NULL;

      g_assert_null (qconv_checksum_map_new (d, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
    }
}

/* Tests that a file without checksums, and checksums of a kind that is not known, are no error */
static void
test_none (void)
{
  g_autoptr (QconvDirectory) none = directory (NULL), other = directory ("{\"a.weight\":\"xxh3:00c0ffee\"}");
  g_autoptr (GError) error = NULL;

  g_assert_null (qconv_checksum_map_new (none, &error));
  g_assert_no_error (error);
  g_assert_null (qconv_checksum_map_new (other, &error));
  g_assert_no_error (error);
}

/* Tests that the checksums are found under any key, since damage can change that */
static void
test_other_key (void)
{
  g_autoptr (QconvDirectory) d = with_header ();
  g_autoptr (GError) error = NULL;

  qconv_directory_replace_metadata (d, "qconv_checksumr", qconv_directory_metadata (d, QCONV_CHECKSUMS));
  qconv_directory_replace_metadata (d, QCONV_CHECKSUMS, NULL);
  g_assert_null (qconv_checksum_map_new (d, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message, "\"qconv_checksumr\" holds"));
}

/* Returns: (transfer full): what the header of @d shows, a line each */
static char *
differences (const QconvDirectory *d)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChecksumMap) m = qconv_checksum_map_new (d, &error);
  g_autoptr (GPtrArray) lines = NULL;

  g_assert_no_error (error);
  lines = qconv_checksum_map_changed_keys (m, d);
  if (!qconv_checksum_map_check_types (m, d, &error))
    g_ptr_array_add (lines, g_strdup (error->message));
  g_ptr_array_add (lines, NULL);
  return g_strjoinv ("\n", (char **) lines->pdata);
}

static void
test_header (void)
{
  g_autoptr (QconvDirectory) d = with_header (), other = directory ("{\"a.weight\":\"crc32:00000000\"}");
  const QconvTensor more = { .name = "more", .dtype = QCONV_U8, .shape = { 1, { 0 } } };
  g_autofree char *none = differences (d), *older = differences (other), *changed = NULL, *typed = NULL;

  g_assert_cmpstr (none, ==, "");
  g_assert_cmpstr (older, ==, "");                                          /* states nothing of the header */
  qconv_directory_replace_metadata (d, "size", g_variant_new_string ("7")); /* as containers of text read it */
  qconv_directory_replace_metadata (d, "list", NULL);
  qconv_directory_replace_metadata (d, "title", g_variant_new_string ("Groesse"));
  qconv_directory_replace_metadata (d, "author", g_variant_new_string ("somebody"));
  changed = differences (d);
  g_assert_cmpstr (changed, ==,
                   "the metadata \"author\" were added after the file was written\n"
                   "the metadata \"title\" are not those that were written");
  qconv_directory_replace_metadata (d, "author", NULL);
  qconv_directory_replace_metadata (d, "title", NULL);
  g_assert_true (qconv_directory_add (d, &more, NULL));
  typed = differences (d);
  g_assert_cmpstr (typed, ==,
                   "the metadata \"title\" were written, the file lacks them\n"
                   "names, types or shapes of tensors are not those that were written");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/checksum-map/text", test_text);
  g_test_add_func ("/checksum-map/damaged", test_damaged);
  g_test_add_func ("/checksum-map/none", test_none);
  g_test_add_func ("/checksum-map/other-key", test_other_key);
  g_test_add_func ("/checksum-map/header", test_header);
  return g_test_run ();
}
