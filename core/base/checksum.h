/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CRC-32 of tensors whose bytes come in pieces, in any order; and the metadata that keep it. The run makes checksums,
   the plan writes them into the header, the check compares them. */
#pragma once
#include "qconv-container.h"

/* Metadata key: JSON, a map from the names of tensors to checksums: {"a.weight":"crc32:0a1b2c3d"} */
#define QCONV_CHECKSUMS "qconv_checksums"

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

/* Returns: (transfer full): the value of QCONV_CHECKSUMS for the tensors of @d. @sums: (nullable) (array): by index
   in @d; NULL: all 0. In order of names; the length does not depend on the sums */
char *qconv_checksums_text (const QconvDirectory *d, const Checksum *sums);
/* Returns: (transfer full) (nullable): the checksums that the metadata of @d state, by tensor name; the value is
   the CRC-32 as GUINT_TO_POINTER. NULL without error: @d states none, or some of a kind that is not known here.
   QCONV_ERROR_INPUT: the metadata are damaged */
GHashTable *qconv_checksums_of (const QconvDirectory *d, GError **error);
