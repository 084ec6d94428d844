/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers as they are found in a file. */
#pragma once
#include "layer/layer.h"
#include "qconv-reader.h"

/* Where one component of a source layer comes from. @load NULL: the only tensor, as it is */
typedef struct {
  char *component;
  QconvLoadFunc load;
  GPtrArray *tensors; /* const QconvTensor, NULL-terminated */
} Binding;

/**
 * SourceLayer: one layer as a reader claimed it, one plain tensor that nobody claimed, or one that is composed of such.
 *
 * @bindings: (nullable) (element-type Binding): as claimed; NULL: composed
 * @sources, @parts: (nullable) (element-type SourceLayer, Part): what it is composed of, see compose.h
 * @deltas: (nullable) (element-type Delta): what is added to its rows, see delta.h; of composed layers only
 * @name: of the layer, without ".weight"
 * @plain_name: name of the whole weight tensor in a plain file
 * @reader: (nullable): who claimed it; NULL: nobody
 * @min_rows, @scratch: as in qconv_claim_cost()
 * @bytes: stored, weight and scales
 */
typedef struct {
  Layer *layer;
  GPtrArray *bindings;
  GPtrArray *sources;
  GArray *parts;
  GPtrArray *deltas;
  char *name, *plain_name;
  const QconvReader *reader;
  guint64 min_rows;
  gsize scratch;
  guint64 bytes;
} SourceLayer;
void qconv_source_layer_free (SourceLayer *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SourceLayer, qconv_source_layer_free)
/* Returns: whether it is stored, just as it is, as plain numbers of its type, in one tensor or several */
gboolean qconv_source_layer_plain (const SourceLayer *s);
/* Returns: whether any of it is codes of a scheme */
gboolean qconv_source_layer_quantized (const SourceLayer *s);
/* Returns: (nullable): the tensor whose bytes are the whole of a plain layer */
const QconvTensor *qconv_source_layer_tensor (const SourceLayer *s);
/* Returns: whether there are floats to be had from it */
gboolean qconv_source_layer_decodes (const SourceLayer *s);
/* Returns: (nullable): where @component comes from; NULL where the source lacks it, or is composed */
const Binding *qconv_source_layer_binding (const SourceLayer *s, const char *component);
