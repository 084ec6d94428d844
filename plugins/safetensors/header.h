/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON in front of the tensors of one safetensors file. */
#pragma once
#include "qconv-container.h"

#define SAFETENSORS_MAX_HEADER 100000000 /* bytes; the reference parser's limit */

/**
 * SafetensorsEntry: one tensor as the header tells it.
 *
 * @name: owned by the header's @names
 * @first_dim: place of its @rank dimensions in the header's @dims
 * @begin, @end: bytes from the end of the header
 */
typedef struct {
  const char *name;
  QconvDType dtype;
  guint rank, first_dim;
  guint64 begin, end;
} SafetensorsEntry;

/* @keys: of @metadata, as written; @data_start: bytes from the start of the file to those of the tensors */
typedef struct {
  GArray *entries, *dims;
  GHashTable *names;
  GPtrArray *keys;
  GHashTable *metadata;
  guint64 data_start;
} SafetensorsHeader;

/* Reads and checks all that the format promises. Returns: (transfer full): entries ordered by their bytes */
SafetensorsHeader *qconv_safetensors_header_read (QconvSource *source, GError **error);
void qconv_safetensors_header_free (SafetensorsHeader *h);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SafetensorsHeader, qconv_safetensors_header_free)

/* Orders the entries by their bytes; every byte of @data_size has to belong to exactly one tensor, whose shape makes
   its size */
gboolean qconv_safetensors_header_check (SafetensorsHeader *h, guint64 data_size, GError **error);
/* QCONV_ERROR_UNSUPPORTED: more dimensions than we take */
gboolean qconv_safetensors_entry_shape (const SafetensorsHeader *h, const SafetensorsEntry *e, QconvShape *shape,
                                        GError **error);

/* Returns: (transfer full): @n bytes at @offset and a NUL */
char *qconv_safetensors_read_text (QconvSource *source, guint64 offset, gsize n, GError **error);
/* Fails with @code where the items of that dtype do not fill whole bytes, or their bits do not fit 63 bits */
gboolean qconv_safetensors_size (const QconvShape *shape, QconvDType dtype, QconvError code, guint64 *n_bytes,
                                 GError **error);
/* Returns: rank of @dtype in the order of the format's dtype list, from BOOL 0 to U64 21; -1: the format lacks it */
gint qconv_safetensors_dtype_order (QconvDType dtype);
