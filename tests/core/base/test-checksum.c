/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests the checksums of pieces in any order. */
#include "base/checksum.h"

#include <string.h>

/* The check value that the catalogues of CRCs give for CRC-32 of the digits 1 to 9 */
static void
test_value (void)
{
  Checksum c = { 0 };

  qconv_checksum_add (&c, "123456789", 9, 0);
  g_assert_cmphex (c.crc, ==, 0xcbf43926);
  g_assert_cmpuint (c.n, ==, 9);
  g_assert_cmphex (qconv_checksum_continue (qconv_checksum_continue (0, "1234", 4), "56789", 5), ==, 0xcbf43926);
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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/checksum/value", test_value);
  g_test_add_func ("/checksum/pieces", test_pieces);
  g_test_add_func ("/checksum/far", test_far);
  return g_test_run ();
}
