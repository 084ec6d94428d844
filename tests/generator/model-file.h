/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of synthetic models, streamed: memory does not grow with the model. */
#pragma once
#include "encode.h"
#include "tensors.h"

/**
 * Model:
 * @architecture: general.architecture of a GGUF file
 * @config: (nullable): "config" of a safetensors header
 * @shard_size: data bytes after which the next shard starts
 * @sparse: instead of data there are holes, so that a file of any size can be had
 */
typedef struct {
  GPtrArray *tensors; /* ModelTensor */
  const ModelType *type;
  const char *architecture, *config;
  guint64 seed, shard_size;
  gboolean sparse;
} Model;

/* Type that @t is stored in */
const ModelType *model_tensor_type (const Model *m, const ModelTensor *t, gboolean gguf);
guint64 model_tensor_bytes (const ModelTensor *t, const ModelType *type);

gboolean model_write_safetensors (const Model *m, const char *path, GError **error);
/* @path is a folder, which is made */
gboolean model_write_shards (const Model *m, const char *path, GError **error);
/* Text: name, tab, shape as 2x3 */
gboolean model_write_list (const Model *m, const char *path, GError **error);
gboolean model_write_gguf (const Model *m, const char *path, GError **error);

/* For the formats: buffered file with one sticky error */
typedef struct _ModelOutput ModelOutput;
ModelOutput *model_output_new (const char *path, GError **error);
void model_output_put (ModelOutput *o, gconstpointer bytes, gsize n);
void model_output_data (ModelOutput *o, const Model *m, const ModelTensor *t, const ModelType *type);
/* Frees @o. Returns: FALSE where anything could not be written */
gboolean model_output_close (ModelOutput *o, GError **error);
