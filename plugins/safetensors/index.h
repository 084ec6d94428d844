/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file NAME.safetensors.index.json, which maps tensors to shards. Opening a set reads it. */
#pragma once
#include "qconv-container.h"

/**
 * SafetensorsIndex: the parsed index.
 *
 * @shards: name -> itself; plain file names
 * @map: tensor -> its shard, a key of @shards
 * @tensors: keys of @map in the order of the file
 * @total_size: bytes of all tensors; G_MAXUINT64 if the index has no total_size
 */
typedef struct {
  GHashTable *shards, *map;
  GPtrArray *tensors;
  guint64 total_size;
} SafetensorsIndex;

/* Returns: (transfer full): an index that names at least one shard. */
SafetensorsIndex *qconv_safetensors_index_read (QconvSource *source, GError **error);
void qconv_safetensors_index_free (SafetensorsIndex *x);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SafetensorsIndex, qconv_safetensors_index_free)
