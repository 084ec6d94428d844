/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes synthetic models as files. The data are streamed: memory does not grow with the model. */
#pragma once
#include "encode.h"
#include "tensors.h"

/**
 * Model: a model to write.
 *
 * @facts: what headers state
 * @shard_size: data bytes after which the next shard starts
 * @sparse: write holes instead of data, so that a file of any size takes no space
 */
typedef struct {
  GPtrArray *tensors; /* ModelTensor */
  const ModelType *type;
  const ModelFacts *facts;
  guint64 seed, shard_size;
  gboolean sparse;
} Model;

/* Returns the type that @t is stored as */
const ModelType *model_tensor_type (const Model *m, const ModelTensor *t, gboolean gguf);
guint64 model_tensor_bytes (const ModelTensor *t, const ModelType *type);

gboolean model_write_safetensors (const Model *m, const char *path, GError **error);
/* Writes shards and their index into the folder @path, which is created */
gboolean model_write_shards (const Model *m, const char *path, GError **error);
/* Writes a text with a line for each tensor: name, tab, shape such as 2x3 */
gboolean model_write_list (const Model *m, const char *path, GError **error);
gboolean model_write_gguf (const Model *m, const char *path, GError **error);

/* An output file for the writers of a format. Errors are kept until model_output_close() */
typedef struct _ModelOutput ModelOutput;
ModelOutput *model_output_new (const char *path, GError **error);
void model_output_put (ModelOutput *o, gconstpointer bytes, gsize n);
void model_output_data (ModelOutput *o, const Model *m, const ModelTensor *t, const ModelType *type);
/* Closes the file and frees @o. Returns FALSE if any write failed */
gboolean model_output_close (ModelOutput *o, GError **error);
