/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Computes CRC-32 by libdeflate, which is as fast as memory, and joins pieces by zlib. */
#include "base/checksum.h"

#include <libdeflate.h>
#include <zlib.h>

/* Returns the part that a piece with checksum @crc has in the checksum of a text in which @behind bytes follow it:
   CRC-32 is linear, and that of a text is the exclusive or of these parts */
static guint32
shift (guint32 crc, guint64 behind)
{
  const guint64 step = 1u << 30; /* a long has 32 bits on some systems */

  for (; behind > step; behind -= step)
    crc = (guint32) crc32_combine (crc, 0, (z_off_t) step);
  return (guint32) crc32_combine (crc, 0, (z_off_t) behind);
}

static guint32
crc_of_zeros (guint64 n)
{
  static const guint8 zeros[4096];
  guint32 crc = 0;

  for (gsize piece; n > 0; n -= piece)
    {
      piece = (gsize) MIN (n, sizeof zeros);
      crc = libdeflate_crc32 (crc, zeros, piece);
    }
  return crc;
}

void
qconv_checksum_add (Checksum *c, gconstpointer bytes, guint64 n, guint64 behind)
{
  guint32 crc = bytes != NULL ? libdeflate_crc32 (0, bytes, (gsize) n) : crc_of_zeros (n);

  c->crc ^= shift (crc, behind);
  c->n += n;
}

guint32
qconv_checksum_continue (guint32 crc, gconstpointer bytes, gsize n)
{
  return libdeflate_crc32 (crc, bytes, n);
}
