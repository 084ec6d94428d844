/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metadata that keep checksums of the tensors and of the header. The plan writes them, verify and the run read
   them. */
#pragma once
#include "base/checksum.h"
#include "qconv-container.h"

/* Metadata key: JSON, a map from the names of tensors to checksums: {"a.weight":"crc32:0a1b2c3d"}. "__metadata__",
   which is no name of a tensor, stands for the rest of the header:
   {"keys":{"config":"crc32:89abcdef"},"tensors":"crc32:01234567"}. "keys" has the texts of all other metadata,
   "tensors" is of the lines "NAME DTYPE [ROWS, COLUMNS]" in order of names, each with a newline */
#define QCONV_CHECKSUMS "qconv_checksums"

/**
 * ChecksumMap: checksums that metadata state. The values of the tables are CRC-32 as GUINT_TO_POINTER
 * @tensors: by name
 * @keys: (nullable): of the metadata, by key; NULL: the file states none of its header, or is one of a set
 * @types: of names, types and shapes, if there are @keys
 */
typedef struct {
  GHashTable *tensors, *keys;
  guint32 types;
} ChecksumMap;
void qconv_checksum_map_free (ChecksumMap *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChecksumMap, qconv_checksum_map_free)

/* Returns whether the tensors of @d lie in several files. The metadata of one count, so they may lack the checksums of
   the others */
gboolean qconv_in_several_files (const QconvDirectory *d);
/* Returns: (transfer full): the value of QCONV_CHECKSUMS for the tensors and the other metadata of @d. @sums:
   (nullable) (array): by index in @d; NULL: all 0. In order of names; the length does not depend on the sums */
char *qconv_checksum_map_text (const QconvDirectory *d, const Checksum *sums);
/* Returns: (transfer full) (nullable): the checksums that the metadata of @d state. NULL without error: @d states none,
   or all are of a kind that is not known here. QCONV_ERROR_INPUT: they are damaged, or stand under another key */
ChecksumMap *qconv_checksum_map_new (const QconvDirectory *d, GError **error);
/* Returns: (transfer full) (element-type utf8): lines about the keys of the metadata of @d that came, went or changed.
   Empty if @m states nothing of them */
GPtrArray *qconv_checksum_map_changed_keys (const ChecksumMap *m, const QconvDirectory *d);
/* Fails with QCONV_ERROR_INPUT if names, types or shapes of tensors are not those that @m states */
gboolean qconv_checksum_map_check_types (const ChecksumMap *m, const QconvDirectory *d, GError **error);
