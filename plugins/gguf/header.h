/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All of one file but its data. */
#pragma once
#include "types.h"

#define GGUF_MAX_DIMS 8

/**
 * GgufTensor:
 *
 * @shape: torch order
 * @offset: from the start of the data
 */
typedef struct {
  char *name;
  const GgufType *type;
  QconvShape shape;
  guint64 n_bytes, offset;
} GgufTensor;

/**
 * GgufHeader:
 *
 * @metadata: key -> GVariant
 * @tensors: (element-type GgufTensor): in the order of the file, each inside it, none over another
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

/* Returns: (transfer full): every length in it is checked */
GgufHeader *qconv_gguf_header_read (QconvSource *source, GError **error);
void qconv_gguf_header_free (GgufHeader *h);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GgufHeader, qconv_gguf_header_free)
