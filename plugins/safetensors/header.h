/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of one safetensors file: the JSON before its tensors. Opening and laying out a file use it. */
#pragma once
#include "qconv-container.h"

/* Most bytes of a header (safetensors: tensor.rs MAX_HEADER_SIZE). */
#define SAFETENSORS_MAX_HEADER 100000000

/**
 * SafetensorsEntry: one tensor of the header.
 *
 * @name: the header's @names own it
 * @first_dim: index of its first dimension in the header's @dims; @rank of them follow
 * @begin, @end: bytes from the end of the header
 */
typedef struct {
  const char *name;
  QconvDType dtype;
  guint rank, first_dim;
  guint64 begin, end;
} SafetensorsEntry;

/**
 * SafetensorsHeader: the header of one file.
 *
 * @entries: (element-type SafetensorsEntry): in the order of their bytes
 * @dims: (element-type guint64): the dimensions of all entries
 * @names: names of all entries
 * @keys: keys of @metadata in the order of the file
 * @metadata: key -> text
 * @data_start: bytes from the start of the file to the first tensor
 */
typedef struct {
  GArray *entries, *dims;
  GHashTable *names;
  GPtrArray *keys;
  GHashTable *metadata;
  guint64 data_start;
} SafetensorsHeader;

/* Reads the header and checks all that the format promises. Returns: (transfer full): NULL with QCONV_ERROR_INPUT or
   QCONV_ERROR_UNSUPPORTED. */
SafetensorsHeader *qconv_safetensors_header_read (QconvSource *source, GError **error);
void qconv_safetensors_header_free (SafetensorsHeader *h);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SafetensorsHeader, qconv_safetensors_header_free)

/* Sorts the entries by their bytes. Fails with QCONV_ERROR_INPUT unless every one of @data_size bytes belongs to
   exactly one tensor and every shape makes the size of its tensor. */
gboolean qconv_safetensors_header_check (SafetensorsHeader *h, guint64 data_size, GError **error);
/* Sets @shape. Fails with QCONV_ERROR_UNSUPPORTED if there are more than QCONV_MAX_RANK dimensions. */
gboolean qconv_safetensors_entry_shape (const SafetensorsHeader *h, const SafetensorsEntry *e, QconvShape *shape,
                                        GError **error);

/* Returns: (transfer full): the @n bytes at @offset with a NUL behind them. */
char *qconv_safetensors_read_text (QconvSource *source, guint64 offset, gsize n, GError **error);
/* Sets @n_bytes. Fails with @code if the items do not fill whole bytes, or if their size overflows. */
gboolean qconv_safetensors_size (const QconvShape *shape, QconvDType dtype, QconvError code, guint64 *n_bytes,
                                 GError **error);
/* Returns the place of @dtype in the format's list of dtypes, from 0 (BOOL) to 21 (U64), or -1 if the format lacks
   it. */
gint qconv_safetensors_dtype_order (QconvDType dtype);
