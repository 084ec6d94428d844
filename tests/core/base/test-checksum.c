/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the checksums of pieces in any order, and the metadata that keep checksums. */
#include "base/checksum.h"

#include <string.h>

#include "io/directory.h"
#include "qconv.h"

/* The check value that the catalogues of CRCs give for CRC-32 of the digits 1 to 9 */
static void
test_value (void)
{
  Checksum c = { 0 };

  qconv_checksum_add (&c, "123456789", 9, 0);
  g_assert_cmphex (c.crc, ==, 0xcbf43926);
  g_assert_cmpuint (c.n, ==, 9);
}

/* Tests that the order and the size of pieces do not matter, and that missing bytes are zeros */
static void
test_pieces (void)
{
  guint8 bytes[1000];
  Checksum whole = { 0 }, pieces = { 0 };

  for (guint i = 0; i < sizeof bytes; i++)
    bytes[i] = i < 300 || i >= 700 ? (guint8) (i * 7 + i / 64) : 0;
  qconv_checksum_add (&whole, bytes, sizeof bytes, 0);
  qconv_checksum_add (&pieces, bytes + 700, 300, 0);
  qconv_checksum_add (&pieces, bytes, 13, 987);
  qconv_checksum_add (&pieces, NULL, 400, 300);
  qconv_checksum_add (&pieces, bytes, 0, 500);
  qconv_checksum_add (&pieces, bytes + 13, 287, 700);
  g_assert_cmphex (whole.crc, ==, pieces.crc);
  g_assert_cmpuint (whole.n, ==, pieces.n);
}

/* Tests a piece that 3 GiB follow. The value is zlib.crc32() of the piece and 3 GiB of zeros, exclusive or that of the
   zeros alone, by Python */
static void
test_far (void)
{
  Checksum c = { 0 };

  qconv_checksum_add (&c, "abc", 3, (guint64) 3 << 30);
  g_assert_cmphex (c.crc, ==, 0x0e0f1935);
}

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

static void
test_text (void)
{
  g_autoptr (QconvDirectory) d = directory (NULL);
  const Checksum sums[] = { { 0x00c0ffee, 1 }, { 0xffffffff, 2 }, { 0, 0 } };
  g_autofree char *text = qconv_checksums_text (d, sums), *zeros = qconv_checksums_text (d, NULL);
  g_autoptr (GHashTable) read = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpstr (text, ==,
                   "{\"a \\\"quoted\\\" name\":\"crc32:ffffffff\",\"a.weight\":\"crc32:00c0ffee\","
                   "\"empty\":\"crc32:00000000\"}");
  g_assert_cmpuint (strlen (text), ==, strlen (zeros));
  qconv_directory_replace_metadata (d, QCONV_CHECKSUMS, g_variant_new_string (text));
  read = qconv_checksums_of (d, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_hash_table_size (read), ==, 3);
  g_assert_cmphex (GPOINTER_TO_UINT (g_hash_table_lookup (read, "a.weight")), ==, 0x00c0ffee);
  g_assert_cmphex (GPOINTER_TO_UINT (g_hash_table_lookup (read, "a \"quoted\" name")), ==, 0xffffffff);
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
    "{\"a.weight\":\"00000000\"}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (damaged); i++)
    {
      g_autoptr (QconvDirectory) d = directory (damaged[i]);
      g_autoptr (GError) error = NULL;

      g_assert_null (qconv_checksums_of (d, &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_INPUT);
    }
}

/* Tests that a file without checksums, and checksums of a kind that is not known, are no error */
static void
test_none (void)
{
  g_autoptr (QconvDirectory) none = directory (NULL), other = directory ("{\"a.weight\":\"xxh3:00c0ffee\"}");
  g_autoptr (GError) error = NULL;

  g_assert_null (qconv_checksums_of (none, &error));
  g_assert_no_error (error);
  g_assert_null (qconv_checksums_of (other, &error));
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/checksum/value", test_value);
  g_test_add_func ("/checksum/pieces", test_pieces);
  g_test_add_func ("/checksum/far", test_far);
  g_test_add_func ("/checksum/text", test_text);
  g_test_add_func ("/checksum/damaged", test_damaged);
  g_test_add_func ("/checksum/none", test_none);
  return g_test_run ();
}
