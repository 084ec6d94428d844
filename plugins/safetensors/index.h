/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file NAME.safetensors.index.json, which says in which shard of a set a tensor lies. */
#pragma once
#include "qconv-container.h"

/**
 * SafetensorsIndex:
 *
 * @shards: name -> itself; plain file names
 * @map: tensor -> its shard, one of @shards
 * @tensors: keys of @map in the order of the file
 * @total_size: sum of all tensor bytes; G_MAXUINT64 where the index does not say
 */
typedef struct {
  GHashTable *shards, *map;
  GPtrArray *tensors;
  guint64 total_size;
} SafetensorsIndex;

/* Returns: (transfer full): at least one shard */
SafetensorsIndex *qconv_safetensors_index_read (QconvSource *source, GError **error);
void qconv_safetensors_index_free (SafetensorsIndex *x);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SafetensorsIndex, qconv_safetensors_index_free)
