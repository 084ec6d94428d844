/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything in one file except the data of its tensors. The container reads one header for each file. */
#pragma once
#include "types.h"

#define GGUF_MAX_DIMS 8
/* Longest name of a tensor, and longest key of metadata, in bytes. */
#define GGUF_MAX_NAME 1023
#define GGUF_MAX_KEY 65535

/**
 * GgufTensor: one tensor of the file.
 *
 * @shape: in torch order, the reverse of the file's
 * @offset: bytes from the start of the data
 */
typedef struct {
  char *name;
  const GgufType *type;
  QconvShape shape;
  guint64 n_bytes, offset;
} GgufTensor;

/**
 * GgufHeader: the header of one file.
 *
 * @big: its numbers are big-endian
 * @alignment: of tensors, in bytes; a power of two
 * @data_start: bytes from the start of the file
 * @metadata: key -> GVariant
 * @tensors: (element-type GgufTensor): in the order of the file; each lies inside the file, and no two overlap
 * @warnings: (element-type utf8)
 */
typedef struct {
  guint32 version;
  gboolean big;
  guint32 alignment;
  guint64 data_start;
  GHashTable *metadata;
  GPtrArray *tensors;
  GPtrArray *warnings;
} GgufHeader;

/* Returns: (transfer full): the header, all of whose lengths are checked. Fails with QCONV_ERROR_INPUT or
   QCONV_ERROR_UNSUPPORTED. */
GgufHeader *qconv_gguf_header_read (QconvSource *source, GError **error);
/* Sets @alignment to @value (nullable), which the key general.alignment has, or to the usual one. Fails unless it is a
   power of two in the type u32. */
gboolean qconv_gguf_find_alignment (GVariant *value, guint32 *alignment, GError **error);
void qconv_gguf_header_free (GgufHeader *h);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GgufHeader, qconv_gguf_header_free)
