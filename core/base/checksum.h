/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CRC-32 of tensors whose bytes come in pieces, in any order. The run and the check compute them, checksum-map.h keeps
   them. */
#pragma once
#include <glib.h>

/**
 * Checksum: of one tensor. Zero: of no bytes
 * @crc: CRC-32 with the polynomial of ISO 3309, as gzip and Python's zlib.crc32() have it
 * @n: bytes that were added; that of the tensor if all came
 */
typedef struct {
  guint32 crc;
  guint64 n;
} Checksum;

/* Adds @n bytes, which @behind bytes of the tensor follow. @bytes: (nullable): NULL: zeros */
void qconv_checksum_add (Checksum *c, gconstpointer bytes, guint64 n, guint64 behind);

/* Returns the CRC-32 of a text of which @crc is that of the beginning, and @bytes are the next @n */
guint32 qconv_checksum_continue (guint32 crc, gconstpointer bytes, gsize n);
